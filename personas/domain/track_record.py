"""Figures of a track record: rates with their uncertainty, and no figure at all where there is too little."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import median
from typing import NamedTuple

ENOUGH = 5  # below, a rate says more about chance than about the persona
Z_95 = 1.959963984540054


class Interval(NamedTuple):
    low: float
    high: float


def wilson(successes: int, n: int, z: float = Z_95) -> Interval:
    """The score interval of a proportion (Wilson 1927; Brown, Cai and DasGupta 2001): holds for small n and for rates
    near 0 and 1. Raises ValueError unless 0 <= successes <= n and n > 0."""
    if not 0 <= successes <= n or n == 0:
        raise ValueError(f"{successes} of {n} is no proportion")
    p, z2 = successes / n, z * z
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = z / (1 + z2 / n) * sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    return Interval(low, 1.0 if successes == n else min(1.0, centre + half))


class Run(NamedTuple):
    """One run: `finished` is False where a person stopped it."""

    succeeded: bool
    finished: bool
    script_failed: bool = False
    rolled_back: bool = False
    resized: bool = False
    duration_s: float | None = None


@dataclass(frozen=True)
class Rate:
    count: int
    n: int
    low: float
    high: float

    @property
    def value(self) -> float:
        return self.count / self.n

    @property
    def percents(self) -> tuple[int, int, int]:
        """The value and the ends of its interval, rounded."""
        return round(100 * self.value), round(100 * self.low), round(100 * self.high)


def rate(count: int, n: int) -> Rate | None:
    """None under `ENOUGH`."""
    return Rate(count, n, *wilson(count, n)) if n >= ENOUGH else None


@dataclass(frozen=True)
class TrackRecord:
    """`runs` were ended, `finished` of them by themselves; a rate is None where there is not enough data."""

    runs: int
    finished: int
    success: Rate | None
    script_failures: Rate | None
    rollbacks: Rate | None
    resizes: Rate | None
    median_duration_s: float | None


def track_record(runs: Sequence[Run]) -> TrackRecord:
    """Success and script failures among the runs that nobody stopped, rollbacks among all, resizes among successes.
    The median duration is that of the successes."""
    finished = [run for run in runs if run.finished]
    succeeded = [run for run in finished if run.succeeded]
    durations = [run.duration_s for run in succeeded if run.duration_s is not None]
    return TrackRecord(
        runs=len(runs),
        finished=len(finished),
        success=rate(len(succeeded), len(finished)),
        script_failures=rate(sum(run.script_failed for run in finished), len(finished)),
        rollbacks=rate(sum(run.rolled_back for run in runs), len(runs)),
        resizes=rate(sum(run.resized for run in succeeded), len(succeeded)),
        median_duration_s=median(durations) if len(durations) >= ENOUGH else None,
    )
