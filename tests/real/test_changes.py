"""Our reader of changes against QEMU's own NBD server, and the sums of a staged disk."""

import subprocess
from contextlib import contextmanager
from hashlib import sha256

import pytest

from analyzer.domain.extents import Changed, changed
from analyzer.sources.base import Refused
from analyzer.sources.libvirt import sums
from analyzer.sources.libvirt.changes import ALLOCATION
from analyzer.sources.libvirt.nbd import NbdExport
from tests.real import instance

pytestmark = pytest.mark.once

MIB = 1 << 20
DIRTY = "qemu:dirty-bitmap:moment"


def qemu(*words):
    subprocess.run(words, check=True, capture_output=True)


@contextmanager
def served(disk, socket):
    command = ["qemu-nbd", "-r", "-t", "-x", "vda", "-f", "qcow2", "-B", "moment", "-k", socket, disk]
    with subprocess.Popen(command) as server:
        try:
            instance.wait_until(socket.exists, "qemu-nbd listens")
            yield
        finally:
            server.kill()


@pytest.fixture
def export(tmp_path):
    """1 MiB and a bit at 8 MiB were written since the moment, and 1 MiB at 32 MiB was made zeros."""
    disk, socket = tmp_path / "disk.qcow2", tmp_path / "nbd.sock"
    qemu("qemu-img", "create", "-f", "qcow2", disk, "64M")
    qemu("qemu-io", "-c", "write -P 7 0 2M", "-c", "write -P 7 32M 2M", disk)
    qemu("qemu-img", "bitmap", "--add", disk, "moment")
    qemu("qemu-io", "-c", "write -P 9 8M 1M", "-c", "write -P 5 9M 512", "-c", "write -z 32M 1M", disk)
    with served(disk, socket):
        yield socket


def test_exactly_what_changed_is_told_and_read(export):
    with NbdExport(export, "vda", contexts=(ALLOCATION, DIRTY)) as disk:
        assert disk.size == 64 * MIB
        maps = disk.maps(0, disk.size)
        assert changed(0, maps[DIRTY], maps[ALLOCATION]) == [
            Changed(8 * MIB, MIB + 65536, False), Changed(32 * MIB, MIB, True),
        ]  # fmt: skip
        assert disk.read(8 * MIB, MIB) == b"\x09" * MIB
        assert disk.read(9 * MIB, 1024) == b"\x05" * 512 + bytes(512)
        assert disk.read(40 * MIB, 4 * MIB) == bytes(4 * MIB)


def test_what_is_not_there_is_refused(export):
    with pytest.raises(Refused, match="shows no"):
        NbdExport(export, "vda", contexts=(ALLOCATION, "qemu:dirty-bitmap:other"))
    with pytest.raises(Refused):
        NbdExport(export, "vdb", contexts=(ALLOCATION,))
    with NbdExport(export, "vda", contexts=(ALLOCATION,)) as disk, pytest.raises(Refused, match="could not read"):
        disk.read(64 * MIB, 512)


def test_the_sum_of_a_disk_is_of_what_it_holds_not_of_how_it_came_there(tmp_path):
    one, other = tmp_path / "one.raw", tmp_path / "other.raw"
    for file in (one, other):
        with open(file, "wb") as disk:
            disk.truncate(21 * MIB + 512)
    one.write_bytes(bytes(21 * MIB + 512))
    for file in (one, other):
        sums.take(file, lambda percent: None)
    assert sums.total(one) == sums.total(other)
    with open(one, "r+b") as disk:
        disk.seek(21 * MIB - 4)
        disk.write(b"changed")
    before = sums.total(one)
    sums.renew(one, [Changed(21 * MIB - 4, 7, False)])
    assert sums.total(one) != before
    expected = one.read_bytes()
    parts = [sha256(expected[at : at + sums.CHUNK]).digest() for at in range(0, len(expected), sums.CHUNK)]
    assert sums.total(one) == sha256(b"".join(parts)).hexdigest()
