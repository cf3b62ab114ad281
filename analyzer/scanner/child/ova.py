"""An OVA: a tar with an OVF description and its disks (DMTF DSP0243). Nothing is unpacked.

The disk is read where it stands in the tar. A member's name is only compared, never used as a path.
"""

import re
import tarfile

from analyzer.scanner.child.disk import RawDisk, Unreadable, Window

MOST_MEMBERS = 1000  # an OVA has a handful
LONGEST_OVF = 4 << 20


class Appliance:
    """`disks`: (name, offset, size) in the order of the OVF; the first is the one that boots."""

    def __init__(self, disks: list[tuple[str, int, int]]):
        self.disks = disks


def read_ova(disk: RawDisk) -> Appliance:
    """Raises Unreadable for a tar that is no OVA or is cut off."""
    members = _members(disk)
    description = next((each for each in members if each.name.lower().endswith(".ovf")), None)
    if description is None:
        raise Unreadable("a tar file without an OVF description")
    text = disk.pread(description.offset_data, min(description.size, LONGEST_OVF)).decode("utf-8", "replace")
    if re.search(r"<(?:\w+:)?File\s[^>]*\bcompression=\"gzip\"", text):
        raise Unreadable("its disks are compressed a second time (ovf:compression)")
    by_name = {each.name: each for each in members}
    names = [name for name in _disk_names(text) if name in by_name]
    if not names:
        raise Unreadable("the OVF names no disk that is in the archive")
    return Appliance([(name, by_name[name].offset_data, by_name[name].size) for name in names])


def _members(disk: RawDisk) -> list[tarfile.TarInfo]:
    found = []
    try:
        with tarfile.open(fileobj=Window(disk, 0, disk.size), mode="r:") as archive:
            for member in archive:
                if not member.isreg() or member.issparse():
                    continue
                if member.offset_data + member.size > disk.size:
                    raise Unreadable("the OVA is cut off")
                found.append(member)
                if len(found) > MOST_MEMBERS:
                    raise Unreadable(f"a tar with more than {MOST_MEMBERS} members is no OVA")
    except (tarfile.TarError, ValueError, OverflowError) as error:
        raise Unreadable(f"a damaged tar: {error}") from None
    return found


def _disk_names(ovf: str) -> list[str]:
    """File names of the disks: References/File by id, in the order of DiskSection/Disk.

    Read with patterns, not an XML parser: entities and DTDs of a hostile OVF then mean nothing.
    """
    files = {}
    for tag in re.findall(r"<(?:\w+:)?File\s([^>]*)>", ovf)[:MOST_MEMBERS]:
        attributes = dict(re.findall(r"(?:\w+:)?(id|href)\s*=\s*\"([^\"]*)\"", tag))
        files[attributes.get("id", "")] = attributes.get("href", "")
    references = re.findall(r"<(?:\w+:)?Disk\s[^>]*?(?:\w+:)?fileRef\s*=\s*\"([^\"]*)\"", ovf)
    return [files[each] for each in references[:MOST_MEMBERS] if each in files]
