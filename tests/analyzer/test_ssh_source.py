"""Running machines, against a real sshd: first contact, pinned keys, scans of one and of many, a way through a jump
host. Every loopback address is a machine."""

import pytest

from analyzer.models import Scan, SshAccess, UsageSeries, VirtualMachine
from analyzer.models.scan import ScanState
from analyzer.services.discovery import source_discover
from analyzer.services.scans import running_scan_work, scan_start, scan_work
from analyzer.services.sources import source_check, source_create
from analyzer.services.ssh_access import contacted, login_of, ssh_access_set, ssh_hosts_confirm
from analyzer.sources.ssh import Login
from personas.errors import BadInput, NotAllowed, Refused
from personas.models import AuditEntry
from tests.factories import make_department, make_member
from tests.sshd import sshd

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def server():
    with sshd() as running:
        yield running


@pytest.fixture
def admin():
    return make_member(make_department(), "admin")


@pytest.fixture
def source(admin):
    department = admin.memberships.get().department
    return source_create(name="Data centre", kind="ssh", department=department, by=admin)


@pytest.fixture
def listed(source, admin, server):
    """The source with these machines; `confirm=False` leaves their keys to be confirmed."""

    def set_up(*hosts: str, confirm=True, **told):
        told = {"username": server.username, "private_key": server.private_key, "port": server.port} | told
        ssh_access_set(source=source, by=admin, hosts=hosts or ["127.0.0.1"], **told)
        source_discover(source=source, by=admin)
        if confirm:
            confirm_all(source, admin)
        return source

    return set_up


def confirm_all(source, admin):
    offered = {str(host.pk): host.offered_fingerprint for host in source.ssh_hosts.exclude(offered_key="")}
    ssh_hosts_confirm(source=source, by=admin, fingerprints=offered)


def scanned(vm, admin) -> Scan:
    scan = scan_start(vm=vm, by=admin)
    scan_work(scan_id=scan.pk)
    scan.refresh_from_db()
    return scan


def test_a_running_machine_is_scanned_like_a_disk(listed, admin, server):
    source = listed(use_sudo=True)
    vm = VirtualMachine.objects.get(source=source)
    assert (vm.external_id, vm.name, vm.power_state) == (f"127.0.0.1:{server.port}", "127.0.0.1", "on")
    scan = scanned(vm, admin)
    assert scan.state in (ScanState.COMPLETE, ScanState.PARTIAL), scan.message
    vm.refresh_from_db()
    assert vm.os_id and vm.vcpus and vm.memory_mib and vm.hostname
    assert vm.packages.count() > 50 and scan.facts["running"]["kernel"]
    assert UsageSeries.objects.filter(vm=vm, metric="memory_percent").exists()
    assert any(each["port"] == server.port for each in scan.facts["listening"])


def test_nothing_is_entered_before_its_key_is_confirmed(listed, admin):
    source = listed(confirm=False)
    scan = scanned(source.machines.get(), admin)
    assert scan.state == ScanState.UNREADABLE and "not confirmed" in scan.message
    assert source.ssh_hosts.get().state == "new"


def test_a_changed_key_is_refused_with_both_fingerprints(listed, admin, server):
    source = listed()
    host = source.ssh_hosts.get()
    assert host.state == "confirmed"
    server.new_host_key()
    scan = scanned(source.machines.get(), admin)
    host.refresh_from_db()
    assert scan.state == ScanState.UNREADABLE and host.state == "changed"
    assert host.pinned_fingerprint in scan.message and host.offered_fingerprint in scan.message
    with pytest.raises(Refused, match="another key"):
        ssh_hosts_confirm(source=source, by=admin, fingerprints={str(host.pk): host.pinned_fingerprint})
    confirm_all(source, admin)
    assert source_check(source=source, by=admin) == {"machines": "1", "let in": "1", "as": server.username}
    told = AuditEntry.objects.filter(action="source.ssh_confirm").order_by("at").last()
    assert told.after["fingerprint"] == host.offered_fingerprint and told.before["fingerprint"]


def test_one_bad_machine_stops_none_of_the_others(listed, admin, server):
    source = listed("127.0.0.1", "127.0.0.2", "127.0.0.3:1")
    for vm in source.machines.all():
        scan_start(vm=vm, by=admin)
    assert running_scan_work(source_id=source.pk) == 3
    assert running_scan_work(source_id=source.pk) == 0
    states = {scan.vm.name: scan for scan in Scan.objects.filter(vm__source=source)}
    gone = states.pop("127.0.0.3")
    assert (gone.state, gone.message[:18]) == (ScanState.PARTIAL, "partial: no usage."), gone.message
    assert all(scan.state in (ScanState.COMPLETE, ScanState.PARTIAL) for scan in states.values())
    assert all(scan.vm.packages.exists() for scan in states.values())
    assert source.ssh_hosts.get(host="127.0.0.3").problem


def test_a_machine_that_went_away_keeps_what_was_known(listed, admin, server):
    source = listed()
    vm = source.machines.get()
    before = scanned(vm, admin)
    server.server.stop()
    try:
        after = scanned(vm, admin)
    finally:
        server.server.start()
    assert after.state == ScanState.PARTIAL and "cannot be reached" in after.message
    assert after.facts == before.facts and vm.packages.exists()
    vm.refresh_from_db()
    assert vm.power_state == "unknown"


def test_a_machine_behind_a_jump_host_is_reached_through_it(listed, admin):
    source = listed("127.0.0.2", jump_host="127.0.0.9", confirm=False)
    assert source.ssh_hosts.get(host="127.0.0.2").problem  # the way there is not confirmed yet
    confirm_all(source, admin)
    contacted(source)
    confirm_all(source, admin)
    assert [vm.name for vm in source.machines.all()] == ["127.0.0.2"]
    assert scanned(source.machines.get(), admin).facts["running"]


def test_a_user_who_is_not_let_in_is_told(listed, admin):
    source = listed(username="nobody-here")
    scan = scanned(source.machines.get(), admin)
    assert scan.state == ScanState.UNREADABLE and "does not let nobody-here in" in scan.message


def test_secrets_are_kept_encrypted_and_told_to_nobody(listed, admin, server, settings):
    source = listed()
    access = SshAccess.objects.get(source=source)
    middle = server.private_key.splitlines()[1]
    assert middle not in access.credential and login_of(source).private_key.splitlines()[1] == middle
    assert middle not in str([(entry.before, entry.after) for entry in AuditEntry.objects.all()])
    assert middle not in repr(Login("x", private_key=server.private_key))
    settings.CREDENTIALS_KEY = "another"
    with pytest.raises(Refused, match="tell it again"):
        login_of(source)


def test_the_login_can_change_without_telling_the_secret_again(listed, source, admin, server):
    listed()
    ssh_access_set(source=source, by=admin, hosts=["127.0.0.1", "web2"], username="other", port=server.port)
    assert login_of(source).private_key.strip() == server.private_key.strip()
    assert source.ssh_hosts.get(host="127.0.0.1").state == "confirmed"


@pytest.mark.parametrize(
    ("told", "field"),
    [
        ({"hosts": []}, "hosts"),
        ({"hosts": ["-oProxyCommand=true"]}, "hosts"),
        ({"jump_host": "a b"}, "jump_host"),
        ({"private_key": "no key"}, "private_key"),
        ({"private_key": ""}, "private_key"),
        ({"password": "and a key"}, "password"),
    ],
)
def test_what_is_wrong_is_told_beside_its_field(source, admin, server, told, field):
    asked = {"hosts": ["web1"], "username": "scan", "private_key": server.private_key} | told
    with pytest.raises(BadInput) as refused:
        ssh_access_set(source=source, by=admin, **asked)
    assert list(refused.value.errors) == [field]
    assert not SshAccess.objects.exists()


def test_an_operator_neither_sets_the_login_nor_confirms_keys(listed, server):
    source = listed()
    operator = make_member(source.department, "operator")
    with pytest.raises(NotAllowed):
        ssh_access_set(
            source=source, by=operator, hosts=["web1"], username="x", private_key=server.private_key
        )
    with pytest.raises(NotAllowed):
        ssh_hosts_confirm(source=source, by=operator, fingerprints={})
