"""Partition tables: GPT (UEFI 2.10 §5.3) and MBR with its chain of logical partitions.

Our own few lines rather than a library's, because what decides the boot mode is the type GUID, which
The Sleuth Kit keeps to itself.
"""

import struct
import uuid
import zlib
from collections.abc import Callable
from typing import NamedTuple

Read = Callable[[int, int], bytes]  # (offset, length) -> bytes, shorter at the end

ESP = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
BIOS_BOOT = "21686148-6449-6e6f-744e-656564454649"
EXTENDED = {0x05, 0x0F, 0x85}
MOST_PARTITIONS = 256  # 128 is the usual table; a chain or a table longer than this is a trap


class Partition(NamedTuple):
    number: int
    start_bytes: int
    size_bytes: int
    type: str  # GPT: GUID in lower case; MBR: "0x83"
    name: str = ""
    uuid: str = ""  # PARTUUID as in fstab
    bootable: bool = False


class Table(NamedTuple):
    kind: str  # "gpt", "mbr", "none"
    partitions: tuple[Partition, ...] = ()
    boot_code: bool = False  # the first 440 bytes hold something a BIOS would run
    damaged: str = ""  # what is wrong with the table, in words


def read_table(read: Read, size_bytes: int) -> Table:
    """The table of a disk of `size_bytes`; kind "none" for a disk without one (a file system may start at 0)."""
    sector = read(0, 512)
    boot_code = any(sector[:440])
    for sector_bytes in (512, 4096):
        partitions = _gpt(read, sector_bytes, sector_bytes, size_bytes)
        if partitions is not None:
            return Table("gpt", partitions, boot_code)
    if len(sector) < 512 or sector[510:512] != b"\x55\xaa":
        return Table("none", boot_code=boot_code)
    if any(entry[4] == 0xEE for entry in _entries(sector)):
        return _from_backup(read, size_bytes, boot_code)
    partitions = tuple(_mbr(read, sector, size_bytes))
    return Table("mbr" if partitions else "none", partitions, boot_code)


def _from_backup(read: Read, size_bytes: int, boot_code: bool) -> Table:
    for sector_bytes in (512, 4096):
        partitions = _gpt(read, size_bytes - sector_bytes, sector_bytes, size_bytes)
        if partitions is not None:
            return Table("gpt", partitions, boot_code, "the first GPT is damaged; its backup was read")
    return Table("gpt", (), boot_code, "the GPT and its backup are damaged or cut off")


def _gpt(read: Read, header_at: int, sector_bytes: int, size_bytes: int) -> tuple[Partition, ...] | None:
    header = read(max(header_at, 0), 512)
    if header[:8] != b"EFI PART" or len(header) < 92:
        return None
    header_size, checksum = struct.unpack_from("<II", header, 12)
    if not 92 <= header_size <= 512:
        return None
    unsigned = header[:16] + bytes(4) + header[20:header_size]
    entries_at, count, entry_size = struct.unpack_from("<QII", header, 72)
    if zlib.crc32(unsigned) != checksum or entry_size < 128 or entry_size > 4096:
        return None
    raw = read(entries_at * sector_bytes, min(count, MOST_PARTITIONS) * entry_size)
    found = []
    for index in range(len(raw) // entry_size):
        entry = raw[index * entry_size : (index + 1) * entry_size]
        if any(entry[:16]):
            found.append(_gpt_partition(index + 1, entry, sector_bytes))
    return tuple(each for each in found if 0 < each.start_bytes < size_bytes and each.size_bytes > 0)


def _gpt_partition(number: int, entry: bytes, sector_bytes: int) -> Partition:
    first, last, attributes = struct.unpack_from("<QQQ", entry, 32)
    return Partition(
        number=number,
        start_bytes=first * sector_bytes,
        size_bytes=(last - first + 1) * sector_bytes,
        type=str(uuid.UUID(bytes_le=entry[:16])),
        name=entry[56:128].decode("utf-16-le", "replace").split("\0")[0],
        uuid=str(uuid.UUID(bytes_le=entry[16:32])),
        bootable=bool(attributes & 4),
    )


def _entries(sector: bytes) -> list[bytes]:
    return [sector[446 + 16 * index : 462 + 16 * index] for index in range(4)]


def _mbr(read: Read, sector: bytes, size_bytes: int):
    signature = struct.unpack_from("<I", sector, 440)[0]
    for number, entry in enumerate(_entries(sector), start=1):
        kind, first, sectors = entry[4], *struct.unpack_from("<II", entry, 8)
        if kind in EXTENDED:
            yield from _logical(read, first, signature, size_bytes)
        elif kind and sectors and first * 512 < size_bytes:
            yield _mbr_partition(number, entry, first, signature)


def _logical(read: Read, base: int, signature: int, size_bytes: int):
    at, seen, number = base, set(), 5
    while at not in seen and at * 512 < size_bytes and len(seen) < MOST_PARTITIONS:
        seen.add(at)
        sector = read(at * 512, 512)
        if sector[510:512] != b"\x55\xaa":
            return
        here, onward = _entries(sector)[:2]
        first, sectors = struct.unpack_from("<II", here, 8)
        if here[4] and sectors and (at + first) * 512 < size_bytes:
            yield _mbr_partition(number, here, at + first, signature)
            number += 1
        if onward[4] not in EXTENDED:
            return
        at = base + struct.unpack_from("<I", onward, 8)[0]


def _mbr_partition(number: int, entry: bytes, first: int, signature: int) -> Partition:
    return Partition(
        number=number,
        start_bytes=first * 512,
        size_bytes=struct.unpack_from("<I", entry, 12)[0] * 512,
        type=f"0x{entry[4]:02x}",
        uuid=f"{signature:08x}-{number:02x}",
        bootable=entry[0] == 0x80,
    )
