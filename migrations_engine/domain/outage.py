"""How long the source of a warm move will be away: its last changes, then what every move takes. Pure."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

MOST_ROUNDS = 8  # a guest that writes faster than it is read gets no smaller by reading it again
SHORT_S = 5.0  # what is left to do in the outage anyway takes longer
SHRINKS = 0.7


@dataclass(frozen=True)
class Round:
    """`bytes` that were read; the first round reads the whole disk. `seconds` from its moment until it was on disk."""

    bytes: int
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Forecast:
    """`rest_s`: from the copy being whole to the guest's answer, None where no run of the machine has told yet."""

    changes_bytes: int
    changes_s: float
    rest_s: float | None

    @property
    def total_s(self) -> float | None:
        return None if self.rest_s is None else round(self.changes_s + self.rest_s, 1)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"total_s": self.total_s}


def rounds_of(rows: Sequence[dict[str, Any]]) -> list[Round]:
    return [Round(row["bytes"], row["seconds"]) for row in rows]


def goes_on(rounds: Sequence[Round]) -> bool:
    """Whether one more round before the outage makes the outage shorter: always after the first copy, then as long as
    a round is long and each one shorter than the one before."""
    if len(rounds) < 2:
        return True
    before, last = rounds[-2:]
    return len(rounds) < MOST_ROUNDS and last.seconds > SHORT_S and last.seconds < SHRINKS * before.seconds


def forecast(rounds: Sequence[Round], rest_s: float | None) -> Forecast | None:
    """The last changes will be like those of the last round. None before the first one."""
    if len(rounds) < 2:
        return None
    last = rounds[-1]
    return Forecast(last.bytes, round(last.seconds, 1), None if rest_s is None else round(rest_s, 1))
