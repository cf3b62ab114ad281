"""Right-sizing: how much CPU or memory a machine needs, learnt from what it used.

The size is the largest of a few wishes, so that one sentence can say why it is not smaller:

- *percentile*: the percentile of use × headroom;
- *returning peak*: the median of the weekly maxima × headroom. A backup of one hour a week is 0.6 % of the time, so
  that P99 does not see it; a peak that came once is left out of it;
- *growth*: the present size, where use grew from the window's first half to its second: a trend is a reason not to cut,
  not a reason to buy;
- *full*: a machine that stood at its limit wanted more than could be measured;
- *overdrawn*: the present size, where a machine no larger than today already used more than it has: memory is lent for
  an hour, then taken back, and will be wanted again;
- *deepest cut*: a share of the present size. Quiet machines wake up at times, and no look back shows which;
- *minimum*: what the department gives to every machine.

The defaults were chosen on real traces (Bitbrains rnd, GWA-T-12) over four pairs of learning and judging periods; see
`manage.py evaluate_sizing`.
"""

from dataclasses import dataclass

import numpy as np

DAY_S = 86_400
WEEK_S = 7 * DAY_S
FULL_AT = 0.97  # of the capacity: a turbo clock and rounding blur the limit
FULL_SHARE = 0.0005  # of the time; once in three months of hours is chance
GROWS_FROM = 1.25  # a quarter from half to half; below it is noise
SAME_SIZE = 0.1  # hourly means of a capacity and dynamic memory wander by less; nobody resizes by so little
EPSILON = 1e-9  # a size that is a multiple of the step already is not lifted to the next


@dataclass(frozen=True)
class Policy:
    """What a department decides for one resource. `minimum` and `step` are in the unit of the use; step 0 rounds
    nothing. Raises ValueError on what makes no sense."""

    percentile: float = 99.0  # 50..99.9, of the time
    headroom: float = 1.3
    window_days: int = 42  # six weeks: weekly peaks come back often enough to be told from chance
    deepest_cut: float = 0.4  # at most this share of the present size goes at once
    minimum: float = 0.0
    step: float = 0.0
    when_full: float = 1.15  # × the capacity
    least_days: float = 7.0  # a day does not show a weekend
    least_coverage: float = 0.5  # measured time ÷ time

    def __post_init__(self):
        for name, low, high in RANGES:
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name} is {getattr(self, name)}; it lies in {low} to {high}")


RANGES = (
    ("percentile", 50, 99.9),
    ("headroom", 1, 5),
    ("window_days", 1, 400),
    ("deepest_cut", 0, 1),
    ("minimum", 0, 1e15),
    ("step", 0, 1e15),
    ("when_full", 1, 5),
    ("least_days", 0, 400),
    ("least_coverage", 0, 1),
)

# Too little CPU for an hour is slow, too little memory is a killed process: memory looks at rarer peaks; they are also
# nearer to each other than those of CPU, so that less headroom covers them.
CPU = Policy()
MEMORY = Policy(percentile=99.9, headroom=1.2)


@dataclass(frozen=True)
class Trace:
    """One resource of one machine: times (epoch seconds, ascending), use and capacity at that time, same unit."""

    t_s: np.ndarray
    used: np.ndarray
    capacity: np.ndarray

    def __len__(self) -> int:
        return len(self.t_s)

    def where(self, chosen) -> "Trace":
        return Trace(self.t_s[chosen], self.used[chosen], self.capacity[chosen])


@dataclass(frozen=True)
class Sized:
    """`above_share`: share of the window's time above the size (0..1). `saving`: 1 − size ÷ capacity; below 0 it costs.
    `decided_by` names the wish that won, `wishes` has them all."""

    size: float
    capacity: float
    above_share: float
    decided_by: str
    wishes: dict[str, float]
    samples: int
    days: float
    coverage: float

    @property
    def saving(self) -> float:
        return 1 - self.size / self.capacity


@dataclass(frozen=True)
class Unsized:
    """Too little is known; `reason` finishes the sentence "No size, because"."""

    reason: str


def chosen_size(trace: Trace, policy: Policy) -> Sized | Unsized:
    """The size for the time to come. Samples without use or capacity say nothing; those before the last resize or
    before the window are left out."""
    known = measured(trace)
    if not len(known):
        return Unsized("nothing was measured")
    recent = within(known, policy.window_days)
    window = since_last_resize(recent)
    days, coverage = covered(window)
    refusal = too_thin(days, coverage, policy, resized=len(window) < len(recent))
    if refusal:
        return Unsized(refusal)
    capacity = float(window.capacity[-1])
    wishes = wishes_for(window, policy)
    if overdrawn(recent):
        wishes["overdrawn"] = capacity
    decided_by = max(wishes, key=wishes.__getitem__)
    size = stepped(wishes[decided_by], policy.step)
    above = float(np.mean(window.used > size))
    return Sized(size, capacity, above, decided_by, wishes, len(window), days, coverage)


def wishes_for(window: Trace, policy: Policy) -> dict[str, float]:
    """Name → size wished for, in the unit of the use. The window holds one capacity."""
    capacity = float(window.capacity[-1])
    wishes = {
        "percentile": float(np.percentile(window.used, policy.percentile)) * policy.headroom,
        "returning_peak": float(np.median(weekly_maxima(window))) * policy.headroom,
        "deepest_cut": capacity * (1 - policy.deepest_cut),
        "minimum": policy.minimum,
    }
    if growth_of(window) > GROWS_FROM:
        wishes["growth"] = capacity
    if np.mean(window.used >= FULL_AT * window.capacity) > FULL_SHARE:
        wishes["full"] = capacity * policy.when_full
    return wishes


def measured(trace: Trace) -> Trace:
    return trace.where(
        np.isfinite(trace.used) & np.isfinite(trace.capacity) & (trace.capacity > 0) & (trace.used >= 0)
    )


def since_last_resize(trace: Trace) -> Trace:
    """What was measured at the newest capacity."""
    other = np.abs(trace.capacity / trace.capacity[-1] - 1) > SAME_SIZE
    return trace.where(slice(int(np.flatnonzero(other)[-1]) + 1 if other.any() else 0, None))


def overdrawn(recent: Trace) -> bool:
    """Did it use more than it has now, while it had no more than now? Use at a larger size, since taken away, says
    nothing."""
    capacity = recent.capacity[-1]
    no_larger = recent.capacity <= capacity * (1 + SAME_SIZE)
    return bool((recent.used[no_larger] > capacity).any())


def within(trace: Trace, days: float) -> Trace:
    return trace.where(trace.t_s > trace.t_s[-1] - days * DAY_S)


def covered(window: Trace) -> tuple[float, float]:
    """(days from the first to the last sample, share of them that was measured). A sample stands for the median gap."""
    gaps = np.diff(window.t_s)
    gaps = gaps[gaps > 0]
    if not len(gaps):
        return 0.0, 0.0
    step_s = float(np.median(gaps))
    span_s = float(window.t_s[-1] - window.t_s[0]) + step_s
    return span_s / DAY_S, min(1.0, (len(gaps) + 1) * step_s / span_s)


def too_thin(days: float, coverage: float, policy: Policy, *, resized: bool) -> str:
    """Why the samples are too few; empty when they are enough."""
    if days < policy.least_days:
        since = "since its last resize" if resized else "altogether"
        return f"it was measured for {days:.1f} days {since}; {policy.least_days:g} are needed"
    if coverage < policy.least_coverage:
        return f"only {coverage:.0%} of the time was measured; {policy.least_coverage:.0%} are needed"
    return ""


def weekly_maxima(window: Trace) -> np.ndarray:
    """Highest use of each week, counted back from the newest sample; weeks without a sample are absent."""
    week = ((window.t_s[-1] - window.t_s) // WEEK_S).astype(np.int64)
    starts = np.flatnonzero(np.diff(week, prepend=week[0] + 1))
    return np.maximum.reduceat(window.used, starts)


def growth_of(window: Trace) -> float:
    """Second half ÷ first half, geometric mean over P50 and P95. One percent of the capacity is added to both, so that
    an idle machine does not grow from nothing to next to nothing."""
    half = len(window) // 2
    if not half:
        return 1.0
    ground = 0.01 * float(window.capacity[-1])
    early = np.percentile(window.used[:half], (50, 95)) + ground
    late = np.percentile(window.used[half:], (50, 95)) + ground
    return float(np.sqrt(np.prod(late / early)))


def stepped(size: float, step: float) -> float:
    """The next multiple of the step, upwards."""
    return float(np.ceil(size / step - EPSILON)) * step if step else size
