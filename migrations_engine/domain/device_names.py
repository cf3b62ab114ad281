"""Names of a disk by where it sits ("/dev/sda1"), which another bus changes: in the copy they become UUIDs."""

import re
from collections.abc import Callable, Mapping

from analyzer.domain.facts import Facts, Filesystem

FAMILIES = ("sd", "vd", "hd", "xvd")
FAMILY_ON = {"virtio": "vd", "sata": "sd", "scsi": "sd"}
_NODE = re.compile(r"/dev/(?:(?:[shv]d|xvd)[a-z]\d*|nvme\d+n\d+(?:p\d+)?|mmcblk\d+(?:p\d+)?)")
_PARTITION = re.compile(r"(?:disk(?P<disk>\d+))?(?:disk|p(?P<number>\d+))?")


def stale(facts: Facts, bus: str) -> list[Filesystem]:
    """File systems that fstab calls by a name which the planned machine has not, or has for something else."""
    planned = _planned(facts, bus)
    return [
        each
        for each in facts.filesystems
        if _NODE.fullmatch(each.mounted_as) and each.mounted_as != planned(each)
    ]


def by_uuid(facts: Facts, bus: str) -> Mapping[str, str]:
    """{"/dev/sda1": "UUID=…"}: what fstab says that will not be so, and what the boot menu may say.

    A name that is right in the planned machine is in it only where fstab means another file system by it.
    """
    known = [each for each in facts.filesystems if each.uuid]
    planned = set(map(_planned(facts, bus), facts.filesystems))
    guessed = {_node(each, family): each for each in known for family in FAMILIES}
    certain = {each.mounted_as: each for each in stale(facts, bus) if each.uuid}
    names = {node: each for node, each in guessed.items() if node and node not in planned} | certain
    return {node: f"UUID={each.uuid}" for node, each in names.items()}


def _planned(facts: Facts, bus: str) -> Callable[[Filesystem], str]:
    """The name of a file system in the planned machine; "" where nobody knows: of several `sd` the kernel calls the
    first that answers sda, at each boot anew."""
    family = FAMILY_ON[bus]
    if family == "sd" and any(each.disk for each in facts.filesystems):
        return lambda each: ""
    return lambda each: _node(each, family)


def _node(filesystem: Filesystem, family: str) -> str:
    """ "" for a logical volume, whose name does not change."""
    if not (match := _PARTITION.fullmatch(filesystem.device)):
        return ""
    letter = chr(ord("a") + filesystem.disk)
    return f"/dev/{family}{letter}{match['number'] or ''}"


def with_uuids(text: str, names: Mapping[str, str]) -> str:
    """A file of mounts: the first word of each row replaced where it is one of `names`, all else as it was."""
    return re.sub(r"(?m)^([ \t]*)(/dev/\S+)", lambda m: m[1] + names.get(m[2], m[2]), text)


def with_root(text: str, names: Mapping[str, str]) -> str:
    """A boot menu or its settings: `root=` of the kernel's command line replaced where it is one of `names`."""
    return re.sub(r"\broot=(/dev/[a-z0-9]+)\b", lambda m: f"root={names.get(m[1], m[1])}", text)
