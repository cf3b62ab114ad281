"""The origins of a merge as a table to read: in groups, with names and units, what was replaced, added, refused."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from personas.domain.checks import check_words
from personas.domain.labels import GROUPS, Label
from personas.domain.scripts import entry_words
from personas.domain.settings import MAP_LEAVES

SHOWN_GROUPS = {**GROUPS, "Document": {"schema_version": Label("Version of the vocabulary", "")}}
BASE_KINDS = {"system", "template"}
"""Where a move starts from; what stands above them has changed something."""

_LABEL = re.compile(
    r"^(?:driver set (?P<via>\S+) via )?(?P<kind>[a-z_]+)(?::(?P<name>.*?))?(?:@(?P<revision>\d+))?$",
    re.DOTALL,
)


@dataclass(frozen=True)
class Who:
    """A layer to show: `kind` colours it, `via` is the driver set that it speaks through."""

    kind: str
    name: str
    revision: str = ""
    via: str = ""

    @property
    def is_base(self) -> bool:
        return self.kind in BASE_KINDS


@dataclass(frozen=True)
class Said:
    value: Any
    who: Who
    is_new: bool = False  # an item that a layer above the template added
    locked_by: str = ""

    @property
    def words(self) -> str:
        """An item of a list in words: a script by its name, a check by its kind and where it looks."""
        if not isinstance(self.value, Mapping):
            return str(self.value)
        if "kind" in self.value:
            return check_words(self.value)
        return entry_words(self.value)


@dataclass(frozen=True)
class Row:
    """`value` None: un-said. `replaced` differ from the value, `agreed` said the same; `items` only of a list."""

    path: str
    label: Label
    value: Any
    who: Who
    rule: str = ""
    replaced: Sequence[Said] = ()
    agreed: Sequence[Who] = ()
    items: Sequence[Said] | None = None
    refused: Sequence[Said] = ()
    base_value: Any = None

    @property
    def authors(self) -> list[Who]:
        """Who set it; of a list everyone who brought an item, in order."""
        return list(dict.fromkeys(item.who for item in self.items)) if self.items else [self.who]

    @property
    def is_unset(self) -> bool:
        return self.value is None and not self.refused_only

    @property
    def refused_only(self) -> bool:
        """Nobody set it and a lock keeps it so."""
        return self.value is None and not self.replaced

    @property
    def is_changed(self) -> bool:
        """Whether a layer above the template makes it another than template and defaults alone would."""
        if self.is_unset:
            return True
        if self.items is not None:
            return any(item.is_new for item in self.items) or bool(self.replaced)
        return not self.who.is_base and self.base_value != self.value


@dataclass(frozen=True)
class Group:
    title: str
    rows: list[Row] = field(default_factory=list)


@dataclass(frozen=True)
class OriginTable:
    """`changed`: how many settings a layer above the template changed. With `only_changed` the groups hold those, and
    what a lock refused."""

    groups: list[Group]
    total: int
    changed: int
    refused: int
    conflicts: int
    sha256: str


def origin_table(merged: Mapping[str, Any], *, only_changed: bool = False) -> OriginTable:
    """`merged` is `Merged.as_dict()`, fresh or from a run's snapshot."""
    rows = _rows(merged)
    shown = [row for row in rows if not only_changed or row.is_changed or row.refused]
    return OriginTable(
        groups=_grouped(shown),
        total=len(merged["origin"]),
        changed=sum(row.is_changed for row in rows),
        refused=len(merged["refused"]),
        conflicts=len(merged["conflicts"]),
        sha256=merged["sha256"],
    )


def _rows(merged: Mapping[str, Any]) -> list[Row]:
    """What is set, what was taken away, and what only a lock speaks of; each setting once."""
    refused = _refused(merged)
    found = {row["path"]: _row(row, refused) for row in merged["origin"]}
    for conflict in merged["conflicts"]:
        found.setdefault(conflict["path"], _unset(conflict, refused))
    for path, said in refused.items():
        found.setdefault(path, _kept_out(path, said))
    return list(found.values())


def _grouped(rows: Sequence[Row]) -> list[Group]:
    groups = {title: Group(title) for title in SHOWN_GROUPS}
    for row in sorted(rows, key=lambda row: (_place(row.path), row.path)):
        groups[_place(row.path)[0]].rows.append(row)
    return [group for group in groups.values() if group.rows]


def who_of(label: str) -> Who:
    found = _LABEL.match(label)
    if not found:
        return Who("", label)
    return Who(found["kind"], found["name"] or "", found["revision"] or "", found["via"] or "")


def _row(row: Mapping[str, Any], refused: Mapping[str, list[Said]]) -> Row:
    beaten = [Said(loser["value"], who_of(loser["layer"])) for loser in row["beat"]]
    differing = [said for said in beaten if said.value != row["value"] and said.value is not None]
    items = row.get("items")
    return Row(
        path=row["path"],
        label=label_of(row["path"]),
        value=row["value"],
        who=who_of(row["layer"]),
        rule=row["rule"],
        replaced=_last_of_each(differing),
        agreed=[said.who for said in beaten if said.value == row["value"]],
        items=None if items is None else [_item(item) for item in items],
        refused=refused.get(row["path"], ()),
        base_value=next((said.value for said in reversed(beaten) if said.who.is_base), None),
    )


def _last_of_each(beaten: Sequence[Said]) -> list[Said]:
    """Of several layers in a row that said the same, the one that said it last."""
    return [
        said
        for at, said in enumerate(beaten)
        if said.value not in [next_.value for next_ in beaten[at + 1 : at + 2]]
    ]


def _item(item: Mapping[str, Any]) -> Said:
    who = who_of(item["layer"])
    return Said(item["value"], who, is_new=not who.is_base)


def _unset(conflict: Mapping[str, Any], refused: Mapping[str, list[Said]]) -> Row:
    return Row(
        path=conflict["path"],
        label=label_of(conflict["path"]),
        value=None,
        who=who_of(conflict["winner"]["layer"]),
        rule="unset",
        replaced=[Said(loser["value"], who_of(loser["layer"])) for loser in conflict["losers"]],
        refused=refused.get(conflict["path"], ()),
    )


def _kept_out(path: str, refused: list[Said]) -> Row:
    return Row(path, label_of(path), None, who_of(refused[0].locked_by), rule="locked", refused=refused)


def _refused(merged: Mapping[str, Any]) -> dict[str, list[Said]]:
    found: dict[str, list[Said]] = {}
    for row in merged["refused"]:
        said = Said(row["value"], who_of(row["layer"]), locked_by=row["locked_by"])
        found.setdefault(row["path"], []).append(said)
    return found


def _leaf(path: str) -> str:
    """`monitoring_tags` for `monitoring_tags.team`."""
    return next((leaf for leaf in MAP_LEAVES if path.startswith(f"{leaf}.")), path)


def _place(path: str) -> tuple[str, int]:
    """(title of its group, place in it)"""
    leaf = _leaf(path)
    return next((title, list(labels).index(leaf)) for title, labels in SHOWN_GROUPS.items() if leaf in labels)


def label_of(path: str) -> Label:
    """A key of a map goes by its own name."""
    leaf = _leaf(path)
    found = next(labels[leaf] for labels in SHOWN_GROUPS.values() if leaf in labels)
    return found if leaf == path else Label(path.removeprefix(f"{leaf}."), found.label)
