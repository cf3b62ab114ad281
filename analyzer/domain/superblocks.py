"""What stands at the start of a partition: file system, swap, LVM, LUKS, RAID, told by its superblock.

Layouts: Linux `fs/*/` headers, LUKS1/LUKS2 on-disk format, LVM2 label, Microsoft FAT and NTFS documents.
Sizes in bytes; `used_bytes` None where the superblock does not tell.
"""

import struct
import uuid
from collections.abc import Callable
from typing import NamedTuple

from analyzer.domain.lvm import physical_identity

Read = Callable[[int, int], bytes]

READABLE = {"ext2", "ext3", "ext4", "xfs", "vfat", "ntfs", "iso9660"}
NOT_FOR_FILES = {"swap", "lvm", "luks", "raid", "bitlocker"}


class Superblock(NamedTuple):
    kind: str
    label: str = ""
    uuid: str = ""
    size_bytes: int = 0
    used_bytes: int | None = None
    dirty: bool = False  # its journal has to be replayed: the disk was copied while the machine ran


def identify(read: Read) -> Superblock:
    """The superblock that `read` (relative to the partition's start) shows; kind "unknown" if none is known."""
    head = read(0, 68 * 1024)
    for detect in _DETECTORS:
        try:
            found = detect(head, read)
        except struct.error:
            continue  # the partition ends in the middle of what would be its superblock
        if found:
            return found
    return Superblock("unknown")


def _text(raw: bytes) -> str:
    return raw.split(b"\0")[0].decode("utf-8", "backslashreplace").strip()


def _uuid(raw: bytes) -> str:
    return str(uuid.UUID(bytes=raw)) if len(raw) == 16 else ""


def _luks(head: bytes, read: Read):
    if head.startswith(b"LUKS\xba\xbe"):
        label = _text(head[24:72]) if head[7:8] == b"\x02" else ""  # only LUKS2 has one
        return Superblock("luks", label, _text(head[168:208]))


def _lvm(head: bytes, read: Read):
    identity = physical_identity(head)
    if identity is not None:
        return Superblock("lvm", uuid=identity)


def _raid(head: bytes, read: Read):
    # metadata 1.1 and 1.2; 1.0 and 0.90 stand at the end and leave the file system readable
    for at in (0, 4096):
        if head[at : at + 4] == b"\xfc\x4e\x2b\xa9":
            return Superblock("raid", _text(head[at + 32 : at + 64]), _uuid(head[at + 16 : at + 32]))


def _xfs(head: bytes, read: Read):
    if not head.startswith(b"XFSB") or len(head) < 512:
        return None
    block, blocks = struct.unpack_from(">IQ", head, 4)
    log_start, log_blocks, free = (
        struct.unpack_from(">Q", head, 48)[0],
        struct.unpack_from(">I", head, 96)[0],
        struct.unpack_from(">Q", head, 144)[0],
    )
    usable = blocks - (log_blocks if log_start else 0)
    used = max(usable - free, 0) * block
    return Superblock("xfs", _text(head[108:120]), _uuid(head[32:48]), blocks * block, used)


def _ext(head: bytes, read: Read):
    block = head[1024:2048]
    if block[56:58] != b"\x53\xef" or len(block) < 1024:
        return None
    blocks, free = struct.unpack_from("<I", block, 4)[0], struct.unpack_from("<I", block, 12)[0]
    compat, incompat = struct.unpack_from("<II", block, 92)
    if incompat & 0x80:  # 64bit
        blocks |= struct.unpack_from("<I", block, 0x150)[0] << 32
        free |= struct.unpack_from("<I", block, 0x158)[0] << 32
    size = 1024 << min(struct.unpack_from("<I", block, 24)[0], 6)
    kind = "ext4" if incompat & 0x2C0 else "ext3" if compat & 4 else "ext2"  # extents, 64bit, flex_bg
    return Superblock(
        kind,
        _text(block[120:136]),
        _uuid(block[104:120]),
        blocks * size,
        max(blocks - free, 0) * size,
        dirty=bool(incompat & 4),
    )


def _btrfs(head: bytes, read: Read):
    block = head[65536:]
    if block[64:72] != b"_BHRfS_M":
        return None
    size, used = struct.unpack_from("<QQ", block, 112)
    return Superblock("btrfs", _text(block[299:555]), _uuid(block[32:48]), size, used)


def _ntfs(head: bytes, read: Read):
    if head[3:11] == b"-FVE-FS-":
        return Superblock("bitlocker")
    if head[3:11] != b"NTFS    ":
        return None
    bytes_per_sector, sectors = struct.unpack_from("<H", head, 11)[0], struct.unpack_from("<Q", head, 40)[0]
    return Superblock("ntfs", "", head[72:80][::-1].hex().upper(), sectors * bytes_per_sector)


def _vfat(head: bytes, read: Read):
    if head[510:512] != b"\x55\xaa":
        return None
    if head[82:87] == b"FAT32":
        serial, label = head[67:71], head[71:82]
    elif head[54:59] in (b"FAT12", b"FAT16"):
        serial, label = head[39:43], head[43:54]
    else:
        return None
    bytes_per_sector = struct.unpack_from("<H", head, 11)[0]
    sectors = struct.unpack_from("<H", head, 19)[0] or struct.unpack_from("<I", head, 32)[0]
    volume = serial[::-1].hex().upper()
    name = _text(label)
    return Superblock(
        "vfat",
        "" if name == "NO NAME" else name,
        f"{volume[:4]}-{volume[4:]}",
        sectors * bytes_per_sector,
        _fat32_used(head, read, bytes_per_sector) if head[82:87] == b"FAT32" else None,
    )


def _fat32_used(head: bytes, read: Read, bytes_per_sector: int) -> int | None:
    info_at = struct.unpack_from("<H", head, 48)[0] * bytes_per_sector
    info = read(info_at, 512)
    if info[484:488] != b"rrAa" or len(info) < 512:
        return None
    free = struct.unpack_from("<I", info, 488)[0]
    per_cluster = head[13]
    reserved = struct.unpack_from("<H", head, 14)[0] + head[16] * struct.unpack_from("<I", head, 36)[0]
    sectors = struct.unpack_from("<I", head, 32)[0]
    if free == 0xFFFFFFFF or not per_cluster or sectors < reserved:
        return None
    clusters = (sectors - reserved) // per_cluster
    return max(clusters - free, 0) * per_cluster * bytes_per_sector


def _swap(head: bytes, read: Read):
    for page in (4096, 8192, 16384, 65536):
        if head[page - 10 : page] in (b"SWAPSPACE2", b"SWAP-SPACE"):
            last_page = struct.unpack_from("<I", head, 1028)[0]
            return Superblock("swap", _text(head[1052:1068]), _uuid(head[1036:1052]), (last_page + 1) * page)


def _iso9660(head: bytes, read: Read):
    if head[32769:32774] == b"CD001":
        blocks = struct.unpack_from("<I", head, 32848)[0]
        return Superblock("iso9660", _text(head[32808:32840]), "", blocks * 2048)


def _others(head: bytes, read: Read):
    if head.startswith((b"hsqs", b"sqsh")):
        return Superblock("squashfs")
    if head[1024:1028] == b"\x10\x20\xf5\xf2":
        return Superblock("f2fs")
    uberblocks = read(128 * 1024, 128 * 1024)
    for at in range(0, len(uberblocks) - 8, 1024):
        if uberblocks[at : at + 8] in (b"\x0c\xb1\xba\0\0\0\0\0", b"\0\0\0\0\0\xba\xb1\x0c"):
            return Superblock("zfs")


# LUKS, LVM and RAID first: stale bytes of an older file system often survive beneath them
_DETECTORS = (_luks, _lvm, _raid, _xfs, _ext, _btrfs, _ntfs, _vfat, _swap, _iso9660, _others)
