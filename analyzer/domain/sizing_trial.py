"""A trial of sizes: learnt from the first half of a machine's time, judged on its second.

Three policies side by side: `sized` (this product), `as_is` (keep the size) and `max_of_first_half`. Sizes are refused
where coverage is thin; then the machine keeps what it has, and counts.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from analyzer.domain.sizing import FULL_AT, SAME_SIZE, Policy, Sized, Trace, chosen_size, measured

POLICIES = ("sized", "as_is", "max_of_first_half")


@dataclass
class Tally:
    """Sums over machines. Sizes count by the intervals that they are judged on, so that a machine of a week weighs less
    than one of a year."""

    intervals: int = 0
    above: int = 0
    short: int = 0
    allocated: float = 0.0
    needed: float = 0.0
    as_is: float = 0.0
    ratios: list[float] = field(default_factory=list)

    def add(self, size: float, present: float, later: Trace) -> None:
        intervals = len(later)
        above = later.used > size
        full = (later.used >= FULL_AT * later.capacity) & (size <= later.capacity)
        self.intervals += intervals
        self.above += int(above.sum())
        self.short += int((above | full).sum())
        self.allocated += size * intervals
        self.needed += float(later.used.max()) * intervals
        self.as_is += present * intervals
        self.ratios.append(size / present)

    def told(self) -> dict:
        """above_share: intervals whose use is above the size ÷ intervals. short_share: with those as well that stood at
        the limit of that time while the size is no larger, whose need nobody knows. needed: the second half's
        maximum."""
        return {
            "above_share": share(self.above, self.intervals),
            "short_share": share(self.short, self.intervals),
            "allocated_over_needed": share(self.allocated, self.needed),
            "allocated_over_as_is": share(self.allocated, self.as_is),
            "mean_size_over_as_is": float(np.mean(self.ratios)) if self.ratios else None,
        }


def share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


@dataclass(frozen=True)
class Judged:
    """One machine and resource. `size` is the present one where sizing was refused (`refused` says why)."""

    vm: str
    size: float
    as_is: float
    max_of_first_half: float
    above_share: float
    decided_by: str
    refused: str
    resized_later: bool


def trial(
    traces: Iterable[tuple[str, Trace]], policy: Policy, split_s: float | None = None
) -> tuple[dict, list[Judged]]:
    """(figures, machines) of one resource. Split at `split_s`, or in the middle of each machine's own time. Machines
    with nothing measured on one of the sides are not judged."""
    tallies = {name: Tally() for name in POLICIES}
    machines = []
    for vm, trace in traces:
        first, later = halves(measured(trace), split_s)
        if not len(first) or not len(later):
            continue
        judged = judge(vm, first, later, policy)
        machines.append(judged)
        tallies["sized"].add(judged.size, judged.as_is, later)
        tallies["as_is"].add(judged.as_is, judged.as_is, later)
        tallies["max_of_first_half"].add(judged.max_of_first_half, judged.as_is, later)
    figures = {
        "machines": len(machines),
        "intervals": tallies["sized"].intervals,
        "refused": sum(bool(each.refused) for each in machines),
        "resized_later": sum(each.resized_later for each in machines),
        **{name: tally.told() for name, tally in tallies.items()},
    }
    return figures, machines


def halves(trace: Trace, split_s: float | None) -> tuple[Trace, Trace]:
    if not len(trace):
        return trace, trace
    middle = (trace.t_s[0] + trace.t_s[-1]) / 2 if split_s is None else split_s
    at = int(np.searchsorted(trace.t_s, middle))
    return trace.where(slice(0, at)), trace.where(slice(at, None))


def judge(vm: str, first: Trace, later: Trace, policy: Policy) -> Judged:
    found = chosen_size(first, policy)
    present = float(first.capacity[-1])
    size = found.size if isinstance(found, Sized) else present
    return Judged(
        vm=vm,
        size=size,
        as_is=present,
        max_of_first_half=float(first.used.max()),
        above_share=float(np.mean(later.used > size)),
        decided_by=found.decided_by if isinstance(found, Sized) else "refused",
        refused="" if isinstance(found, Sized) else found.reason,
        resized_later=bool((np.abs(later.capacity / present - 1) > SAME_SIZE).any()),
    )
