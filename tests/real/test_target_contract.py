"""What the protocol promises, asked of the played target and of the real ones alike: a fake that lies hides defects."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from migrations_engine.domain.machine import GIB, FirstBoot, MachineSpec, SourceDisk
from migrations_engine.targets.base import MachineMissing
from tests.migrations_engine.fake_target import FakeTarget, World

SPEC = MachineSpec(key="contract", name="web01", vcpus=1, memory_mib=256, tags={"team": "web"})
BOOT_S = 240


@pytest.fixture(scope="module", params=["played", "qemu", "libvirt_target"])
def target(request, tmp_path_factory):
    if request.param == "played":
        before, FakeTarget.world = FakeTarget.world, World()
        yield FakeTarget(root=tmp_path_factory.mktemp("machines"))
        FakeTarget.world = before
        return
    yield request.getfixturevalue(request.param)


def test_target_keeps_its_promises(target, tiny):
    source = SourceDisk(str(tiny.path), tiny.format)
    assert target.machines(SPEC.key) == ()
    assert target.destroy(SPEC.key) == ()
    assert target.checksum(source) == target.checksum(source)

    disk = target.copy(SPEC.key, source)
    assert target.copy(SPEC.key, source) == disk  # what is finished is kept
    assert target.grow(disk, 2 * GIB) == target.grow(disk, 2 * GIB)
    boot = FirstBoot(hostname="web01")
    assert target.prepare(disk, boot) == target.prepare(disk, boot)
    sealed = target.seal(disk, "qcow2")
    assert target.seal(disk, "qcow2") == sealed
    assert sealed.format == "qcow2"

    ref = target.create(SPEC, sealed)
    assert target.create(SPEC, sealed) == ref  # found by its key
    assert target.machines(SPEC.key) == (ref,)
    assert SPEC.key in known_keys(target)
    assert target.status(ref).state == "off"
    assert target.power(ref, "on").state == "on"
    assert target.power(ref, "on").state == "on"
    target.wait_ready(ref, BOOT_S)

    once = target.run(ref, "echo hello", 60, once_key="greeting")
    assert once.exit_code == 0
    assert target.run(ref, "echo hello", 60, once_key="greeting") == once  # not run again
    report = target.guest_report(ref)
    assert (report.vcpus, report.root_disk_bytes) == (1, 2 * GIB)
    assert target.tag(ref, {"team": "db"}).ok
    assert isinstance(target.console(ref), str)

    assert target.power(ref, "off").state == "off"
    with ThreadPoolExecutor(4) as workers:  # as the workers and the sweeper may
        assert any(list(workers.map(lambda _: target.destroy(SPEC.key), range(4))))
    assert target.destroy(SPEC.key) == ()
    assert target.machines(SPEC.key) == ()
    assert SPEC.key not in known_keys(target)
    assert target.status(ref).state == "missing"
    with pytest.raises(MachineMissing):
        target.power(ref, "on")


def known_keys(target) -> set[str]:
    """By the cap where it has it."""
    found = target.keys() if "keys" in target.caps else (ref.key for ref in target.machines())
    return set(found)
