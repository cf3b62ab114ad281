"""`/etc/fstab`: which file system is mounted where."""

import re
from typing import NamedTuple


class Mount(NamedTuple):
    spec: str  # "UUID=…", "/dev/vda1", "/dev/mapper/vg-root"
    point: str  # "/", "/boot", "none"
    kind: str


class Device(NamedTuple):
    """What a disk shows of one file system, enough to recognise how fstab may name it."""

    name: str  # "p2", "vg0/root", "disk"
    uuid: str = ""
    label: str = ""
    partition_uuid: str = ""
    partition_label: str = ""


def parse_fstab(text: str) -> list[Mount]:
    mounts = []
    for line in text.splitlines():
        words = line.split("#")[0].split()
        if len(words) >= 3:
            mounts.append(Mount(_unescaped(words[0]), _unescaped(words[1]), words[2]))
    return mounts


def names(device: Device, spec: str) -> bool:
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
    return _names_node(device.name, spec)


def _names_node(name: str, spec: str) -> bool:
    if "/" in name:  # a logical volume: /dev/vg/lv, or /dev/mapper/vg-lv with every hyphen doubled
        group, volume = name.split("/", 1)
        mapped = f"{group.replace('-', '--')}-{volume.replace('-', '--')}"
        return spec in (f"/dev/{group}/{volume}", f"/dev/mapper/{mapped}")
    match = re.fullmatch(r"/dev/(?:[shv]d[a-z]|xvd[a-z]|nvme\d+n\d+p|mmcblk\d+p)(\d+)", spec)
    return bool(match) and name == f"p{match[1]}"


def _unescaped(word: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), word)
