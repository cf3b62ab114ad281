"""Where a target that libvirt keeps is, who may say it, and what is promised of it."""

import pytest

from analyzer.sources import ssh
from migrations_engine import pipeline
from migrations_engine.models import Hypervisor
from migrations_engine.services import hypervisors, targets
from migrations_engine.services.hypervisors import host_key_confirm, hypervisor_set, target_check
from migrations_engine.targets import registry
from migrations_engine.targets.base import Trial
from migrations_engine.targets.libvirt.target import LibvirtTarget
from personas.errors import BadInput, InUse, NotAllowed, Refused
from personas.models import AuditEntry
from tests import factories
from tests.migrations_engine.fake_target import FakeTarget

LOCAL = "qemu+unix:///system?socket=/run/x/libvirt-sock"
REMOTE = "qemu+ssh://mover@hv1:2222/system"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
PASSWORD = "canary-4711"


@pytest.fixture
def root(db):
    return factories.make_user(superuser=True)


@pytest.fixture
def admin(db):
    return factories.make_member(role="admin")


@pytest.fixture
def ours(admin):
    return factories.make_target(kind="libvirt", department=admin.memberships.get().department)


@pytest.fixture
def target(db):
    return factories.make_target(kind="libvirt")


@pytest.mark.parametrize(
    "address",
    [
        "qemu+ssh://mover@hv1/system?command=/tmp/x",
        "qemu+ssh://mover@hv1/system?netcat=/tmp/x",
        "qemu+ssh://mover@hv1/system?no_verify=1",
        "qemu+ext://mover@hv1/system",
        "qemu+ssh://mover:secret@hv1/system",
        "qemu+ssh://hv1/system",
        "test:///default",
        "xen:///system",
    ],
)
def test_address_that_could_run_something_or_hide_something_is_refused(ours, admin, address):
    with pytest.raises(BadInput) as refused:
        hypervisor_set(target=ours, address=address, password=PASSWORD, by=admin)
    assert set(refused.value.errors) == {"address"}


def test_this_machines_own_hypervisor_is_named_by_an_administrator_of_the_installation_only(ours, admin, root):
    with pytest.raises(BadInput):
        hypervisor_set(target=ours, address=LOCAL, by=admin)
    assert hypervisor_set(target=ours, address=LOCAL, by=root).address == LOCAL


def test_secret_is_kept_as_ciphertext_and_told_to_nobody(ours, admin, client):
    row = hypervisor_set(target=ours, address=REMOTE, password=PASSWORD, by=admin)
    assert PASSWORD not in row.credential
    client.force_login(admin)
    told = client.get(f"/api/v1/targets/{ours.pk}/hypervisor/")
    assert told.json()["credential"] == "password"
    pages = [client.get(f"/targets/{ours.pk}/{page}") for page in ("", "hypervisor/")]
    audit = str(list(AuditEntry.objects.values()))
    assert PASSWORD not in audit + told.content.decode() + "".join(page.content.decode() for page in pages)
    assert row.credential not in audit + told.content.decode()


def test_secret_stays_when_it_is_not_told_again_and_goes_with_its_address(ours, admin):
    before = hypervisor_set(target=ours, address=REMOTE, password=PASSWORD, by=admin).credential
    assert hypervisor_set(target=ours, address=REMOTE, pool="fast", by=admin).credential == before
    with pytest.raises(BadInput) as refused:
        hypervisor_set(target=ours, address=REMOTE.replace("hv1", "hv2"), by=admin)
    assert "private_key" in refused.value.errors


def test_nothing_is_asked_of_a_machine_whose_key_nobody_has_confirmed(ours, admin, monkeypatch):
    hypervisor_set(target=ours, address=REMOTE, password=PASSWORD, by=admin)
    monkeypatch.setattr(hypervisors, "offered_keys", lambda doors, jump, login: dict.fromkeys(doors, KEY))
    with pytest.raises(Refused, match="shows a host key"):
        target_check(target=ours, by=admin)
    row = Hypervisor.objects.get()
    assert "confirmed" in targets.place_of(ours).problem
    with pytest.raises(Refused, match="another key"):
        host_key_confirm(target=ours, fingerprint="SHA256:other", by=admin)
    host_key_confirm(target=ours, fingerprint=row.offered_fingerprint, by=admin)
    place = targets.place_of(ours)
    assert (place.problem, place.door) == ("", ssh.Door("hv1", 2222, KEY))
    assert (place.login.username, place.login.password) == ("mover", PASSWORD)


@pytest.fixture
def played(monkeypatch, world):
    monkeypatch.setitem(registry.TARGETS, "libvirt", lambda root, place: FakeTarget(root=root))
    return world


def test_plans_go_by_what_a_trial_found(target, root, played):
    hypervisor_set(target=target, address=LOCAL, network="lan", by=root)
    assert targets.place_of(target).enforces == frozenset()
    played.trial = Trial("kvm", frozenset({"filters"}), notes=("No bandwidth at the hypervisor: no sfq",))
    assert target_check(target=target, by=root)["enforces"] == ["filters"]
    place = targets.place_of(target)
    assert (place.accelerator, place.enforces) == ("kvm", frozenset({"filters"}))
    hypervisor_set(target=target, address=LOCAL, network="other", by=root)
    assert targets.place_of(target).enforces == frozenset()  # nobody has tried that network


def test_target_without_a_hypervisor_says_so_where_it_is_asked(target, root):
    with pytest.raises(Refused, match="Nobody has said yet where"):
        targets.target_probe(target=target)
    assert isinstance(targets.open_endpoint(target), LibvirtTarget)


def test_address_and_pool_stay_once_machines_went_there(target, root, estate, played):
    hypervisor_set(target=target, address=LOCAL, by=root)
    pipeline.run_start(**estate.launch(target=target))
    with pytest.raises(InUse):
        hypervisor_set(target=target, address=LOCAL, pool="other", by=root)
    assert hypervisor_set(target=target, address=LOCAL, network="lan", by=root).network == "lan"


def test_operator_may_not_say_where_it_is(ours, admin):
    operator = factories.make_member(admin.memberships.get().department, role="operator")
    with pytest.raises(NotAllowed):
        hypervisor_set(target=ours, address=REMOTE, password=PASSWORD, by=operator)
    with pytest.raises(NotAllowed):
        target_check(target=ours, by=operator)


def test_page_tells_what_is_wrong_beside_its_field(client, root, target):
    client.force_login(root)
    answer = client.post(f"/targets/{target.pk}/hypervisor/", {"address": "qemu:///nowhere", "pool": "de fault"})
    assert b"Name the instance" in answer.content
    answer = client.post(f"/targets/{target.pk}/hypervisor/", {"address": LOCAL, "pool": "de fault"})
    assert b"Letters, digits" in answer.content
    answer = client.post(f"/targets/{target.pk}/hypervisor/", {"address": LOCAL, "pool": "default"})
    assert answer.url == f"/targets/{target.pk}/"
