"""Kinds of target, in one table."""

from pathlib import Path

from migrations_engine.targets.base import Target
from migrations_engine.targets.libvirt.place import Place
from migrations_engine.targets.libvirt.target import LibvirtTarget
from migrations_engine.targets.qemu.target import QemuTarget

TARGETS: dict[str, type] = {  # a literal: a duplicate key is a lint error (ruff F601)
    "libvirt": LibvirtTarget,
    "qemu": QemuTarget,
}


def open_target(kind: str, *, root: Path, place: Place | None = None) -> Target:
    """The target of that kind, keeping what it makes here under `root`. Raises KeyError for an unknown kind.

    `place`: for one that is elsewhere.
    """
    return TARGETS[kind](root=root) if place is None else TARGETS[kind](root=root, place=place)
