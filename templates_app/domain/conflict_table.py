"""The conflicts of a merge as a table to read: whose value holds, and whose does not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from personas.domain.labels import Label
from templates_app.domain.origin_table import Said, label_of, who_of


@dataclass(frozen=True)
class Conflict:
    """A winner's value of None means that it was taken away; of a list, a loser's value is what it lost of it."""

    path: str
    label: Label
    winner: Said
    losers: Sequence[Said]

    @property
    def is_among_personas(self) -> bool:
        """Two personas disagree, and only their order decides; any other layer is there to be overwritten."""
        return self.winner.who.kind == "persona" and any(each.who.kind == "persona" for each in self.losers)


def conflict_table(merged: Mapping[str, Any]) -> list[Conflict]:
    """`merged` is `Merged.as_dict()`, fresh or from a run's snapshot. Those among personas come first."""
    found = [
        Conflict(
            path=row["path"],
            label=label_of(row["path"]),
            winner=_said(row["winner"]),
            losers=[_said(loser) for loser in row["losers"]],
        )
        for row in merged["conflicts"]
    ]
    return sorted(found, key=lambda conflict: not conflict.is_among_personas)


def _said(row: Mapping[str, Any]) -> Said:
    return Said(row["value"], who_of(row["layer"]))
