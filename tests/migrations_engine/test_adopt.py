"""A disk that was copied before is taken over by the workbench as it is, also by whoever comes after a crash."""

import pytest

from migrations_engine.domain.machine import SourceDisk
from migrations_engine.targets.base import CopyFailed
from migrations_engine.targets.qemu.workbench import Workbench


@pytest.fixture
def bench(tmp_path):
    return Workbench(root=tmp_path / "machines")


def given(tmp_path, name="disk0.raw"):
    file = tmp_path / name
    file.write_bytes(b"boot" * 1024)
    return SourceDisk(str(file), "raw")


def test_the_file_itself_becomes_the_disk(bench, tmp_path):
    source = given(tmp_path)
    inode = (tmp_path / "disk0.raw").stat().st_ino
    disk = bench.adopt("run-1", 0, source, "raw")
    assert (disk.format, disk.virtual_bytes) == ("raw", 4096)
    assert bench._folder("run-1").raw.stat().st_ino == inode and not (tmp_path / "disk0.raw").exists()
    assert bench.adopt("run-1", 0, source, "raw") == disk


def test_a_disk_beside_it_keeps_its_place(bench, tmp_path):
    disk = bench.adopt("run-1", 1, given(tmp_path, "disk1.raw"), "raw")
    assert disk.path.endswith("disk1.raw") and bench._folder("run-1").data_disks()
    assert bench.adopt("run-1", 1, SourceDisk(str(tmp_path / "disk1.raw"), "raw"), "raw") == disk


def test_a_worker_that_died_after_the_move_is_followed_by_one_that_goes_on(bench, tmp_path):
    source, folder = given(tmp_path), bench._folder("run-1")
    folder.path.mkdir(parents=True)
    (tmp_path / "disk0.raw").rename(folder.raw)
    assert bench.adopt("run-1", 0, source, "raw").virtual_bytes == 4096


def test_a_disk_that_was_damaged_since_is_not_taken_for_a_new_one(bench, tmp_path):
    source, folder = given(tmp_path), bench._folder("run-1")
    bench.adopt("run-1", 0, source, "raw")
    folder.write(copied=None)
    with pytest.raises(CopyFailed, match="not here any more"):
        bench.adopt("run-1", 0, source, "raw")
