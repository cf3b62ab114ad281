"""Each concern from the smallest outlook that raises it."""

from dataclasses import replace

import pytest

from analyzer.domain.facts import Coverage, Filesystem, Kernel, Listening, Nic, OperatingSystem, Package
from migrations_engine.domain.access import Access
from migrations_engine.domain.concerns import Outlook, Severity, blocking, concerns
from migrations_engine.domain.concerns.storage import MIB
from migrations_engine.domain.disk_bus import BusChoice
from migrations_engine.domain.kernels import KernelChoice
from migrations_engine.domain.machine import GIB, Concern, Enforcement, MachineSpec
from migrations_engine.domain.software import Asked, Software
from tests.migrations_engine.estate import facts

KEEP = KernelChoice("keep", None, "6.1.0-1-amd64")
DISK = {"path": "/x", "format": "raw", "virtual_size_bytes": 4 * GIB, "allocated_bytes": GIB}
OLDER = {"name": "debian", "version": "11", "intent": "require"}
TOO_MUCH = Concern("critical", "resources.memory_mib", "too much")
TUNE = {"name": "tune", "interpreter": "python3"}
BROUGHT = Access("offline", ("qemu-guest-agent=1:7.2-1", "liburing2=2.3"))
LACKING = Software((Asked("postgresql-15", "lacking", reason="this host offers none"),))
ADDED = Software((Asked("jq", "added", "1.6"),), ("jq=1.6", "libjq1=1.6"), 2 * MIB, 3 * MIB)
ON_SECOND = facts(filesystems=(Filesystem(device="disk1p2", kind="ext4", mount_point="/", disk=1),))
SDA = facts(
    filesystems=(Filesystem(device="p1", kind="ext4", mount_point="/", uuid="a", mounted_as="/dev/sda1"),)
)
XFS = facts(
    filesystems=(Filesystem(device="p1", kind="xfs", mount_point="/", uuid="a", mounted_as="/dev/sda1"),)
)
FIXED = facts(nics=(Nic(name="ens3", addressing="static", addresses=("10.0.0.5/24",)),))
BOUND = facts(nics=(Nic(name="lan", mac="52:54:00:00:00:01", addressing="dhcp"),))
TWO = facts(nics=tuple(Nic(name=name, addressing="dhcp") for name in ("enp1s0", "enp2s0", "enp1s0", "br0", "eth0.5")))
REDIS = facts(listening=(Listening(port=6379, service="redis"),))
POSTGRESQL = {"kind": "tcp", "port": 5432}
NOBODY = Enforcement("network.bandwidth_mbps", "100", "nobody", "no tc")


def outlook(settings=None, spec=None, **changes):
    machine = MachineSpec(**({"key": "k", "name": "web01", "vcpus": 1, "memory_mib": 512} | (spec or {})))
    given = {"facts": facts(), "kernel": KEEP, "disks": (DISK,), "free_bytes": 100 * GIB}
    return Outlook(settings=settings or {}, spec=machine, **(given | changes))


def found(*args, **changes):
    return {c.id: c.severity for c in concerns(outlook(*args, **changes))}


def test_sound_machine_raises_none():
    assert found() == {}


@pytest.mark.parametrize(
    ("settings", "changes", "id", "severity"),
    [
        ({}, {"facts": None}, "scan.none", Severity.WARNING),
        ({}, {"disks": ()}, "source.no_disk", Severity.CRITICAL),
        ({}, {"facts": ON_SECOND, "disks": (DISK, DISK)}, "source.root_elsewhere", Severity.CRITICAL),
        ({}, {"disks": (DISK, DISK, DISK), "free_bytes": 4 * GIB - 1}, "space.target", Severity.CRITICAL),
        ({}, {"disks": (DISK, DISK), "free_bytes": 8 * GIB - 1}, "space.overcommitted", Severity.WARNING),
        ({}, {"missing_since": "yesterday"}, "source.missing", Severity.CRITICAL),
        ({}, {"unknown": (("script", "gone"),)}, "script.unknown", Severity.CRITICAL),
        ({}, {"unknown": (("security group", "gone"),)}, "security_group.unknown", Severity.CRITICAL),
        ({}, {"has_persona": False}, "persona.none", Severity.INFORMATION),
        ({}, {"refused": ({"path": "machine", "layer": "persona:A@1"},)}, "settings.locked", Severity.WARNING),
        ({"resources": {"root_disk_gib": 2}}, {}, "disk.would_shrink", Severity.WARNING),
        ({}, {"free_bytes": GIB}, "space.target", Severity.CRITICAL),
        ({"resources": {"root_disk_gib": 200}}, {}, "space.overcommitted", Severity.WARNING),
        ({}, {"software": LACKING}, "packages.missing", Severity.WARNING),
        ({}, {"software": ADDED}, "packages.added", Severity.INFORMATION),
        ({"distribution": {"name": "ubuntu"}}, {}, "distribution.differs", Severity.INFORMATION),
        ({"distribution": OLDER}, {}, "distribution.differs", Severity.CRITICAL),
        ({}, {"facts": facts(boot_mode="uefi")}, "firmware.differs", Severity.CRITICAL),
        ({}, {"target": (TOO_MUCH,)}, "target.resources.memory_mib", Severity.CRITICAL),
        ({}, {"access": Access("none", reason="no dpkg")}, "access.no_agent", Severity.CRITICAL),
        ({}, {"made_for": {"for-rocky": ("rocky", "rhel")}}, "driver_set.distribution", Severity.WARNING),
        ({}, {"disk_bus": BusChoice("scsi", "both")}, "devices.contradict", Severity.INFORMATION),
        ({}, {"access": BROUGHT}, "access.agent_brought", Severity.INFORMATION),
        ({}, {"access": replace(BROUGHT, origin="Debian 12")}, "access.agent_brought", Severity.WARNING),
        ({}, {"scripts": (TUNE,), "facts": facts(packages=())}, "script.interpreter_missing", Severity.CRITICAL),
        ({}, {"namesakes": ("2026-01-01 00:00 UTC",)}, "target.name_taken", Severity.WARNING),
        ({}, {"facts": SDA}, "boot.device_names", Severity.INFORMATION),
        ({}, {"facts": XFS}, "boot.device_names", Severity.CRITICAL),
        ({}, {"facts": FIXED}, "network.fixed_address", Severity.WARNING),
        ({}, {"facts": BOUND}, "network.bound_to_mac", Severity.WARNING),
        ({}, {"facts": TWO}, "network.one_card", Severity.WARNING),
        ({}, {"cards": ("52:54:00:00:00:01 on lan", "52:54:00:00:00:02 on san")}, "network.one_card", Severity.WARNING),
        ({"acceptance_checks": [POSTGRESQL]}, {"facts": REDIS}, "acceptance.nothing_listens", Severity.WARNING),
        (
            {"acceptance_checks": [POSTGRESQL | {"must_pass": False}]},
            {"facts": REDIS},
            "acceptance.nothing_listens",
            Severity.INFORMATION,
        ),
        ({}, {"enforcement": (NOBODY,)}, "enforcement.network.bandwidth_mbps", Severity.WARNING),
    ],
)  # fmt: skip
def test_concern_is_raised(settings, changes, id, severity):
    assert found(settings, **changes) == {id: severity}


def test_driver_set_for_any_for_this_distribution_or_for_a_relative_raises_none():
    rocky = facts(os=OperatingSystem(id="rocky", version="9", like=("rhel", "centos", "fedora")))
    assert found(made_for={"virtio": (), "for-debian": ("debian",)}) == {}
    assert found(made_for={"for-rhel": ("rhel",)}, facts=rocky) == {}
    assert found(made_for={"for-rhel": ("rhel",)}, facts=facts(os=OperatingSystem())) == {}


def test_driver_set_for_another_distribution_is_told_by_its_name():
    (told,) = concerns(outlook(made_for={"for-rhel": ("rocky", "rhel")}))
    assert (
        told.text == "The driver set for-rhel is made for rhel, rocky; the machine runs Debian GNU/Linux 12."
    )


def test_check_of_a_port_that_is_served_or_of_an_unknown_guest_raises_none():
    assert found({"acceptance_checks": [{"kind": "tcp", "port": 6379}]}, facts=REDIS) == {}
    assert found({"acceptance_checks": [POSTGRESQL]}, facts=facts(listening=())) == {}


def test_cards_that_are_left_behind_are_named():
    (told,) = concerns(outlook(cards=("52:54:00:00:00:01 on lan", "52:54:00:00:00:02 on san")))
    assert "2 network cards" in told.text and "Left behind: 52:54:00:00:00:02 on san." in told.text
    (told,) = concerns(outlook(facts=TWO))
    assert "all but one of enp1s0, enp2s0." in told.text
    assert found(facts=TWO, cards=("52:54:00:00:00:01 on lan",)) == {}  # the hypervisor knows better


def test_addresses_of_several_cards_are_not_said_to_be_kept():
    two = [Nic(name=f"eth{n}", addressing="static", addresses=(f"10.0.{n}.5/24",)) for n in (0, 1)]
    told = {each.id: each.text for each in concerns(outlook(facts=facts(nics=tuple(two))))}
    assert "of one network only of 10.0.0.5/24, 10.0.1.5/24" in told["network.fixed_address"]


@pytest.mark.parametrize(
    ("free", "is_certain", "shares_room", "severity"),
    [
        (GIB - 1, True, False, Severity.CRITICAL),
        (GIB - 1, False, False, Severity.WARNING),  # a mode that fetches nothing may be chosen
        (GIB, True, False, None),
        (3 * GIB - 1, True, True, Severity.WARNING),
        (3 * GIB, True, True, None),
    ],
)
def test_fetched_disks_need_room_beside_the_copy(free, is_certain, shares_room, severity):
    staging = {"free_bytes": free, "is_certain": is_certain, "shares_room": shares_room}
    assert found(staging=staging).get("space.staging") == severity


def test_what_is_brought_is_named_with_its_version():
    (told,) = concerns(outlook(access=BROUGHT))
    assert "qemu-guest-agent 1:7.2-1, liburing2 2.3" in told.text
    assert "The source is not touched" in told.text


@pytest.mark.parametrize(
    ("intent", "severity"), [("prefer", "Information"), ("require", "Critical"), ("install", "Critical")]
)
def test_missing_kernel_is_as_grave_as_its_intent(intent, severity):
    choice = KernelChoice("unavailable", None, None, "No kernel fits.")
    assert found({"kernel": {"version": "9.9", "intent": intent}}, kernel=choice) == {
        "kernel.unavailable": severity
    }


def test_kernel_cannot_be_installed_before_cloud_init_has_brought_the_agent():
    choice = KernelChoice("install", "6.9.1-amd64", None, "The run installs it.")
    assert found(kernel=choice, access=BROUGHT).get("kernel.install_by_seed") is None
    seeded = found(kernel=choice, access=replace(BROUGHT, way="seed"))
    assert seeded["kernel.install_by_seed"] == Severity.CRITICAL


def test_kernel_without_the_disks_driver_is_critical():
    bare = facts(
        kernels=(Kernel(version="6.1.0-1-amd64", default=True, drivers_module=("ahci", "virtio_net")),)
    )
    assert found(facts=bare)["driver.virtio_blk"] == Severity.CRITICAL
    assert "driver.ahci" not in found(spec={"disk_bus": "sata"}, facts=bare)


def test_name_that_the_planned_bus_gives_stays():
    assert found(spec={"disk_bus": "sata"}, facts=SDA) == {}


@pytest.mark.parametrize("facts", [FIXED, BOUND])
def test_new_addresses_end_what_was_said_of_the_old(facts):
    assert found({"network": {"addressing": "dhcp"}}, facts=facts) == {}


def test_secure_boot_is_told_where_firmware_could_do_it():
    shim = (Package(name="shim-signed", version="1", manager="dpkg"),)
    assert found(spec={"firmware": "uefi"}, facts=facts(boot_mode="uefi", packages=shim)) == {
        "firmware.secure_boot": Severity.INFORMATION
    }
    assert found(facts=facts(packages=shim)) == {}


def test_module_that_the_kernel_lacks_is_told():
    assert found({"kernel_modules": ["virtio-gpu", "zram"]}) == {"module.missing": Severity.WARNING}


def test_partly_read_disk_is_told():
    partial = facts(coverage=(Coverage(area="packages", state="none", reason="rpm database damaged"),))
    assert "scan.packages" not in found(facts=partial)  # only what the move itself goes by
    kernels = facts(coverage=(Coverage(area="kernels", state="none", reason="/boot is on LVM"),))
    assert found(facts=kernels)["scan.kernels"] == Severity.INFORMATION


def test_target_does_not_say_again_what_was_said():
    again = Concern("warning", "network.bandwidth_mbps", "nobody enforces it")
    assert list(found(enforcement=(NOBODY,), target=(again,))) == ["enforcement.network.bandwidth_mbps"]


def test_worst_comes_first():
    ordered = concerns(outlook({}, software=LACKING, disks=(), has_persona=False))
    assert [c.severity for c in ordered] == [Severity.CRITICAL, Severity.WARNING, Severity.INFORMATION]
    assert [c.id for c in blocking(ordered)] == ["source.no_disk"]


def full_root(free: int):
    root = Filesystem(device="p1", kind="ext4", mount_point="/", size_bytes=GIB, used_bytes=GIB - free)
    return facts(filesystems=(root,))


def test_packages_are_told_with_what_comes_along_and_its_size():
    (told,) = concerns(outlook(software=ADDED))
    assert "jq 1.6, libjq1 1.6 (2.0 MiB to fetch, 3.0 MiB on the disk)" in told.text


def test_packages_need_room_for_their_files_and_what_is_in_them():
    fits = found(software=ADDED, facts=full_root(5 * MIB))
    assert fits == {"packages.added": Severity.INFORMATION}
    crowded = concerns(outlook(software=ADDED, facts=full_root(5 * MIB - 1)))
    assert (crowded[0].id, crowded[0].severity) == ("packages.no_room", Severity.CRITICAL)
    assert "need 5.0 MiB on the root file system, which has 5.0 MiB free" in crowded[0].text
    larger = {"resources": {"root_disk_gib": 5}}  # the disk has 4
    assert "packages.no_room" not in found(larger, software=ADDED, facts=full_root(0))


def test_interpreter_that_is_added_is_not_missed():
    brings = Software((Asked("python3", "added", "3.11"),), ("python3=3.11",))
    assert found(scripts=(TUNE,), facts=facts(packages=()), software=brings) == {
        "packages.added": Severity.INFORMATION
    }
