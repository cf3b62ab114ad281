"""A hypervisor as a source: real domains of a private libvirtd, off and running, discovered, scanned, watched."""

import pytest
from django.utils import timezone

from analyzer.models import UsageSeries, VirtualMachine
from analyzer.models.scan import ScanState
from analyzer.services import hypervisors
from analyzer.services.discovery import source_discover
from analyzer.services.scans import scan_now
from analyzer.services.sources import source_check, source_update
from analyzer.services.ssh_access import ssh_access_set, ssh_hosts_confirm
from analyzer.sources.base import SourceError
from personas.errors import BadInput, Refused
from tests.factories import make_department, make_member, make_user
from tests.real.libvirt_machines import define, make_hypervisor_source
from tests.sshd import sshd

pytestmark = [pytest.mark.django_db, pytest.mark.once]


@pytest.fixture
def host(libvirt, tmp_path, settings):
    """(the server, its source, a superuser); every domain of the test is gone afterwards."""
    settings.LIBVIRT_SOCKET_FOLDER, settings.STAGING_DIR = str(tmp_path), tmp_path / "staging"
    admin = make_user("root", superuser=True)
    source = make_hypervisor_source(libvirt, by=admin, department=make_department("Web"))
    yield libvirt, source, admin
    for name in libvirt.virsh("list", "--all", "--name").split():
        libvirt.remove(name)


def test_a_department_may_not_name_the_server_s_own_hypervisor(libvirt):
    department = make_department()
    with pytest.raises(BadInput):
        make_hypervisor_source(libvirt, by=make_member(department), department=department)


def test_machines_are_known_by_uuid_and_scanned_off_and_running(host, tiny, tmp_path):
    libvirt, source, admin = host
    id = define(libvirt, tiny.path, tmp_path / "web01.qcow2", format="qcow2")
    answers = source_check(source=source, by=admin)
    assert answers["machines"] == "1" and "QEMU" in answers["hypervisor"]
    assert source_discover(source=source, by=admin)["added"] == 1
    vm = VirtualMachine.objects.get(source=source)
    assert (vm.external_id, vm.power_state, vm.firmware, vm.vcpus, vm.memory_mib) == (id, "off", "bios", 1, 160)
    assert vm.disks.get().virtual_size_bytes == tiny.path.stat().st_size
    assert vm.nics.get().mac == "52:54:00:12:34:56"

    libvirt.virsh("domrename", "web01", "renamed")
    libvirt.virsh("start", "renamed")
    assert source_discover(source=source, by=admin)["added"] == 0
    vm.refresh_from_db()
    assert (vm.name, vm.power_state) == ("renamed", "on")

    scan = scan_now(vm=vm, by=admin)
    assert scan.state == ScanState.COMPLETE, scan.message
    assert scan.facts["os"]["id"] == "debian"
    assert libvirt.state("renamed") == "running"
    assert "None" in libvirt.virsh("domjobinfo", "renamed")
    assert not list((tmp_path / "staging").iterdir())

    libvirt.virsh("destroy", "renamed")
    off = scan_now(vm=vm, by=admin)
    assert off.facts["packages"] == scan.facts["packages"]


def test_use_is_what_the_counters_say_between_two_looks(host, tiny, tmp_path, monkeypatch):
    libvirt, source, admin = host
    define(libvirt, tiny.path, tmp_path / "web01.raw")
    libvirt.virsh("start", "web01")
    source_discover(source=source, by=admin)
    begin = timezone.now()
    assert hypervisors.hypervisors_collect_usage() == 0  # the first look has nothing to compare with
    monkeypatch.setattr(hypervisors.timezone, "now", lambda: begin + timezone.timedelta(minutes=15))
    assert hypervisors.hypervisors_collect_usage() == 1
    found = set(UsageSeries.objects.values_list("metric", flat=True))
    assert {"cpu_percent", "disk_read_mibs", "disk_write_mibs"} <= found


def test_a_remote_hypervisor_is_entered_with_a_confirmed_key_only(host, tiny, tmp_path):
    libvirt, source, admin = host
    define(libvirt, tiny.path, tmp_path / "web01.raw")
    libvirt.virsh("start", "web01")
    with sshd() as server:
        location = f"qemu+ssh://{server.username}@127.0.0.1:{server.port}/system?socket={libvirt.socket}"
        source = source_update(source=source, by=admin, location=location)
        with pytest.raises(Refused, match="log in"):
            source_check(source=source, by=admin)
        ssh_access_set(source=source, by=admin, username=server.username, private_key=server.private_key)
        with pytest.raises(Refused, match="not confirmed"):
            source_discover(source=source, by=admin)
        door = source.ssh_hosts.get()
        ssh_hosts_confirm(source=source, by=admin, fingerprints={str(door.pk): door.offered_fingerprint})
        assert source_discover(source=source, by=admin)["added"] == 1
        vm = VirtualMachine.objects.get(source=source)
        scan = scan_now(vm=vm, by=admin)
        assert scan.state == ScanState.COMPLETE, scan.message

        libvirt.virsh("destroy", "web01")
        assert "storage pool" in scan_now(vm=vm, by=admin).message
        libvirt.virsh("pool-create-as", "images", "dir", "--target", str(tmp_path))
        try:
            scan = scan_now(vm=vm, by=admin)
            assert scan.state == ScanState.COMPLETE, scan.message
        finally:
            libvirt.virsh("pool-destroy", "images")


def test_somebody_else_s_backup_is_respected_and_our_own_leftover_ended(host, tiny, tmp_path):
    libvirt, source, _ = host
    id = define(libvirt, tiny.path, tmp_path / "web01.raw")
    libvirt.virsh("start", "web01")
    hypervisor = hypervisors.hypervisor_of(source)
    folder = tmp_path / "copies"
    folder.mkdir()

    def die(percent):  # as a worker that is killed: its backup stays
        raise Killed

    leave = hypervisors.LibvirtSource.disk_files
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("analyzer.sources.libvirt.backup._end", lambda *_: None)
        with pytest.raises(Killed):
            leave(hypervisor, id, folder, owner="one", watch=die)
    assert "Backup" in libvirt.virsh("domjobinfo", "web01")
    with pytest.raises(SourceError, match="scan or run of ours"):
        hypervisor.disk_files(id, folder, owner="two")
    (file,) = hypervisor.disk_files(id, folder, owner="one")
    assert file.fetched
    assert "None" in libvirt.virsh("domjobinfo", "web01")


class Killed(Exception):
    pass
