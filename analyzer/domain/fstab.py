"""`/etc/fstab`: which file system is mounted where."""

import re
from collections.abc import Sequence
from typing import NamedTuple

# an NVMe disk of a virtual machine is a controller of its own, with one name space
_NODE = re.compile(
    r"/dev/(?:(?:[shv]d|xvd)(?P<letter>[a-z])(?P<part>\d*)"
    r"|(?:nvme(?P<controller>\d+)n\d+|mmcblk(?P<card>\d+))(?:p(?P<behind_p>\d+))?)"
)


class Mount(NamedTuple):
    spec: str  # "UUID=…", "/dev/vda1", "/dev/mapper/vg-root"
    point: str  # "/", "/boot", "none"
    kind: str


class Device(NamedTuple):
    """What a disk shows of one file system, enough to recognise how fstab may name it."""

    name: str  # "p2", "vg0/root", "disk"; of the second disk "disk1p2", "disk1"
    uuid: str = ""
    label: str = ""
    partition_uuid: str = ""
    partition_label: str = ""
    disk: int = 0  # 0 boots; of a logical volume -1: it may lie on several


def parse_fstab(text: str) -> list[Mount]:
    mounts = []
    for line in text.splitlines():
        words = line.split("#")[0].split()
        if len(words) >= 3:
            mounts.append(Mount(_unescaped(words[0]), _unescaped(words[1]), words[2]))
    return mounts


def meant(devices: Sequence[Device], spec: str) -> Device | None:
    """The device that fstab's `spec` means. Of the node of a disk ("/dev/sdb1") the letter counts where there are
    several; a single disk has had any letter."""
    several = any(device.disk > 0 for device in devices)
    return next((device for device in devices if names(device, spec, several)), None)


def names(device: Device, spec: str, several: bool = False) -> bool:
    """Whether fstab's `spec` means this device."""
    tag, _, value = spec.partition("=")
    value = value.strip("\"'")
    if tag in ("UUID", "LABEL", "PARTUUID", "PARTLABEL") and value:
        known = {
            "UUID": device.uuid,
            "LABEL": device.label,
            "PARTUUID": device.partition_uuid,
            "PARTLABEL": device.partition_label,
        }[tag]
        return known.lower() == value.lower() if "UUID" in tag else known == value
    folders = {"by-uuid": device.uuid, "by-label": device.label, "by-partuuid": device.partition_uuid}
    for folder, known in folders.items():
        if spec.startswith(f"/dev/disk/{folder}/"):
            return bool(known) and known.lower() == spec.rsplit("/", 1)[1].lower()
    return _names_node(device, spec, several)


def _names_node(device: Device, spec: str, several: bool) -> bool:
    name = device.name
    if "/" in name:  # a logical volume: /dev/vg/lv, or /dev/mapper/vg-lv with every hyphen doubled
        group, volume = name.split("/", 1)
        mapped = f"{group.replace('-', '--')}-{volume.replace('-', '--')}"
        return spec in (f"/dev/{group}/{volume}", f"/dev/mapper/{mapped}")
    match = _NODE.fullmatch(spec)
    if not match:
        return False
    partition = match["part"] or match["behind_p"]
    own = f"disk{device.disk}" if device.disk else ""
    same = name == (f"{own}p{partition}" if partition else own or "disk")
    return same and (not several or _disk_number(match) == device.disk)


def _disk_number(match: re.Match) -> int:
    return ord(match["letter"]) - ord("a") if match["letter"] else int(match["controller"] or match["card"])


def _unescaped(word: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), word)
