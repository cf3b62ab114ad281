"""An OVA: a tar with an OVF description and its disks (DMTF DSP0243). Nothing is unpacked.

A member's name is only compared, never used as a path; a disk is read where it stands in the tar. The OVF
is read with patterns, not an XML parser: entities and DTDs of a hostile one then mean nothing.
"""

import io
import re
import tarfile
from collections.abc import Callable
from typing import NamedTuple

MOST_MEMBERS = 1000  # an OVA has a handful
_DISK_DRIVE = "17"  # CIM resource type
LONGEST_OVF = 4 << 20


class BadOva(ValueError):
    """A tar that is no OVA, or a damaged one; the message is for the user."""


class OvaDisk(NamedTuple):
    name: str
    offset: int  # in the tar
    size: int


class Ova(NamedTuple):
    disks: tuple[
        OvaDisk, ...
    ]  # in the order of their controllers and addresses: the first is the one that boots
    vcpus: int | None
    memory_mib: int | None


def read_ova(read: Callable[[int, int], bytes], size_bytes: int) -> Ova:
    """`read(offset, length)` gives the file's bytes. Raises BadOva."""
    members = _members(read, size_bytes)
    description = next((each for each in members if each.name.lower().endswith(".ovf")), None)
    if description is None:
        raise BadOva("a tar file without an OVF description")
    text = read(description.offset_data, min(description.size, LONGEST_OVF)).decode("utf-8", "replace")
    if re.search(r"<(?:\w+:)?File\s[^>]*\bcompression=\"gzip\"", text):
        raise BadOva("its disks are compressed a second time (ovf:compression)")
    by_name = {each.name: each for each in members}
    wanted = _disk_names(text)
    names = [name for name in wanted if name in by_name]
    if names and len(names) < len(wanted):
        lost = next(name for name in wanted if name not in by_name)
        raise BadOva(f"its disk {lost[:100]} is not in the archive")
    if not names:
        raise BadOva("the OVF names no disk that is in the archive")
    disks = tuple(OvaDisk(name, by_name[name].offset_data, by_name[name].size) for name in names)
    return Ova(disks, *_hardware(text))


class _File(io.RawIOBase):
    """The tar as the file object that tarfile wants."""

    def __init__(self, read: Callable[[int, int], bytes], size_bytes: int):
        self._read, self._size, self._at = read, size_bytes, 0

    def read(self, length: int = -1) -> bytes:
        data = self._read(self._at, self._size - self._at if length < 0 else length)
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at


def _members(read: Callable[[int, int], bytes], size_bytes: int) -> list[tarfile.TarInfo]:
    found = []
    try:
        with tarfile.open(fileobj=_File(read, size_bytes), mode="r:") as archive:
            for member in archive:
                if len(found) >= MOST_MEMBERS:
                    raise BadOva(f"a tar with more than {MOST_MEMBERS} members is no OVA")
                if member.isreg() and not member.issparse():
                    found.append(member)
    except (tarfile.TarError, ValueError, OverflowError, MemoryError) as error:
        raise BadOva(str(error) if isinstance(error, BadOva) else f"a damaged tar: {error}") from None
    if any(each.offset_data + each.size > size_bytes for each in found):
        raise BadOva("the OVA is cut off")
    return found


def _disk_names(ovf: str) -> list[str]:
    """File names of the disks, in the order in which a machine's firmware sees them."""
    files = {
        attributes.get("id", ""): attributes.get("href", "")
        for attributes in _tags(ovf, "File", ("id", "href"))
    }
    disks = [
        (attributes.get("diskId", ""), files[attributes["fileRef"]])
        for attributes in _tags(ovf, "Disk", ("diskId", "fileRef"))
        if attributes.get("fileRef") in files
    ]
    order = _drive_order(ovf)
    # a disk that no drive names comes last; sorting keeps the order of DiskSection where nothing else is said
    disks.sort(key=lambda disk: order.get(disk[0], len(order)))
    return list(dict.fromkeys(name for _, name in disks))


def _tags(ovf: str, tag: str, names: tuple[str, ...]) -> list[dict[str, str]]:
    found = re.findall(rf"<(?:\w+:)?{tag}\s([^>]*)>", ovf)[:MOST_MEMBERS]
    wanted = "|".join(names)
    return [
        dict(re.findall(rf"(?:\w+:)?\b({wanted})\s*=\s*\"([^\"]*)\"", attributes)) for attributes in found
    ]


def _drive_order(ovf: str) -> dict[str, int]:
    """Disk id → its place among the drives: by controller as they are listed, then by the address on it."""
    items = _items(ovf)
    controllers = [_value(item, "InstanceID") for item in items]
    drives = []
    for item in items:
        host = re.search(r"HostResource>\s*ovf:/?/?disk/([^<\s]+)\s*<", item)
        if _value(item, "ResourceType") == _DISK_DRIVE and host:
            parent, address = _value(item, "Parent"), _value(item, "AddressOnParent")
            place = controllers.index(parent) if parent in controllers else len(controllers)
            drives.append((place, int(address) if address.isdecimal() else 0, host[1]))
    return {disk: number for number, (_, _, disk) in enumerate(sorted(drives, key=lambda each: each[:2]))}


def _items(ovf: str) -> list[str]:
    return re.findall(r"<(?:\w+:)?Item[\s>](.{0,4000}?)</(?:\w+:)?Item>", ovf, re.DOTALL)[:MOST_MEMBERS]


def _value(item: str, name: str) -> str:
    found = re.search(rf"<(?:\w+:)?{name}>\s*([^<]{{1,100}}?)\s*<", item)
    return found[1] if found else ""


def _hardware(ovf: str) -> tuple[int | None, int | None]:
    """vCPUs and memory (CIM resource types 3 and 4; memory is in 2^20 bytes as every producer writes it)."""
    amounts = {}
    for item in _items(ovf):
        kind, amount = _value(item, "ResourceType"), _value(item, "VirtualQuantity")
        if amount.isdecimal() and len(amount) < 10:
            amounts.setdefault(kind, int(amount))
    return amounts.get("3"), amounts.get("4")
