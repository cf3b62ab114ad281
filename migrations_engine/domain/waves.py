"""Waves: their states, when the next machine may start, and how long it will take. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from statistics import median, quantiles
from typing import Any

WEEK = timedelta(days=7)
FEWEST = 3  # runs that a forecast is drawn from; before that it is the assumption below
ASSUMED_S, ASSUMED_BYTES_PER_S = 600, 50 * 2**20


class WaveState(StrEnum):
    DRAFT = "draft"
    APPROVAL = "approval"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    FINISHED = "finished"
    CANCELLED = "cancelled"


WAVE_TRANSITIONS = frozenset(
    {
        (WaveState.DRAFT, WaveState.APPROVAL),  # started; somebody has to approve it first
        (WaveState.DRAFT, WaveState.RUNNING),  # started
        (WaveState.APPROVAL, WaveState.RUNNING),  # approved
        (WaveState.APPROVAL, WaveState.DRAFT),  # sent back
        (WaveState.RUNNING, WaveState.PAUSED),  # a person: start nothing more
        (WaveState.PAUSED, WaveState.RUNNING),
        (WaveState.RUNNING, WaveState.STOPPED),  # too many failures
        (WaveState.STOPPED, WaveState.RUNNING),  # a person has looked
        (WaveState.RUNNING, WaveState.FINISHED),  # nothing is left to start, nothing at work
        (WaveState.FINISHED, WaveState.RUNNING),  # the failed ones once more
        (WaveState.DRAFT, WaveState.CANCELLED),
        (WaveState.APPROVAL, WaveState.CANCELLED),
        (WaveState.RUNNING, WaveState.CANCELLED),
        (WaveState.PAUSED, WaveState.CANCELLED),
        (WaveState.STOPPED, WaveState.CANCELLED),
    }
)


class MemberState(StrEnum):
    WAITING = "waiting"
    STARTING = "starting"  # a dispatcher has it in hand; taken up again when that one died
    STARTED = "started"  # from here on its run says how it stands
    REFUSED = "refused"  # no run could be made of it; `error` says why


@dataclass(frozen=True)
class Window:
    starts_at: datetime
    ends_at: datetime
    weekly: bool = False

    def open_until(self, now: datetime) -> datetime | None:
        """The end of the stretch in which `now` lies; None outside."""
        weeks = (now - self.starts_at) // WEEK if self.weekly and now > self.starts_at else 0
        begin, end = self.starts_at + weeks * WEEK, self.ends_at + weeks * WEEK
        return end if begin <= now < end else None

    def next_start(self, now: datetime) -> datetime | None:
        if now < self.starts_at:
            return self.starts_at
        return self.starts_at + ((now - self.starts_at) // WEEK + 1) * WEEK if self.weekly else None


@dataclass(frozen=True)
class Limits:
    """How many at once; None: no limit of that kind. `bandwidth_mbps` is a budget for the runs' mean demand."""

    wave: int
    source: int | None = None
    target: int | None = None
    bandwidth_mbps: int | None = None


@dataclass(frozen=True)
class Load:
    """What is at work now: runs of the wave, runs from the machine's source, to its target, and their demand."""

    wave: int
    source: int = 0
    target: int = 0
    demand_mbps: float = 0.0


def why_not(limits: Limits, load: Load, demand_mbps: float) -> str:
    """Why the next machine has to wait; empty where it may start."""
    if load.wave >= limits.wave:
        return f"{load.wave} of its runs are at work, and that is its limit"
    if limits.source is not None and load.source >= limits.source:
        return f"{load.source} runs read from its source, and that is the limit"
    if limits.target is not None and load.target >= limits.target:
        return f"{load.target} runs go to its target, and that is the limit"
    if limits.bandwidth_mbps and load.wave and load.demand_mbps + demand_mbps > limits.bandwidth_mbps:
        return f"its copies already take about {load.demand_mbps:.0f} of {limits.bandwidth_mbps} Mbit/s"
    return ""


def forecast_s(size_bytes: int, history: Sequence[tuple[int, float]]) -> float:
    """How long a run of so many bytes will take: four of five earlier ones (`history`: bytes, seconds) were done by
    then, and longer in proportion where this machine is larger than the usual one."""
    if len(history) < FEWEST:
        return ASSUMED_S + size_bytes / ASSUMED_BYTES_PER_S
    usual = median(size for size, _ in history) or 1
    return quantiles((seconds for _, seconds in history), n=5, method="inclusive")[3] * max(
        1.0, size_bytes / usual
    )


def demand_mbps(size_bytes: int, seconds: float) -> float:
    """Mean demand on the network over the whole run."""
    return size_bytes * 8 / 1e6 / max(1.0, seconds)


def window_refuses(windows: Iterable[Window], now: datetime, seconds: float) -> str:
    """Why it must not start now; empty where it may. Without windows every moment is good."""
    windows = list(windows)
    if not windows:
        return ""
    ends = [end for window in windows if (end := window.open_until(now))]
    if not ends:
        starts = [start for window in windows if (start := window.next_start(now))]
        return (
            f"the next window opens at {min(starts):%Y-%m-%d %H:%M} UTC"
            if starts
            else "its last window is over"
        )
    if now + timedelta(seconds=seconds) > max(ends):
        return f"it takes about {seconds / 60:.0f} min, and the window closes at {max(ends):%H:%M} UTC"
    return ""


def round_robin(queues: dict[Any, int], at_work: dict[Any, int]) -> list[Any]:
    """Whose turn it is, one entry for each start: the department with the fewest at work first, then in turn.
    `queues`: how many each has waiting."""
    left, load = dict(queues), {name: at_work.get(name, 0) for name in queues}
    turns: list[Any] = []
    while any(left.values()):
        name = min((name for name in left if left[name]), key=lambda name: (load[name], name))
        turns.append(name)
        left[name] -= 1
        load[name] += 1
    return turns
