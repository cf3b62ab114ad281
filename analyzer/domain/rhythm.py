"""The rhythm of a machine: what its use does by day, by week, in bursts and over time, and in words.

Computed from hourly means (UTC). A rhythm is the autocorrelation of these at a lag of a day or a week (1: every day as
the last one, 0: no rhythm); a trend is the median slope between the means of days (Theil and Sen), which a single busy
day does not turn.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations

import numpy as np

from analyzer.domain.usage import HOUR_S, Day, stretched

DAY_H, WEEK_H = 24, 168
LEAST_DAYS, LEAST_WEEKS = 3, 2
RHYTHMIC = 0.4  # noise of a week has 0.1; a web server of an office 0.7
BURSTS = 3.0  # P99 ÷ P90: what is busy for a third of the day is no burst; steady noise has 1.3
QUIET_PERCENT = 5.0  # of CPU: what a machine does for its own upkeep
IDLE = 0.8
TRENDS = 0.1  # a tenth in thirty days
WEEKEND = 0.6  # of the working days' use


@dataclass(frozen=True)
class Rhythm:
    """None: measured for too short. `busy_from`, `busy_to`: hours UTC. `trend_per_month`: relative."""

    daily: float | None = None
    weekly: float | None = None
    busy_from: int | None = None
    busy_to: int | None = None
    weekend_share: float | None = None
    burst: float | None = None
    idle_share: float | None = None
    trend_per_month: float | None = None

    def as_dict(self) -> dict[str, float | int | None]:
        return asdict(self)

    def words(self) -> list[str]:
        return [
            text for text in (_daily(self), _weekly(self), _burst(self), _idle(self), _trend(self)) if text
        ]


def rhythm_of(days: Sequence[Day], *, percent: bool) -> Rhythm:
    """`percent`: the metric is a share of what the machine has; only then it can be idle."""
    hours = hourly(days)
    values = hours[np.isfinite(hours)]
    if len(values) < LEAST_DAYS * DAY_H:
        return Rhythm()
    daily = autocorrelation(hours, DAY_H)
    busy = busy_hours(hours) if daily is not None and daily >= RHYTHMIC else (None, None)
    usual, peak = np.percentile(values, (90, 99))
    return Rhythm(
        daily=daily,
        weekly=autocorrelation(hours, WEEK_H) if len(hours) >= LEAST_WEEKS * WEEK_H else None,
        busy_from=busy[0],
        busy_to=busy[1],
        weekend_share=weekend_share(hours, days) if len(hours) >= WEEK_H else None,
        burst=round(float(peak / usual), 2) if usual > 0 else None,
        idle_share=round(float(np.mean(values < QUIET_PERCENT)), 3) if percent else None,
        trend_per_month=trend(hours),
    )


def hourly(days: Sequence[Day]) -> np.ndarray:
    """Means of the hours from the first day to the last, NaN where nothing was measured."""
    if not days:
        return np.empty(0)
    first = min(day.number for day in days)
    found = np.full((max(day.number for day in days) - first + 1) * DAY_H, np.nan)
    for day in days:
        step_s = min(day.step_s, HOUR_S)
        slots = np.array(stretched(day.values, day.step_s // step_s), dtype=float).reshape(DAY_H, -1)
        counted = np.isfinite(slots).sum(axis=1)
        means = np.divide(np.nansum(slots, axis=1), counted, out=np.full(DAY_H, np.nan), where=counted > 0)
        found[(day.number - first) * DAY_H : (day.number - first + 1) * DAY_H] = means
    return found


def autocorrelation(hours: np.ndarray, lag: int) -> float | None:
    """Pearson's, between the hours and those a lag later; None where too few pairs were measured, or all are equal."""
    earlier, later = hours[:-lag], hours[lag:]
    known = np.isfinite(earlier) & np.isfinite(later)
    if known.sum() < 2 * DAY_H or np.ptp(earlier[known]) == 0 or np.ptp(later[known]) == 0:
        return None
    return round(float(np.corrcoef(earlier[known], later[known])[0, 1]), 3)


def _by_hour(hours: np.ndarray) -> np.ndarray:
    table = hours.reshape(-1, DAY_H)
    counted = np.isfinite(table).sum(axis=0)
    return np.divide(np.nansum(table, axis=0), counted, out=np.zeros(DAY_H), where=counted > 0)


def busy_hours(hours: np.ndarray) -> tuple[int, int]:
    """(from, to): the shortest stretch of the day's hours, around midnight if need be, above the middle of lowest and
    highest mean, as far as it holds the busiest hour."""
    means = _by_hour(hours)
    busy = means >= (means.min() + means.max()) / 2
    peak = int(means.argmax())
    start = end = peak
    while busy[(start - 1) % DAY_H] and (end - start) < DAY_H - 1:
        start -= 1
    while busy[(end + 1) % DAY_H] and (end - start) < DAY_H - 1:
        end += 1
    return start % DAY_H, (end + 1) % DAY_H


def weekend_share(hours: np.ndarray, days: Sequence[Day]) -> float | None:
    """Mean use of Saturday and Sunday ÷ mean use of the other days."""
    table, first = hours.reshape(-1, DAY_H), min(day.number for day in days)
    weekday = (np.arange(len(table)) + first + 3) % 7  # 1970-01-01 was a Thursday; Monday is 0
    weekend, working = table[weekday >= 5], table[weekday < 5]
    if not np.isfinite(weekend).any() or not np.isfinite(working).any() or not np.nanmean(working):
        return None
    return round(float(np.nanmean(weekend) / np.nanmean(working)), 3)


def trend(hours: np.ndarray) -> float | None:
    """Change in thirty days ÷ mean; None with fewer than two weeks of days."""
    table = hours.reshape(-1, DAY_H)
    known = [
        (number, float(np.nanmean(row))) for number, row in enumerate(table) if np.isfinite(row).sum() >= 12
    ]
    mean = float(np.mean([value for _, value in known])) if known else 0.0
    if len(known) < 14 or mean <= 0:
        return None
    slopes = [
        (later - earlier) / (last - first) for (first, earlier), (last, later) in combinations(known, 2)
    ]
    return round(30 * float(np.median(slopes)) / mean, 3)


def _daily(rhythm: Rhythm) -> str:
    if rhythm.daily is None or rhythm.daily < RHYTHMIC:
        return ""
    return f"The same every day: busiest from {rhythm.busy_from}:00 to {rhythm.busy_to}:00 UTC."


def _weekly(rhythm: Rhythm) -> str:
    rhythmic = max(rhythm.weekly or 0, rhythm.daily or 0) >= RHYTHMIC
    if rhythm.weekend_share is not None and rhythmic and rhythm.weekend_share <= WEEKEND:
        return f"Quiet at weekends: {rhythm.weekend_share:.0%} of a working day's use."
    if rhythm.weekly is not None and rhythm.weekly >= max(RHYTHMIC, (rhythm.daily or 0) + 0.1):
        return "The same every week."
    return ""


def _burst(rhythm: Rhythm) -> str:
    if rhythm.burst is None or rhythm.burst < BURSTS:
        return ""
    return f"In bursts: the busiest hundredth of its hours is {rhythm.burst:.0f} times its busiest tenth."


def _idle(rhythm: Rhythm) -> str:
    if rhythm.idle_share is None or rhythm.idle_share < IDLE:
        return ""
    return f"Idle {rhythm.idle_share:.0%} of the time."


def _trend(rhythm: Rhythm) -> str:
    if rhythm.trend_per_month is None or abs(rhythm.trend_per_month) < TRENDS:
        return ""
    return f"{'Grows' if rhythm.trend_per_month > 0 else 'Falls'} by {abs(rhythm.trend_per_month):.0%} in 30 days."
