"""Sizes and room: on the target, and on the root file system."""

from collections.abc import Iterable, Mapping
from typing import Any

from migrations_engine.domain.blueprint import root_disk_bytes
from migrations_engine.domain.concerns.outlook import Concern, Outlook, Severity
from migrations_engine.domain.machine import GIB
from migrations_engine.domain.settings_path import leaf

MIB = 2**20


def _disk(o: Outlook) -> Iterable[Concern]:
    if not o.disks:
        return
    asked = leaf(o.settings, "resources.root_disk_gib", 0) * GIB
    size = o.disks[0]["virtual_size_bytes"]
    if asked and asked < size:
        yield Concern(
            "disk.would_shrink",
            "Storage",
            Severity.WARNING,
            f"Asked for {asked // GIB} GiB, the disk has {size / GIB:.1f} GiB and keeps it: no disk is shrunk.",
            "Ask for a larger root disk, or make the disk smaller before.",
            "resources.root_disk_gib",
        )
    yield from _space(o)


def _needed(o: Outlook) -> int:
    """The first disk is there twice for a while: the copy, and the copy in its final format."""
    first, *others = o.disks
    return 2 * (_held(first) + o.software.needed_bytes) + sum(_held(disk) for disk in others)


def _staging(o: Outlook) -> Iterable[Concern]:
    if o.staging is None or not o.disks:
        return
    staged, free = sum(_held(disk) for disk in o.disks), o.staging["free_bytes"]
    at_once = staged + (_needed(o) if o.staging["shares_room"] else 0)
    if at_once > free:
        is_hopeless = staged > free and o.staging["is_certain"]
        beside = ", and the copy is made beside them" if at_once > staged else ""
        yield Concern(
            "space.staging",
            "Storage",
            Severity.CRITICAL if is_hopeless else Severity.WARNING,
            f"The hypervisor's disks are fetched to this machine first: {staged / GIB:.1f} GiB{beside}, which takes"
            f" {at_once / GIB:.1f} GiB; {free / GIB:.1f} GiB are free.",
            "Give the folder of fetched disks (STAGING_DIR) more room.",
        )


def _space(o: Outlook) -> Iterable[Concern]:
    first, *others = o.disks
    needed = _needed(o)
    grown = root_disk_bytes(o.settings, source_bytes=first["virtual_size_bytes"])
    most = grown + sum(disk["virtual_size_bytes"] for disk in others)
    if o.free_bytes is not None and o.free_bytes < needed:
        yield Concern(
            "space.target",
            "Storage",
            Severity.CRITICAL,
            f"The copy needs {needed / GIB:.1f} GiB, the target has {o.free_bytes / GIB:.1f} GiB free.",
            "Remove a migrated machine that is not needed, or give the target more room.",
        )
    elif o.free_bytes is not None and o.free_bytes < most:
        yield Concern(
            "space.overcommitted",
            "Storage",
            Severity.WARNING,
            f"The {'disks' if others else 'disk'} can grow to more than the target has free.",
            "Watch the target's free space.",
        )


def _held(disk: Mapping[str, Any]) -> int:
    return disk.get("allocated_bytes") or disk["virtual_size_bytes"]


def _room(o: Outlook) -> Iterable[Concern]:
    """On the root file system, which grows with its disk."""
    root = o.facts.root_filesystem if o.facts else None
    if not o.software.adds or root is None or root.used_bytes is None or not o.disks:
        return
    size = o.disks[0]["virtual_size_bytes"]
    grows = root_disk_bytes(o.settings, source_bytes=size) - size
    free = max(root.size_bytes - root.used_bytes, 0) + grows
    if free < o.software.needed_bytes:
        yield Concern(
            "packages.no_room",
            "Storage",
            Severity.CRITICAL,
            f"The packages to be installed need {mib(o.software.needed_bytes)} on the root file system,"
            f" which has {mib(free)} free.",
            "Ask for a larger root disk, or for fewer packages.",
            "resources.root_disk_gib",
        )


def mib(size: int) -> str:
    return f"{size / MIB:.1f} MiB"


RULES = (_disk, _staging, _room)
