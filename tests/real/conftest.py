"""Real guests and a real QEMU: built once (kept in `var/cache`), every machine removed at the end."""

import pytest
from django.conf import settings

from analyzer.domain.libvirt_address import parse_libvirt_address
from config.quickstart.guests import build_guest
from migrations_engine.domain.machine import SourceDisk
from migrations_engine.targets.libvirt.place import Place
from migrations_engine.targets.registry import open_target
from tests.libvirtd import libvirtd


@pytest.fixture(scope="session")
def tiny():
    return build_guest("tiny", settings.CACHE_DIR / "guests")


@pytest.fixture(scope="session")
def full():
    return build_guest("full", settings.CACHE_DIR / "guests")


@pytest.fixture(scope="module")
def qemu(tmp_path_factory):
    """The target "this machine", in a folder of its own."""
    target = open_target("qemu", root=tmp_path_factory.mktemp("machines"))
    yield target
    for machine in target.machines():
        target.destroy(machine.key)


@pytest.fixture(scope="session")
def libvirt():
    """A private libvirtd; each test removes the machines that it defined."""
    with libvirtd() as server:
        yield server


@pytest.fixture(scope="session")
def source(tiny):
    return SourceDisk(str(tiny.path), tiny.format)


@pytest.fixture
def own_machines():
    """What runs made below DISKS_DIR is gone when the test ends, also where it failed."""
    yield
    target = open_target("qemu", root=settings.DISKS_DIR)
    for machine in target.machines():
        target.destroy(machine.key)


@pytest.fixture
def own_instance(django_db_blocker, own_machines):
    """The database that worker processes see: see tests/real/instance.py."""
    from tests.real import instance

    with django_db_blocker.unblock(), instance.own_database():
        yield


@pytest.fixture(scope="module")
def place(libvirt, tmp_path_factory):
    """The private hypervisor as an endpoint names it, with a pool of its own."""
    libvirt.virsh("pool-create-as", "machines", "dir", "--target", str(tmp_path_factory.mktemp("pool")))
    yield Place(parse_libvirt_address(libvirt.uri), "machines")
    libvirt.virsh("pool-destroy", "machines")


@pytest.fixture(scope="module")
def libvirt_target(place, tmp_path_factory):
    """The private hypervisor as a target, without a network; nothing of it is left behind."""
    target = open_target("libvirt", root=tmp_path_factory.mktemp("workbench"), place=place)
    yield target
    for machine in target.machines():
        target.destroy(machine.key)


@pytest.fixture
def run_all(django_capture_on_commit_callbacks, monkeypatch):
    """Calls a verb of `pipeline` and runs what it sends right here, as a worker would."""
    from config.celery import app

    monkeypatch.setattr(app.conf, "task_always_eager", True)

    def call(verb, **arguments):
        with django_capture_on_commit_callbacks(execute=True):
            row = verb(**arguments)
        row.refresh_from_db()
        return row

    return call


@pytest.fixture
def running(libvirt, tiny, tmp_path, settings, own_machines):
    """A function that makes a running domain and the estate to move it in."""
    from tests import factories
    from tests.real.hypervisor_estate import Estate, wait_for_agent
    from tests.real.libvirt_machines import define, make_hypervisor_source

    settings.LIBVIRT_SOCKET_FOLDER, settings.STAGING_DIR = str(tmp_path), tmp_path / "staging"

    def make(*, obeys=True) -> Estate:
        disk = tmp_path / "web01.qcow2"
        define(libvirt, tiny.path, disk, format="qcow2", obeys=obeys)
        libvirt.virsh("start", "web01")
        by = factories.make_user("root", superuser=True)
        source = make_hypervisor_source(libvirt, by=by, department=factories.make_department("Web"))
        if obeys:
            wait_for_agent(libvirt)
        return Estate(libvirt, source, by, disk)

    yield make
    for name in libvirt.virsh("list", "--all", "--name").split():
        libvirt.remove(name)
