"""Copies of disks: whole or not at all, hostile images refused, the source never written."""

import errno
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from migrations_engine.domain.machine import GIB, SourceDisk
from migrations_engine.targets.base import CopyFailed, CopyMismatch, ImageRefused, no_progress
from migrations_engine.targets.qemu import images, verified_copy
from migrations_engine.targets.qemu.images import Pair
from migrations_engine.targets.qemu.verified_copy import compare, copy_compared
from tests.disks import converted, make_ova

MIB = 2**20
PROJECT = Path(__file__).resolve().parents[2]


def make_image(path: Path, megabytes: int = 4) -> Path:
    """Raw, with data at both ends and a hole between."""
    with open(path, "wb") as file:
        file.write(os.urandom(MIB))
        file.truncate(megabytes * MIB)
        file.seek((megabytes - 1) * MIB)
        file.write(os.urandom(MIB))
    return path


def qemu_img(*arguments) -> None:
    subprocess.run(["qemu-img", *map(str, arguments)], check=True, capture_output=True)


def sha256(path) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


@pytest.mark.parametrize("image_format", ["raw", "qcow2", "vmdk", "vhdx", "vdi"])
def test_a_copy_holds_the_bytes_of_its_source(qemu, tmp_path, image_format):
    raw = make_image(tmp_path / "a.raw")
    source = tmp_path / f"source.{image_format}"
    qemu_img("convert", "-f", "raw", "-O", image_format, raw, source)
    before = sha256(source)
    disk = qemu.copy(f"bytes-{image_format}", SourceDisk(str(source), image_format))
    assert sha256(disk.path) == sha256(raw)
    assert disk.virtual_bytes == raw.stat().st_size
    assert sha256(source) == before


def test_a_copy_is_as_sparse_as_its_source(qemu, tmp_path):
    disk = qemu.copy("sparse", SourceDisk(str(make_image(tmp_path / "a.raw", megabytes=512)), "raw"))
    assert Path(disk.path).stat().st_blocks * 512 < 8 * MIB


def test_progress_counts_bytes_up_to_the_size(qemu, tmp_path):
    seen = []
    qemu.copy(
        "progress", SourceDisk(str(make_image(tmp_path / "a.raw")), "raw"), lambda *each: seen.append(each)
    )
    assert seen[-1] == (4 * MIB, 4 * MIB)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_a_finished_copy_is_kept(qemu, tmp_path):
    source = SourceDisk(str(make_image(tmp_path / "a.raw")), "raw")
    first = Path(qemu.copy("kept", source).path).stat()
    again = Path(qemu.copy("kept", source).path).stat()
    assert (first.st_ino, first.st_mtime_ns) == (again.st_ino, again.st_mtime_ns)


def test_half_a_copy_is_made_anew(qemu, tmp_path):
    raw = make_image(tmp_path / "a.raw")
    folder = qemu.root / "half"
    folder.mkdir(parents=True)
    (folder / "disk.raw.part").write_bytes(b"half")
    (folder / "disk.raw").write_bytes(b"renamed, but never recorded")
    assert sha256(qemu.copy("half", SourceDisk(str(raw), "raw")).path) == sha256(raw)
    assert not (folder / "disk.raw.part").exists()


@pytest.mark.parametrize("image_format", ["raw", "qcow2"])
def test_a_data_disk_is_copied_in_its_final_format_beside_the_one_that_boots(qemu, tmp_path, image_format):
    key, boots = f"two-{image_format}", make_image(tmp_path / "a.raw")
    first = Path(qemu.copy(key, SourceDisk(str(boots), "raw")).path).stat()
    (qemu.root / key / f"disk1.{image_format}.part").write_bytes(b"half")
    (qemu.root / key / f"disk1.{image_format}").write_bytes(b"renamed, but never recorded")
    data = make_image(tmp_path / "b.raw")
    disk = qemu.copy_data(key, 1, SourceDisk(str(data), "raw"), image_format)
    assert (disk.format, disk.virtual_bytes) == (image_format, 4 * MIB)
    qemu_img("compare", "-f", "raw", "-F", image_format, data, disk.path)
    again = qemu.copy_data(key, 1, SourceDisk(str(tmp_path / "gone"), "raw"), "raw")
    assert again == disk  # what is finished is kept
    assert Path(qemu.copy(key, SourceDisk(str(boots), "raw")).path).stat().st_mtime_ns == first.st_mtime_ns
    removed = qemu.destroy(key)
    assert set(removed) == {"disk.raw", f"disk1.{image_format}", "record.json"}


def test_the_disks_of_an_ova_are_copied_from_where_they_stand(qemu, tmp_path):
    raws = [make_image(tmp_path / f"{name}.raw") for name in ("a", "b")]
    vmdks = [converted(raw, "vmdk", subformat="streamOptimized") for raw in raws]
    packed = make_ova(tmp_path / "vm.ova", vmdks)
    before = sha256(packed)
    disk = qemu.copy("ova", SourceDisk(str(packed), "ova", "vm-disk1.vmdk"))
    data = qemu.copy_data("ova", 1, SourceDisk(str(packed), "ova", "vm-disk2.vmdk"), "raw")
    assert [sha256(each.path) for each in (disk, data)] == [sha256(raw) for raw in raws]
    assert sha256(packed) == before
    with pytest.raises(ImageRefused, match="holds no disk gone"):
        qemu.copy("ova-2", SourceDisk(str(packed), "ova", "gone"))


def test_a_vmdk_in_an_ova_that_names_another_file_is_refused(qemu, tmp_path):
    flat = tmp_path / "flat.vmdk"
    converted(make_image(tmp_path / "a.raw"), "vmdk", flat, subformat="monolithicFlat")
    text = flat.read_text().replace("flat-flat.vmdk", "/source")  # the archive itself, as if it were the disk
    flat.write_text(text.ljust(65536, "\n"))
    with pytest.raises(ImageRefused):
        qemu.copy("hostile", SourceDisk(str(make_ova(tmp_path / "vm.ova", [flat])), "ova", "vm-disk1.vmdk"))


class Cancelled(Exception):
    pass


def test_what_the_callback_raises_stops_the_copy_and_leaves_no_disk(qemu, tmp_path):
    def cancel(done, total):
        raise Cancelled

    source = SourceDisk(str(make_image(tmp_path / "a.raw", megabytes=64)), "raw")
    with pytest.raises(Cancelled):
        qemu.copy("cancelled", source, cancel)
    assert not (qemu.root / "cancelled" / "disk.raw").exists()
    assert qemu.copy("cancelled", source).virtual_bytes == 64 * MIB


def test_a_copy_that_differs_is_named(tmp_path):
    one, other = make_image(tmp_path / "a.raw"), make_image(tmp_path / "b.raw")
    with pytest.raises(CopyMismatch):
        compare(Pair(one, "raw", other, "raw", 4 * MIB), no_progress)


@pytest.mark.parametrize("image_format", ["raw", "qcow2"])
@pytest.mark.parametrize("differs_at", [0, 5 * MIB - 1, 5 * MIB, 12 * MIB + 7, 16 * MIB + 511])
def test_one_byte_is_found_in_whichever_slice_it_lies(tmp_path, monkeypatch, image_format, differs_at):
    monkeypatch.setattr(verified_copy, "SLICE_BYTES", MIB)
    one, size = make_image(tmp_path / "a.raw", megabytes=16), 16 * MIB + 512
    os.truncate(one, size)
    source, copy = converted(one, image_format, tmp_path / "source"), converted(one, "raw", tmp_path / "copy")
    pair = Pair(source, image_format, copy, "raw", size)
    told = []
    compare(pair, lambda done, total: told.append((done, total)))
    assert told[-1] == (size, size)
    with open(pair.copy, "r+b") as file:
        file.seek(differs_at)
        before = file.read(1)
        file.seek(differs_at)
        file.write(bytes([before[0] ^ 1]))
    with pytest.raises(CopyMismatch, match="differs"):
        compare(pair, no_progress)


@pytest.mark.parametrize("image_format", ["raw", "qcow2"])
def test_a_byte_that_the_medium_received_wrongly_is_found(tmp_path, monkeypatch, image_format):
    def convert(pair, progress):
        images.convert(pair, progress)
        wrong = tmp_path / "wrong.raw"
        wrong.write_bytes(b"x" + pair.source.read_bytes()[1:])
        qemu_img("convert", "-f", "raw", "-O", image_format, wrong, pair.copy)

    raw = make_image(tmp_path / "a.raw")
    with open(raw, "r+b") as file:
        file.write(b"y")
    monkeypatch.setattr(verified_copy, "convert", convert)
    with pytest.raises(CopyMismatch, match="differs"):
        copy_compared(Pair(raw, "raw", tmp_path / "copy", image_format, 4 * MIB), no_progress)


def test_a_copy_that_cannot_be_brought_to_the_medium_is_none(tmp_path, monkeypatch):
    def sync(path):
        time.sleep(1)  # the comparison ends first
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(verified_copy, "sync", sync)
    pair = Pair(make_image(tmp_path / "a.raw"), "raw", tmp_path / "copy", "raw", 4 * MIB)
    with pytest.raises(OSError, match="Input/output"):
        copy_compared(pair, no_progress)


@pytest.mark.parametrize("longer", ["source", "copy"])
def test_a_size_that_differs_in_zeros_only_is_found(tmp_path, monkeypatch, longer):
    monkeypatch.setattr(verified_copy, "SLICE_BYTES", MIB)
    pair = Pair(make_image(tmp_path / "a.raw"), "raw", tmp_path / "b.raw", "raw", 4 * MIB)
    pair.copy.write_bytes(pair.source.read_bytes())
    os.truncate(getattr(pair, longer), 5 * MIB)
    with pytest.raises(CopyMismatch, match="changed its size"):
        compare(pair, no_progress)


def test_what_the_callback_raises_ends_every_slice_of_a_comparison(tmp_path, monkeypatch):
    monkeypatch.setattr(verified_copy, "SLICE_BYTES", MIB)
    one = make_image(tmp_path / "a.raw", megabytes=64)
    callers = set()

    def cancel(done, total):
        callers.add(threading.get_ident())
        raise Cancelled

    with pytest.raises(Cancelled):
        compare(Pair(one, "raw", one, "raw", 64 * MIB), cancel)
    assert callers == {threading.get_ident()}


def test_a_copy_that_breaks_off_is_an_error_with_the_tools_words(tmp_path):
    raw = make_image(tmp_path / "a.raw")
    with pytest.raises(CopyFailed, match=r"a\.raw"):
        images.convert(Pair(raw, "qcow2", tmp_path / "copy", "raw", 4 * MIB), no_progress)


def test_a_backing_file_is_refused(qemu, tmp_path):
    secret = make_image(tmp_path / "secret.raw")
    hostile = tmp_path / "hostile.qcow2"
    qemu_img("create", "-f", "qcow2", "-b", secret, "-F", "raw", hostile)
    with pytest.raises(ImageRefused, match="self-contained"):
        qemu.copy("backing", SourceDisk(str(hostile), "qcow2"))


def test_an_external_data_file_is_refused(qemu, tmp_path):
    hostile = tmp_path / "hostile.qcow2"
    qemu_img(
        "create", "-f", "qcow2", "-o", f"data_file={tmp_path / 'outside'},data_file_raw=on", hostile, "1M"
    )
    with pytest.raises(ImageRefused):
        qemu.copy("datafile", SourceDisk(str(hostile), "qcow2"))


def test_a_vmdk_that_names_another_file_as_its_extent_is_refused(qemu, tmp_path):
    (tmp_path / "secret").write_bytes(b"s" * MIB)
    hostile = tmp_path / "hostile.vmdk"
    hostile.write_text(
        '# Disk DescriptorFile\nversion=1\nCID=11111111\nparentCID=ffffffff\ncreateType="monolithicFlat"\n'
        f'RW 2048 FLAT "{tmp_path / "secret"}" 0\nddb.adapterType = "ide"\n'
    )
    with pytest.raises(ImageRefused):
        qemu.copy("extent", SourceDisk(str(hostile), "vmdk"))


def test_a_size_beyond_reason_is_refused(qemu, tmp_path):
    qemu_img("create", "-f", "qcow2", tmp_path / "giant.qcow2", "60T")
    with pytest.raises(ImageRefused, match="bytes large"):
        qemu.copy("giant", SourceDisk(str(tmp_path / "giant.qcow2"), "qcow2"))


def test_garbage_and_unknown_formats_are_refused(qemu, tmp_path):
    (tmp_path / "garbage").write_bytes(os.urandom(4096))
    with pytest.raises(ImageRefused):
        qemu.copy("garbage", SourceDisk(str(tmp_path / "garbage"), "qcow2"))
    with pytest.raises(ImageRefused, match="no format"):
        qemu.copy("garbage", SourceDisk(str(tmp_path / "garbage"), "luks"))
    with pytest.raises(ImageRefused, match="no file"):
        qemu.copy("garbage", SourceDisk(str(tmp_path / "nothing"), "raw"))


def test_the_checksum_of_a_file_with_holes_is_that_of_its_bytes(qemu, tmp_path):
    raw = make_image(tmp_path / "a.raw", megabytes=20)
    with open(raw, "ab") as file:
        file.truncate(21 * MIB + 17)
    assert qemu.checksum(SourceDisk(str(raw), "raw")) == sha256(raw)


def test_the_checksum_notices_one_changed_bit(qemu, tmp_path):
    raw = make_image(tmp_path / "a.raw")
    before = qemu.checksum(SourceDisk(str(raw), "raw"))
    with open(raw, "r+b") as file:
        file.seek(2 * MIB)
        file.write(b"\1")
    assert qemu.checksum(SourceDisk(str(raw), "raw")) != before


COPY_FOR_EVER = """
import sys, time
from pathlib import Path
from migrations_engine.domain.machine import SourceDisk
from migrations_engine.targets.registry import open_target

def slow(done, total):
    print("copying", flush=True)
    time.sleep(600)

open_target("qemu", root=Path(sys.argv[1])).copy("killed", SourceDisk(sys.argv[2], "raw"), slow)
"""


def test_killing_the_worker_leaves_no_copying_process_and_the_copy_can_be_made(qemu, tmp_path):
    raw = tmp_path / "large.raw"
    with open(raw, "wb") as file:  # so much data that the copy is still under way when its worker dies
        for _ in range(384):
            file.write(os.urandom(MIB))
    worker = subprocess.Popen(
        [sys.executable, "-c", COPY_FOR_EVER, str(qemu.root), str(raw)],
        cwd=PROJECT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with worker:
        assert worker.stdout.readline() == "copying\n"
        worker.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while running(str(raw)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert running(str(raw)) == []
    disk = qemu.copy("killed", SourceDisk(str(raw), "raw"))
    assert qemu.checksum(SourceDisk(disk.path, "raw")) == qemu.checksum(SourceDisk(str(raw), "raw"))


def running(word: str) -> list[str]:
    """Command lines that hold the word, this process's excepted."""
    lines = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes().decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if word in line and int(entry.name) != os.getpid():
            lines.append(line)
    return lines


def test_a_disk_may_grow_but_never_shrinks(qemu, source, tiny):
    disk = qemu.copy("grows", source)
    assert qemu.grow(disk, 1 * GIB).disk_bytes == 1 * GIB
    assert qemu.grow(disk, 64 * MIB).disk_bytes == 1 * GIB
