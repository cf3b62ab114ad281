"""Partition tables and superblocks, against what sfdisk, blkid and the makers of file systems say."""

import json
import os
import random

import pytest

from analyzer.domain.image_format import sniff
from analyzer.domain.partitions import read_table
from analyzer.domain.superblocks import identify
from tests.disks import MIB, make_filesystem, partition, run


def reader(path, start=0):
    descriptor = os.open(path, os.O_RDONLY)
    return lambda offset, length: os.pread(descriptor, length, start + offset) if length > 0 else b""


def disk(path, script, size=64 * MIB):
    with path.open("wb") as file:
        file.truncate(size)
    partition(path, script)
    return path


LAYOUTS = {
    "gpt": """label: gpt
2048,2048,21686148-6449-6E6F-744E-656564454649
start=4096, size=32768, type=U, name="EFI System"
start=40960
""",
    "mbr": """label: dos
2048,20480,83,*
22528,4096,82
28672,,5
30720,8192,83
40960,8192,8e
""",
}


@pytest.mark.parametrize("kind", LAYOUTS)
def test_partitions_are_those_of_sfdisk(tmp_path, kind):
    path = disk(tmp_path / "d", LAYOUTS[kind])
    told = json.loads(run("sfdisk", "-J", path))["partitiontable"]["partitions"]
    extended = {"5", "f"}
    expected = [
        (
            int(each["node"].removeprefix(str(path))),
            each["start"] * 512,
            each["size"] * 512,
            bool(each.get("bootable")),
        )
        for each in told
        if each["type"] not in extended
    ]
    table = read_table(reader(path), path.stat().st_size)
    assert table.kind == kind
    assert [
        (each.number, each.start_bytes, each.size_bytes, each.bootable) for each in table.partitions
    ] == expected
    types = [each["type"].lower() if kind == "gpt" else f"0x{int(each['type'], 16):02x}" for each in told]
    assert [each.type for each in table.partitions] == [
        each for each in types if each not in ("0x05", "0x0f")
    ]
    if kind == "gpt":
        assert [each.uuid for each in table.partitions] == [each["uuid"].lower() for each in told]
        assert [each.name for each in table.partitions] == ["", "EFI System", ""]


def test_a_damaged_gpt_is_read_from_its_backup(tmp_path):
    path = disk(tmp_path / "d", LAYOUTS["gpt"])
    whole = read_table(reader(path), path.stat().st_size)
    with path.open("r+b") as file:
        file.seek(512)
        file.write(b"damage")
    table = read_table(reader(path), path.stat().st_size)
    assert table.partitions == whole.partitions
    assert "backup" in table.damaged


def test_a_gpt_cut_off_before_its_backup_says_so(tmp_path):
    path = disk(tmp_path / "d", LAYOUTS["gpt"])
    with path.open("r+b") as file:
        file.seek(512)
        file.write(b"damage")
        file.truncate(32 * MIB)
    table = read_table(reader(path), 32 * MIB)
    assert (table.kind, table.partitions) == ("gpt", ())
    assert table.damaged


def test_a_chain_of_logical_partitions_that_bites_its_tail_ends(tmp_path):
    path = disk(tmp_path / "d", LAYOUTS["mbr"])
    with path.open("r+b") as file:  # the second entry of the first EBR points back to itself
        file.seek(28672 * 512 + 446 + 16)
        file.write(bytes([0, 0, 0, 0, 5, 0, 0, 0]) + bytes(4) + b"\1\0\0\0")
    assert len(read_table(reader(path), path.stat().st_size).partitions) <= 4


@pytest.mark.parametrize("kind", ["ext2", "ext3", "ext4", "xfs"])
def test_superblocks_tell_what_blkid_tells(tmp_path, kind):
    path = tmp_path / "d"
    size = 400 * MIB
    with path.open("wb") as file:
        file.truncate(size)
    (tmp_path / "empty").mkdir()
    make_filesystem(path, tmp_path / "empty", kind, 0, size)
    told = dict(
        line.split("=", 1) for line in run("blkid", "-p", "-o", "export", path).splitlines() if "=" in line
    )
    found = identify(reader(path))
    assert (found.kind, found.uuid, found.label) == (told["TYPE"], told["UUID"], "root")
    assert found.size_bytes == size
    assert 0 < found.used_bytes < size // 4


def test_swap_is_told_by_its_signature(tmp_path):
    path = tmp_path / "d"
    with path.open("wb") as file:
        file.truncate(8 * MIB)
    run("mkswap", "-q", "-L", "paging", path)
    found = identify(reader(path))
    assert (found.kind, found.label, found.size_bytes) == ("swap", "paging", 8 * MIB)


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"LUKS\xba\xbe\0\1" + bytes(160) + b"abc-def".ljust(40, b"\0"), "luks"),
        (bytes(512) + b"LABELONE" + bytes(16) + b"LVM2 001", "lvm"),
        (bytes(4096) + b"\xfc\x4e\x2b\xa9" + bytes(100), "raid"),
        (b"\xeb\x52\x90NTFS    " + bytes(600), "ntfs"),
        (b"\xeb\x58\x90-FVE-FS-" + bytes(600), "bitlocker"),
        (bytes(65536 + 64) + b"_BHRfS_M" + bytes(4096), "btrfs"),
        (b"", "unknown"),
        (bytes(70000), "unknown"),
    ],
)
def test_what_is_no_file_system_for_us_is_still_named(head, kind):
    assert identify(lambda offset, length: head[offset : offset + length]).kind == kind


def test_random_bytes_are_never_more_than_unknown_or_named():
    source = random.Random(7)
    magics = [b"XFSB", b"\x53\xef", b"_BHRfS_M", b"EFI PART", b"\x55\xaa", b"NTFS    ", b"FAT32", b"LABELONE"]
    for _ in range(300):
        data = bytearray(source.randbytes(128 * 1024))
        for magic in magics:
            at = source.choice([0, 3, 82, 510, 512, 1080, 4096, 65600])
            data[at : at + len(magic)] = magic

        def read(offset, length, data=bytes(data)):
            return data[offset : offset + length] if length > 0 and offset >= 0 else b""

        table = read_table(read, len(data))
        assert all(each.start_bytes < len(data) for each in table.partitions)
        assert isinstance(identify(read).kind, str)
        sniff(bytes(data))


@pytest.mark.parametrize("length", [0, 1, 511, 512, 1081, 2000, 32774, 33000, 65700])
def test_a_partition_that_ends_inside_its_superblock_is_survived(length):
    data = bytearray(70_000)
    for at, magic in (
        (0, b"XFSB"),
        (1080, b"\x53\xef"),
        (32769, b"CD001"),
        (65600, b"_BHRfS_M"),
        (4086, b"SWAPSPACE2"),
    ):
        data[at : at + len(magic)] = magic
    for start in (0, 4):  # with XFS's magic, and without it so that the others are reached
        short = bytes(data[start:length]) if not start else bytes(4) + bytes(data[4:length])
        assert identify(lambda offset, count, short=short: short[offset : offset + count]).kind
