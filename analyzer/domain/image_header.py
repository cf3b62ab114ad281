"""The header of a disk image: how large its disk is, and whether other files belong to it.

Enough for a list of images without opening any of them with QEMU. Layouts: as in `image_format`.
"""

import struct
from collections.abc import Callable

Read = Callable[[int, int], bytes]

_VHDX_METADATA_REGION = bytes.fromhex("06a27c8b90479a4bb8fe575f050f886e")
_VHDX_VIRTUAL_SIZE = bytes.fromhex("2442a52f1bcd7648b2115dbed83bf4b8")


class BadHeader(ValueError):
    """The image cannot be used as it is; the message is for the user."""


def virtual_size(image_format: str, read: Read, file_bytes: int) -> int:
    """Bytes of the disk in an image of this format (no OVA). Raises BadHeader for one that needs other files."""
    if image_format == "raw":
        return file_bytes
    try:
        return _SIZES[image_format](read, file_bytes)
    except struct.error:
        raise BadHeader("its header is cut off") from None


def _qcow2(read: Read, file_bytes: int) -> int:
    version, backing, _length, _bits, size, crypt = struct.unpack(">4xIQIIQI", read(0, 36))
    if backing:
        raise BadHeader("it has a backing file: make a complete image of it (qemu-img convert)")
    if crypt:
        raise BadHeader("the image itself is encrypted")
    if version == 3 and struct.unpack(">Q", read(72, 8))[0] & 4:
        raise BadHeader("it keeps its data in another file: make a complete image of it (qemu-img convert)")
    return size


def _vmdk(read: Read, file_bytes: int) -> int:
    if not read(0, 4) == b"KDMV":
        raise BadHeader("a VMDK whose data is in other files: make one file of it (qemu-img convert)")
    return struct.unpack("<Q", read(12, 8))[0] * 512


def _vdi(read: Read, file_bytes: int) -> int:
    return struct.unpack("<Q", read(0x170, 8))[0]


def _vpc(read: Read, file_bytes: int) -> int:
    """The footer's current size; at the start of a dynamic image stands a copy of it."""
    for at in (0, max(file_bytes - 512, 0)):
        footer = read(at, 512)
        if footer.startswith(b"conectix"):
            if struct.unpack_from(">I", footer, 60)[0] == 4:
                raise BadHeader("a differencing VHD needs its parent: make a complete image of it")
            return struct.unpack_from(">Q", footer, 48)[0]
    raise BadHeader("its footer is missing")


def _vhdx(read: Read, file_bytes: int) -> int:
    table = read(192 * 1024, 64 * 1024)
    regions = min(struct.unpack_from("<I", table, 8)[0], 2047)
    for index in range(regions):
        if table[16 + 32 * index : 32 + 32 * index] == _VHDX_METADATA_REGION:
            return _vhdx_size(read, struct.unpack_from("<Q", table, 32 + 32 * index)[0])
    raise BadHeader("its metadata is missing")


def _vhdx_size(read: Read, metadata_at: int) -> int:
    table = read(metadata_at, 64 * 1024)
    items = min(struct.unpack_from("<H", table, 10)[0], 2047)
    for index in range(items):
        if table[32 + 32 * index : 48 + 32 * index] == _VHDX_VIRTUAL_SIZE:
            offset = struct.unpack_from("<I", table, 48 + 32 * index)[0]
            return struct.unpack("<Q", read(metadata_at + offset, 8))[0]
    raise BadHeader("its virtual size is missing")


_SIZES = {"qcow2": _qcow2, "vmdk": _vmdk, "vdi": _vdi, "vpc": _vpc, "vhdx": _vhdx}
