import dataclasses

import pytest

from analyzer.domain.facts import Filesystem
from migrations_engine.domain.machine import (
    GIB,
    MIB,
    Applied,
    Enforcement,
    FirstBoot,
    GuestDisk,
    GuestReport,
    MachineSpec,
)
from migrations_engine.domain.verification import Evidence, Row, failures, outcome, read_rows, table, told
from tests.factories import make_facts

REPORT = GuestReport(
    kernel="6.1.0-2-amd64",
    vcpus=2,
    memory_mib=980,
    root_disk_bytes=10 * GIB,
    root_filesystem_bytes=int(9.7 * GIB),
    hostname="web01",
    os_release={"ID": "debian", "VERSION_ID": "12"},
    modules=("virtio_net", "tun"),
    mounts=("/dev/vda1 / ext4", "/dev/vda15 /boot/efi vfat"),
    failed_units=(),
    kernels=(),
)


def verdicts(settings=None, report=None, **changes):
    """{setting: verdict} for a machine that is as it should be, but for what is changed."""
    given = {
        "settings": settings or {},
        "spec": MachineSpec(key="k", name="web01", vcpus=2, memory_mib=1024),
        "first_boot": FirstBoot(),
        "disk_bytes": 10 * GIB,
        "report": dataclasses.replace(REPORT, **(report or {})),
        "firmware": "bios",
    }
    return {row.setting: row.verdict.value for row in table(Evidence(**(given | changes)))}


def test_machine_as_asked_passes():
    assert set(verdicts().values()) == {"pass"}


@pytest.mark.parametrize(
    ("report", "setting", "verdict"),
    [
        ({"vcpus": 1}, "resources.vcpus", "fail"),
        ({"memory_mib": 600}, "resources.memory_mib", "fail"),
        ({"memory_mib": 2048}, "resources.memory_mib", "fail"),
        ({"root_disk_bytes": 5 * GIB}, "resources.root_disk_gib", "fail"),
        ({"root_disk_bytes": None}, "resources.root_disk_gib", "not_checked"),
        ({"root_filesystem_bytes": 4 * GIB}, "root file system", "warning"),
        ({"failed_units": ("nginx.service",)}, "failed units", "warning"),
        ({"mounts": ("/dev/sda1 / ext4",)}, "storage.bus", "fail"),
        ({"mounts": ("/dev/mapper/vg-root / ext4",)}, "storage.bus", "not_checked"),
    ],
)
def test_difference_is_told(report, setting, verdict):
    assert verdicts(report=report)[setting] == verdict


VDB, VDA = GuestDisk("vdb", 64 * MIB, "disk1"), GuestDisk("vda", 10 * GIB, "disk0")


@pytest.mark.parametrize(
    ("disks", "verdict"),
    [
        ((VDB, VDA), "pass"),
        ((GuestDisk("sdb", 64 * MIB), GuestDisk("sda", 10 * GIB)), "pass"),  # a driver that tells no serial
        ((VDA,), "fail"),
        ((VDA, GuestDisk("vdb", 63 * MIB, "disk1")), "fail"),
        ((VDA, GuestDisk("vdb", 64 * MIB, "seed")), "fail"),
    ],
)
def test_each_data_disk_must_be_in_the_guest_as_large_as_it_was(disks, verdict):
    assert verdicts(report={"disks": disks}, data_bytes=(64 * MIB,))["disks.1"] == verdict


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        ("/boot/efi vfat defaults", "pass"),
        ("/srv ext4 defaults", "fail"),
        ("/srv ext4 nofail", "warning"),
        ("/srv ext4 noauto", None),
        ("/mnt/nfs nfs defaults", None),  # not on a disk that was copied
        ("none swap sw", None),
    ],
)
def test_what_fstab_names_must_be_mounted(row, verdict):
    known = tuple(
        Filesystem(device="p1", kind="ext4", mount_point=each) for each in ("/boot/efi", "/srv", "none")
    )
    found = verdicts(report={"fstab": ("/ ext4 defaults", row)}, facts=make_facts(filesystems=known))
    assert found.get(f"mount {row.split()[0]}") == verdict
    assert "mount /" not in found


def test_kernel_that_the_plan_promised_must_run():
    boot = FirstBoot(kernel="6.1.0-9-amd64")
    assert (
        verdicts({"kernel": {"version": "6.1.0-9", "intent": "prefer"}}, first_boot=boot)["kernel.version"]
        == "fail"
    )


@pytest.mark.parametrize(("intent", "verdict"), [("prefer", "warning"), ("require", "fail")])
def test_kernel_and_distribution_weigh_as_their_intent(intent, verdict):
    assert verdicts({"kernel": {"version": "9.9", "intent": intent}})["kernel.version"] == verdict
    assert verdicts({"distribution": {"name": "ubuntu", "intent": intent}})["distribution"] == verdict


def test_distribution_version_may_be_finer():
    found = verdicts(
        {"distribution": {"name": "debian", "version": "12"}},
        {"os_release": {"ID": "debian", "VERSION_ID": "12.5"}},
    )
    assert found["distribution"] == "pass"


def test_module_that_was_to_be_loaded_must_be():
    asked = {"kernel_modules": ["virtio-net", "zram", "ext4"]}
    boot = FirstBoot(kernel_modules=("virtio-net", "zram", "ext4"))
    found = verdicts(asked, first_boot=boot, builtin_modules=frozenset({"ext4"}))
    assert found["kernel_modules.virtio-net"] == "pass"  # - and _ mean the same
    assert found["kernel_modules.ext4"] == "pass"  # built in
    assert found["kernel_modules.zram"] == "fail"
    left_out = verdicts(asked, first_boot=FirstBoot())
    assert left_out["kernel_modules.zram"] == "warning"  # the plan said so before


def test_each_enforced_setting_says_who_enforces_it():
    rows = (
        Enforcement("resources.vcpus", "2", "hypervisor", ""),
        Enforcement("network.bandwidth_mbps", "100", "guest", "tc"),
        Enforcement("network.security_groups", "web", "nobody", "no nft"),
        Enforcement("monitoring_tags.team", "db", "hypervisor", "record"),
    )
    applied = {
        "network.bandwidth_mbps": Applied("network.bandwidth_mbps", False, "", "tc refused the limit"),
        "monitoring_tags": Applied("monitoring_tags", True, "{}"),
    }
    evidence = verdicts(enforcement=rows, applied=applied)
    assert evidence["network.bandwidth_mbps"] == "fail"
    assert evidence["network.security_groups"] == "warning"
    assert evidence["monitoring_tags.team"] == "pass"


def test_failures_are_told_in_one_sentence():
    rows = table(
        Evidence(
            {},
            MachineSpec(key="k", name="x", vcpus=4, memory_mib=1024),
            FirstBoot(),
            10 * GIB,
            REPORT,
            firmware="bios",
        )
    )
    assert told(failures(rows)) == "resources.vcpus: asked for 4, found 2"


@pytest.mark.parametrize(
    ("verdicts", "word"),
    [
        (["pass", "not_checked"], "verified"),
        (["pass", "warning"], "warning"),
        (["pass", "warning", "fail"], "differs"),
        (["not_checked", "not_checked"], "not_checked"),
        ([], "not_checked"),
    ],
)
def test_machine_is_verified_only_where_something_was_checked_and_nothing_differs(verdicts, word):
    assert outcome(Row("packages.jq", "installed", "?", verdict) for verdict in verdicts) == word


def test_rows_are_read_as_they_were_written():
    row = Row("packages.jq", "installed", "not installed", "warning", "scan")
    assert read_rows([row.as_dict()]) == [row]
