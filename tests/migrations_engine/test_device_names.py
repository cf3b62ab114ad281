"""Disks that are called by where they sit, in a machine where they sit elsewhere."""

import pytest

from analyzer.domain.facts import Filesystem
from migrations_engine.domain.device_names import by_uuid, stale, with_root, with_uuids
from tests.migrations_engine.estate import facts


def filesystem(device: str, mounted_as: str = "", **columns) -> Filesystem:
    return Filesystem(device=device, kind="ext4", uuid=device, mounted_as=mounted_as, **columns)


@pytest.mark.parametrize(
    ("filesystem", "bus", "is_stale"),
    [
        (filesystem("p1", "/dev/sda1"), "virtio", True),
        (filesystem("p1", "/dev/sda1"), "sata", False),
        (filesystem("p1", "/dev/vda1"), "scsi", True),
        (filesystem("p1", "/dev/nvme0n1p1"), "virtio", True),
        (filesystem("p1", "UUID=p1"), "virtio", False),
        (filesystem("p1", "/dev/sdb1"), "sata", True),  # the only disk has had another letter
        (filesystem("disk1", "/dev/sdb", disk=1), "sata", True),  # of two, the kernel numbers them as they answer
        (filesystem("disk1", "/dev/vdb", disk=1), "virtio", False),
        (filesystem("disk1p2", "/dev/sdb2", disk=1), "virtio", True),
        (filesystem("vg0/root", "/dev/mapper/vg0-root"), "virtio", False),
    ],
)
def test_name_is_stale_where_the_bus_gives_another(filesystem, bus, is_stale):
    assert bool(stale(facts(filesystems=(filesystem,)), bus)) == is_stale


def test_every_name_but_the_planned_one_becomes_a_uuid():
    names = by_uuid(
        facts(filesystems=(filesystem("p1", "/dev/nvme0n1p1"), filesystem("disk1", disk=1))), "virtio"
    )
    assert names["/dev/sda1"] == names["/dev/nvme0n1p1"] == "UUID=p1"
    assert names["/dev/sdb"] == "UUID=disk1"
    assert not {"/dev/vda1", "/dev/vdb"} & set(names)


def test_fstab_means_what_it_meant_where_two_disks_change_places():
    swapped = (filesystem("p1"), filesystem("disk1p1", "/dev/vda1", disk=1))
    assert by_uuid(facts(filesystems=swapped), "virtio")["/dev/vda1"] == "UUID=disk1p1"


def test_only_whole_names_are_replaced():
    names = {"/dev/sda1": "UUID=a"}
    assert with_uuids("/dev/sda1 / ext4\n/dev/sda10 /x ext4\n#/dev/sda1\n", names) == (
        "UUID=a / ext4\n/dev/sda10 /x ext4\n#/dev/sda1\n"
    )
    assert with_root("root=/dev/sda1 myroot=/dev/sda1 root=/dev/sda10", names) == (
        "root=UUID=a myroot=/dev/sda1 root=/dev/sda10"
    )
