"""Kinds of target, in one table."""

from pathlib import Path

from migrations_engine.targets.base import Target
from migrations_engine.targets.qemu.target import QemuTarget

TARGETS: dict[str, type] = {"qemu": QemuTarget}  # a literal: a duplicate key is a lint error (ruff F601)


def open_target(kind: str, *, root: Path) -> Target:
    """The target of that kind, keeping what it makes under `root`. Raises KeyError for an unknown kind."""
    return TARGETS[kind](root=root)
