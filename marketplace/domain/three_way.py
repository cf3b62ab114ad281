"""Merging what has changed upstream into what a fork has changed itself, setting by setting."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

ABSENT: Any = object()


class Change(NamedTuple):
    """What each side says of a path; None where one does not say it."""

    path: str
    base: Any
    ours: Any
    theirs: Any


@dataclass(frozen=True)
class Merge:
    """`taken` from upstream, `kept` of ours, by path; in `conflicts` both have changed it, and not to the same; `open`
    are those that nobody has decided."""

    merged: dict[str, Any]
    taken_values: list[Change]
    kept_values: list[Change]
    conflicts: list[Change]
    open: list[str]

    @property
    def taken(self) -> list[str]:
        return [each.path for each in self.taken_values]

    @property
    def kept(self) -> list[str]:
        return [each.path for each in self.kept_values]


def three_way(
    base: dict[str, Any],
    ours: dict[str, Any],
    theirs: dict[str, Any],
    choices: Mapping[str, str] | None = None,
) -> Merge:
    """A list is one value, as everywhere. `choices`: {path: "ours" | "theirs"} of the conflicts."""
    choices = choices or {}
    old, own, new = (_leaves(each) for each in (base, ours, theirs))
    merged: dict[tuple[str, ...], Any] = {}
    taken, kept, conflicts, undecided = [], [], [], []
    for path in sorted({*old, *own, *new}):
        before, mine, upstream = (leaves.get(path, ABSENT) for leaves in (old, own, new))
        name = "/".join(path)
        change = Change(name, *(_told(each) for each in (before, mine, upstream)))
        value = mine
        if mine == before and upstream != before:
            value = upstream
            taken.append(change)
        elif mine != before and upstream in (before, mine):
            kept.append(change)
        elif mine != before:
            conflicts.append(change)
            value = upstream if choices.get(name) == "theirs" else mine
            if choices.get(name) not in ("ours", "theirs"):
                undecided.append(name)
        if value is not ABSENT:
            merged[path] = value
    return Merge(_tree(merged), taken, kept, conflicts, undecided)


def _leaves(data: dict[str, Any], path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    found: dict[tuple[str, ...], Any] = {}
    for key, value in data.items():
        if isinstance(value, dict) and value:
            found.update(_leaves(value, (*path, key)))
        else:
            found[(*path, key)] = value
    return found


def _tree(leaves: dict[tuple[str, ...], Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, value in leaves.items():
        at = tree
        for key in path[:-1]:
            at = at.setdefault(key, {})
            if not isinstance(at, dict):
                raise ValueError(f"{'/'.join(path)} is a value here and a group there")
        at[path[-1]] = value
    return tree


def _told(value: Any) -> Any:
    return None if value is ABSENT else value
