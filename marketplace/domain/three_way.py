"""Merging what has changed upstream into what a fork has changed itself, setting by setting."""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any, NamedTuple

ABSENT: Any = object()
Path = tuple[str, ...]


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
    """A list is one value, as everywhere, and so is a group where a side says none at all (null): half of it beside
    that null would be neither's wish. `choices`: {path: "ours" | "theirs"} of the conflicts."""
    choices = choices or {}
    sides = (base, ours, theirs)
    whole = {path for each in sides for path, value in _leaves(each).items() if not isinstance(value, dict)}
    old, own, new = (_leaves(each, whole) for each in sides)
    merged: dict[Path, Any] = {}
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


def _leaves(data: dict[str, Any], whole: Set[Path] = frozenset(), path: Path = ()) -> dict[Path, Any]:
    """What stands at the paths of `whole` is not taken apart."""
    found: dict[Path, Any] = {}
    for key, value in data.items():
        here = (*path, key)
        if isinstance(value, dict) and value and here not in whole:
            found.update(_leaves(value, whole, here))
        else:
            found[here] = value
    return found


def _tree(leaves: dict[Path, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, value in leaves.items():
        at = tree
        for key in path[:-1]:
            at = at.setdefault(key, {})
        at[path[-1]] = value
    return tree


def _told(value: Any) -> Any:
    return None if value is ABSENT else value
