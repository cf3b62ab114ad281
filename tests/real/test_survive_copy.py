"""What can happen to a copy while it is made: no room, a source that shrinks, a killed qemu-img. No half disk stays."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from migrations_engine.domain.machine import SourceDisk
from migrations_engine.targets.base import CopyFailed
from migrations_engine.targets.qemu import images
from tests.real.instance import left_behind

PROJECT = Path(__file__).resolve().parents[2]
MIB = 2**20
COPY_WHERE_THERE_IS_NO_ROOM = """
import os, subprocess, sys
from pathlib import Path
from migrations_engine.domain.machine import SourceDisk
from migrations_engine.targets.base import CopyFailed
from migrations_engine.targets.registry import open_target

root, source = map(Path, sys.argv[1:])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", root], check=True)
target = open_target("qemu", root=root)
for attempt in (1, 2):
    try:
        target.copy("full", SourceDisk(str(source), "raw"))
    except CopyFailed as error:
        print(error)
        print(sorted(path.name for path in (root / "full").iterdir() if path.stat().st_size))
    subprocess.run(["mount", "-o", "remount,size=96m", root], check=True)
print(target.checksum(SourceDisk(str(root / "full" / "disk.raw"), "raw")))
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """So much data that a copy is still under way when something happens to it."""
    path = tmp_path_factory.mktemp("large") / "large.raw"
    with open(path, "wb") as file:
        for _ in range(256):
            file.write(os.urandom(MIB))
    return path


def test_full_disk_is_named_keeps_no_half_copy_and_with_room_the_copy_succeeds(tmp_path):
    root, source = tmp_path / "machines", tmp_path / "source.raw"
    root.mkdir()
    source.write_bytes(os.urandom(40 * MIB))
    # a mount of its own name space: nobody else sees it, and it is gone with the process
    apart = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"])]
    done = subprocess.run(
        [*apart, sys.executable, "-c", COPY_WHERE_THERE_IS_NO_ROOM, str(root), str(source)],
        cwd=PROJECT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    cause, left, checksum = done.stdout.splitlines()
    assert cause.startswith("source.raw could not be copied:") and "No space left on device" in cause
    assert (left, checksum) == ("[]", images.checksum(source))


def test_source_that_is_truncated_while_it_is_read_never_becomes_a_disk(qemu, large):
    def truncate(done, total):
        os.truncate(large, 64 * MIB)

    try:
        with pytest.raises(CopyFailed, match=r"large\.raw changed its size while it was copied"):
            qemu.copy("truncated", SourceDisk(str(large), "raw"), truncate)
    finally:
        with open(large, "r+b") as file:
            file.truncate(256 * MIB)
    assert left_by("truncated", qemu) == []


def test_killed_qemu_img_is_named_and_the_copy_can_be_made_again(qemu, large):
    def kill(done, total):
        for pid in copying(large):
            with suppress(ProcessLookupError):  # what was killed at the call before may still be seen
                os.kill(pid, signal.SIGKILL)

    with pytest.raises(CopyFailed, match=r"large\.raw could not be copied: qemu-img was ended by SIGKILL"):
        qemu.copy("killed-tool", SourceDisk(str(large), "raw"), kill)
    assert left_by("killed-tool", qemu) == []
    assert left_behind(large) == []
    disk = qemu.copy("killed-tool", SourceDisk(str(large), "raw"))
    assert images.checksum(Path(disk.path)) == images.checksum(large)


def copying(source: Path) -> list[int]:
    """Pids of the qemu-img that reads it; bwrap, which names it on its command line, is another process."""
    pids = [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]
    return [pid for pid in pids if is_copying(pid, source)]


def is_copying(pid: int, source: Path) -> bool:
    try:
        is_tool = Path(f"/proc/{pid}/comm").read_text() == "qemu-img\n"
        return is_tool and f"{source.parent.name}/{source.name}" in Path(f"/proc/{pid}/mountinfo").read_text()
    except OSError:
        return False  # it ended while we looked


def left_by(key: str, qemu) -> list[str]:
    return sorted(path.name for path in (qemu.root / key).iterdir() if path.stat().st_size)
