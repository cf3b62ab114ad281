"""What a benchmark is made of: figures with a limit, and races of two sides in the same run on the same machine."""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Figure:
    """One number that a benchmark found. Without a limit it is only told. `seconds`: every round of every side."""

    name: str
    value: float
    unit: str  # "x" is how many times as fast as the peer
    at_least: float | None = None
    at_most: float | None = None
    seconds: dict[str, list[float]] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        low = self.at_least is None or self.value >= self.at_least
        return low and (self.at_most is None or self.value <= self.at_most)

    def as_dict(self) -> dict:
        return asdict(self) | {"holds": self.holds}


def nothing() -> None:
    """For a side that has nothing to make ready."""


@dataclass(frozen=True)
class Side:
    """`before` makes a round ready and is not timed; `work` is."""

    name: str
    work: Callable[[], object]
    before: Callable[[], object] = nothing

    def round(self) -> float:
        self.before()
        started = time.perf_counter()
        self.work()
        return time.perf_counter() - started


def race(name: str, ours: Side, peer: Side, *, rounds: int, at_least: float | None = None) -> Figure:
    """How many times as fast as the peer we are: the ratio of the medians.

    The sides take turns, so that what else the machine does meets both; one round of each goes before, uncounted, and
    fills the page cache for both.
    """
    sides = (ours, peer)
    for side in sides:
        side.round()
    seconds: dict[str, list[float]] = {side.name: [] for side in sides}
    for number in range(rounds):
        for side in sides if number % 2 else reversed(sides):
            seconds[side.name].append(side.round())
    value = statistics.median(seconds[peer.name]) / statistics.median(seconds[ours.name])
    return Figure(name, value, "x", at_least, seconds=seconds)


def timed(name: str, side: Side, *, rounds: int, at_most: float | None = None) -> Figure:
    """The median of our seconds, where there is no peer to run against."""
    side.round()
    seconds = [side.round() for _ in range(rounds)]
    return Figure(name, statistics.median(seconds), "s", at_most=at_most, seconds={side.name: seconds})


@dataclass(frozen=True)
class Benchmark:
    """`measure(scratch, rounds)` yields its figures; `scratch` is an empty folder of its own, removed afterwards.

    `packages`: purposes of config/bootstrap/debian.py that are installed before, for this benchmark alone.
    """

    name: str
    asks: str  # the question that it answers, in one sentence
    measure: Callable[[Path, int], Iterator[Figure]]
    rounds: int = 5
    packages: tuple[str, ...] = ()


@contextmanager
def own_database() -> Iterator[None]:
    """A migrated, empty database for a benchmark that needs rows; DATABASE_URL says of which kind."""
    from django.test.utils import setup_databases, teardown_databases

    before = setup_databases(verbosity=0, interactive=False)
    try:
        yield
    finally:
        teardown_databases(before, verbosity=0)
