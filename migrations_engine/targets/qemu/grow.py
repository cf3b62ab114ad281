"""Makes a raw disk, its last partition and the ext4 in it larger, without the guest."""

import os
import struct
from pathlib import Path

from migrations_engine.domain.machine import Growth
from migrations_engine.targets.base import FilesystemDamaged, PrepareRefused
from migrations_engine.targets.qemu import sandbox
from migrations_engine.targets.qemu.rootfs import Ext4, Partition, has_ext, partitions
from migrations_engine.targets.qemu.sandbox import Sandboxed

RESIZE_TIMEOUT_S = 1800
SECTOR = 512
FILESYSTEM_STEP = 64 * 1024  # a multiple of every block size that ext4 has


def grow(image: Path, size: int) -> Growth:
    """Reaches `size` bytes, never shrinks. What is not ext4 in the last partition is left to the guest, in words.

    Raises FilesystemDamaged: the copy is then of no use any more.
    """
    before = image.stat().st_size
    size = max(size - size % SECTOR, before)
    if size > before:
        os.truncate(image, size)
    last = next((each for each in partitions(image) if each.last), None)
    if last is None:
        return Growth(size, None, None, "the guest: the disk has no partition that could take the new room")
    if last.number is not None:
        _stretch(image, last)
        last = next(each for each in partitions(image) if each.number == last.number)
    if not has_ext(image, last):
        return Growth(
            size, last.size, None, "the guest: its last file system is not ext4 and grows while mounted"
        )
    return Growth(size, last.size, _resize(image, size, last))


def _stretch(image: Path, last: Partition) -> None:
    """The partition takes all room behind it; sfdisk also writes GPT's second header to the very end."""
    command = ("sh", "-c", f"echo ', +' | sfdisk --quiet --no-reread --no-tell-kernel -N {last.number} /disk")
    ended = sandbox.run(Sandboxed(command, write={"/disk": image}), 60)
    if ended.exit_code:
        raise PrepareRefused(f"the last partition could not grow: {ended.stderr.strip()}")


def _resize(image: Path, size: int, last: Partition) -> int:
    """The file system fills its partition; its size in bytes.

    resize2fs cuts a regular file down to the file system's size, not knowing that this one begins at an offset. So the
    image is cut to that very size before, which leaves resize2fs nothing to cut, and is lengthened again after.
    """
    disk, wanted, old = (
        Ext4(image, last),
        last.size // FILESYSTEM_STEP * FILESYSTEM_STEP,
        _ext_bytes(image, last),
    )
    disk.mend(thoroughly=True)
    if wanted < last.start + old:
        return old  # less room was gained than lies before the partition: not worth a file system's growth
    os.truncate(image, wanted)
    command = ("resize2fs", f"/disk?offset={last.start}", f"{wanted // 1024}K")
    ended = sandbox.run(Sandboxed(command, write={"/disk": image}), RESIZE_TIMEOUT_S)
    os.truncate(image, size)
    if last.number is not None:
        _stretch(image, last)  # GPT's second header was cut off with the end
    if ended.exit_code:
        words = (ended.stdout + ended.stderr).strip().splitlines()
        raise FilesystemDamaged(f"the root file system could not grow: {'; '.join(words[-2:])}")
    disk.require_clean()
    return _ext_bytes(image, last)


def _ext_bytes(image: Path, partition: Partition) -> int:
    """From the superblock (https://docs.kernel.org/filesystems/ext4/super.html)."""
    with open(image, "rb") as file:
        file.seek(partition.start + 1024)
        block = file.read(1024)
    low, high = struct.unpack_from("<I", block, 0x4)[0], struct.unpack_from("<I", block, 0x150)[0]
    wide = (
        struct.unpack_from("<I", block, 0x60)[0] & 0x80
    )  # the 64bit feature: only then does the high half count
    return (low | (high << 32 if wide else 0)) * (1024 << struct.unpack_from("<I", block, 0x18)[0])
