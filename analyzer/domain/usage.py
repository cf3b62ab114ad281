"""Observed behaviour as numbers: slots of a day, percentiles, and honest thinning for a chart.

A series is cut into UTC days; a day has 86400 / step_s slots, None where nothing was measured. A slot's value is the
mean over that slot. Steps divide a day, so that every day of a series has the same slots.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from analyzer.domain.usage_codec import LARGEST

DAY_S = 86_400
HOUR_S = 3_600
STEPS_S = (10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600)
PERCENT = frozenset({"cpu_percent", "memory_percent"})

Slots = list[float | None]


@dataclass(frozen=True)
class Summary:
    """`coverage` is measured time ÷ time from the first to the last slot (0..1). Percentiles are exact for what is kept
    (each value within 0.05 % of what was told, see usage_codec), over time, with linear interpolation between the two
    nearest ranks (type 7 of Hyndman & Fan, 1996)."""

    samples: int
    coverage: float
    first_s: int
    last_s: int
    mean: float
    p50: float
    p95: float
    p99: float
    maximum: float

    @property
    def stars(self) -> int:
        """1..5; five stars need a week of data as well, because a day does not show a weekend."""
        days = (self.last_s - self.first_s) / DAY_S
        return max(1, min(round(self.coverage * 5), 1 + math.floor(days * 4 / 7)))


@dataclass(frozen=True)
class Day:
    """`number` counts days since 1970-01-01 UTC."""

    number: int
    step_s: int
    values: Slots


def is_possible(metric: str, value: float) -> bool:
    """A share lies in 0..100 %, a rate in 0..999,900; both are finite."""
    return math.isfinite(value) and 0 <= value <= (100 if metric in PERCENT else LARGEST)


def nearest_step(times_s: Sequence[int]) -> int:
    """The step that the times (ascending) were most likely taken with: the allowed one nearest to the median gap."""
    gaps = sorted(later - earlier for earlier, later in pairwise(times_s) if later > earlier)
    if not gaps:
        return 300
    middle = gaps[len(gaps) // 2]
    return min(STEPS_S, key=lambda step: abs(math.log(step / middle)))


def slotted(samples: Iterable[tuple[int, float]], step_s: int) -> dict[int, Slots]:
    """Day number → its slots, from (epoch seconds, value); the values that fall into one slot give their mean."""
    found: dict[tuple[int, int], list[float]] = {}
    for at, value in samples:
        found.setdefault((at // DAY_S, at % DAY_S // step_s), []).append(value)
    days: dict[int, Slots] = {}
    for (day, slot), values in sorted(found.items()):
        slots = days.setdefault(day, [None] * (DAY_S // step_s))
        slots[slot] = round(math.fsum(values) / len(values), 6)
    return days


def laid_over(old: Slots, old_step_s: int, new: Slots, new_step_s: int) -> tuple[Slots, int]:
    """The new slots over the old ones, at a step that both fit into. A slot that says nothing leaves the old one, so
    the same push twice changes nothing."""
    step_s = math.gcd(old_step_s, new_step_s)
    below, above = stretched(old, old_step_s // step_s), stretched(new, new_step_s // step_s)
    return [lower if upper is None else upper for lower, upper in zip(below, above, strict=True)], step_s


def stretched(values: Slots, times: int) -> Slots:
    return [value for value in values for _ in range(times)]


def coarser(values: Slots, step_s: int, wanted_s: int) -> Slots:
    """The mean of what was measured in each longer step; `wanted_s` is a multiple of `step_s`."""
    width = wanted_s // step_s
    found = (
        [each for each in values[at : at + width] if each is not None] for at in range(0, len(values), width)
    )
    return [math.fsum(told) / len(told) if told else None for told in found]


def percentile(ascending: Sequence[float], share: float) -> float:
    """Linear interpolation between the two nearest ranks; `share` in 0..1. Needs at least one value."""
    rank = (len(ascending) - 1) * share
    below = math.floor(rank)
    above = min(below + 1, len(ascending) - 1)
    return ascending[below] + (ascending[above] - ascending[below]) * (rank - below)


def summarise(days: Sequence[Day]) -> Summary | None:
    """None when nothing was measured. Days of different steps count by time."""
    step_s = math.gcd(*(day.step_s for day in days)) if days else 0
    times: list[int] = []
    values: list[float] = []
    for day in days:
        for at, value in _measured(day, step_s):
            times.append(at)
            values.append(value)
    if not values:
        return None
    values.sort()
    span = (max(times) + step_s - min(times)) // step_s
    return Summary(
        samples=len(values),
        coverage=len(values) / span,
        first_s=min(times),
        last_s=max(times) + step_s,
        mean=math.fsum(values) / len(values),
        p50=percentile(values, 0.50),
        p95=percentile(values, 0.95),
        p99=percentile(values, 0.99),
        maximum=values[-1],
    )


def _measured(day: Day, step_s: int):
    for slot, value in enumerate(stretched(day.values, day.step_s // step_s)):
        if value is not None:
            yield day.number * DAY_S + slot * step_s, value


@dataclass(frozen=True)
class Bucket:
    """A stretch of a chart: where nothing was measured the three are None, so that a gap is drawn as a gap."""

    at_s: int
    minimum: float | None
    mean: float | None
    maximum: float | None


def buckets(days: Sequence[Day], start_s: int, end_s: int, count: int) -> list[Bucket]:
    """`count` equal stretches of [start_s, end_s) at most. Each keeps minimum and maximum, so a peak is never thinned
    away. No bucket is narrower than the finest step."""
    finest = min((day.step_s for day in days), default=300)
    width = max(finest, math.ceil((end_s - start_s) / count / finest) * finest)
    found: dict[int, list[float]] = {}
    for day in days:
        for at, value in _measured(day, day.step_s):
            if start_s <= at < end_s:
                found.setdefault((at - start_s) // width, []).append(value)
    return [_bucket(start_s + n * width, found.get(n)) for n in range(math.ceil((end_s - start_s) / width))]


def _bucket(at_s: int, values: list[float] | None) -> Bucket:
    if not values:
        return Bucket(at_s, None, None, None)
    return Bucket(at_s, min(values), math.fsum(values) / len(values), max(values))
