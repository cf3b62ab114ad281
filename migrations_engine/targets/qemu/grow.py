"""Makes a raw disk, its last partition and the ext4 in it larger, without the guest."""

import os
from pathlib import Path

from migrations_engine.domain.machine import Growth
from migrations_engine.targets.base import FilesystemDamaged, PrepareRefused
from migrations_engine.targets.qemu import sandbox
from migrations_engine.targets.qemu.rootfs import Ext4, Partition, has_ext, partitions
from migrations_engine.targets.qemu.sandbox import Sandboxed

RESIZE_TIMEOUT_S = 1800


def grow(image: Path, size: int) -> Growth:
    """Reaches `size` bytes, never shrinks. What is not ext4 in the last partition is left to the guest, in words."""
    before = image.stat().st_size
    size = max(size - size % 512, before)
    if size > before:
        os.truncate(image, size)
    last = next((each for each in partitions(image) if each.last), None)
    if last is None:
        return Growth(size, None, None, "the guest: the disk has no partition that could take the new room")
    if last.number is not None and size > before:
        _stretch(image, last)
        last = next(each for each in partitions(image) if each.number == last.number)
    if not has_ext(image, last):
        return Growth(size, last.size, None, "the guest: its last file system is not ext4 and grows while mounted")
    return Growth(size, last.size, _resize(image, last))


def _stretch(image: Path, last: Partition) -> None:
    """sfdisk also moves GPT's second header to the new end."""
    command = ("sh", "-c", f"echo ', +' | sfdisk --quiet --no-reread --no-tell-kernel -N {last.number} /disk")
    ended = sandbox.run(Sandboxed(command, write={"/disk": image}), 60)
    if ended.exit_code:
        raise PrepareRefused(f"the last partition could not grow: {ended.stderr.strip()}")


def _resize(image: Path, last: Partition) -> int:
    """The file system fills its partition; its size in bytes."""
    disk = Ext4(image, last)
    disk.check(repair=True)
    command = ("resize2fs", f"/disk?offset={last.start}", f"{last.size // 1024}K")
    ended = sandbox.run(Sandboxed(command, write={"/disk": image}), RESIZE_TIMEOUT_S)
    if ended.exit_code:
        words = (ended.stdout + ended.stderr).strip().splitlines()
        raise FilesystemDamaged(f"the root file system could not grow: {'; '.join(words[-2:])}")
    disk.check(repair=False)
    return last.size // 1024 * 1024
