"""Right-sizing of a machine: its usage as vCPUs and MiB, the size that they ask for, and that size in its chart."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from analyzer.domain.sizing import Policy, Sized, Trace, Unsized, chosen_size
from analyzer.domain.usage import DAY_S, Day, stretched
from analyzer.models import VirtualMachine
from analyzer.models.usage import Metric
from analyzer.services.sizing_settings import policies_of, require_window
from analyzer.services.usage import usage_chart, usage_days
from personas.errors import BadInput
from personas.models import AuditEntry


@dataclass(frozen=True)
class Resource:
    """`column` of the machine has what it owns today, `metric` how much of it it uses."""

    column: str
    metric: str
    label: str


RESOURCES = (
    Resource("vcpus", Metric.CPU, "vCPUs"),
    Resource("memory_mib", Metric.MEMORY, "Memory"),
)
DECIDED_BY = {
    "percentile": "most of the time it uses less, with headroom",
    "returning_peak": "a peak comes back every week",
    "growth": "its use grows",
    "full": "it stood at its limit",
    "overdrawn": "it once used more than it has",
    "deepest_cut": "no deeper cut at once",
    "minimum": "the least that a machine gets",
}


TOLD = ("size", "capacity", "saving", "above_share", "decided_by", "because", "samples", "days", "coverage")


def sizing_of(vm: VirtualMachine, **wanted: float) -> dict[str, Sized | Unsized]:
    """Column (`vcpus`, `memory_mib`) → its size, in the column's unit, or why there is none. `wanted` changes
    the department's policy of both: percentile, headroom, window_days, deepest_cut. Raises BadInput."""
    require_window(wanted.get("window_days"))
    policies = {column: _policy(each, wanted) for column, each in policies_of(vm.department).items()}
    days = usage_days(vm, days=max(policy.window_days for policy in policies.values()))
    return {
        resource.column: _sized(vm, resource, days.get(resource.metric, []), policies[resource.column])
        for resource in RESOURCES
    }


def _policy(policy: Policy, wanted: dict[str, float]) -> Policy:
    errors = {}
    for name, value in wanted.items():
        try:
            policy = replace(policy, **{name: value})
        except ValueError as error:
            errors[name] = [str(error)]
    if errors:
        raise BadInput(errors)
    return policy


def _sized(vm: VirtualMachine, resource: Resource, days: list[Day], policy: Policy) -> Sized | Unsized:
    present = getattr(vm, resource.column)
    if not present:
        return Unsized("it is not known how much the machine has today; tell it under Edit")
    trace = _trace(days, _history(vm, resource.column, present))
    if len(trace) and trace.capacity[-1] != present:
        return Unsized("nothing was measured since its last resize")
    return chosen_size(trace, policy)


def _history(vm: VirtualMachine, column: str, present: int) -> list[tuple[float, int]]:
    """[(from epoch seconds on, capacity)], ascending; read off the trail of changes. A first entry is no resize: then
    the machine had it all along."""
    entries = AuditEntry.objects.filter(object_id=str(vm.pk), action="virtualmachine.update").order_by("at")
    changes = [
        (at, before[column])
        for at, before in entries.values_list("at", "before")
        if (before or {}).get(column)
    ]
    capacities = [before for _, before in changes] + [present]
    starts = [0.0] + [at.timestamp() for at, _ in changes]
    return list(zip(starts, capacities, strict=True))


def _trace(days: list[Day], history: list[tuple[float, int]]) -> Trace:
    """Percents of what it had at that time → what it used. Days of different steps count by time."""
    step_s = math.gcd(*(day.step_s for day in days)) if days else 0
    told = [
        (day.number * DAY_S + slot * step_s, value)
        for day in days
        for slot, value in enumerate(stretched(day.values, day.step_s // step_s))
        if value is not None
    ]
    times = np.array([at for at, _ in told], dtype=float)
    percents = np.array([value for _, value in told], dtype=float)
    capacity = np.zeros(len(told))
    for start, owned in history:
        capacity[times >= start] = owned
    return Trace(times, percents / 100 * capacity, capacity)


def size_told(found: Sized | Unsized) -> dict[str, Any]:
    """One shape for both, for the API and the page: where there is no size, `refused` says why and the rest is None."""
    if isinstance(found, Unsized):
        return dict.fromkeys(TOLD) | {"refused": found.reason, "wishes": {}}
    return {name: getattr(found, name) for name in TOLD if name != "because"} | {
        "because": DECIDED_BY[found.decided_by],
        "refused": None,
        "wishes": found.wishes,
    }


def chart_with_size(vm: VirtualMachine, metric: str) -> dict[str, Any]:
    """usage_chart, and the chosen size as one more line: percent of what the machine has today."""
    chart = usage_chart(vm, metric)
    resource = next((each for each in RESOURCES if each.metric == metric), None)
    if resource is None or not chart["x"]:
        return chart
    found = sizing_of(vm)[resource.column]
    if isinstance(found, Sized):
        chart["lines"].append({"label": "size", "value": round(100 * found.size / found.capacity, 3)})
    return chart


def sizes_shown(vm: VirtualMachine) -> list[dict[str, Any]]:
    """For the card: what `size_told` says of each resource, with `column` and `label`, and the shares in percent."""
    found = sizing_of(vm)
    return [
        {"column": r.column, "label": r.label} | _in_percent(size_told(found[r.column])) for r in RESOURCES
    ]


def _in_percent(told: dict[str, Any]) -> dict[str, Any]:
    if told["refused"]:
        return told
    return told | {"saving_percent": 100 * told["saving"], "above_percent": 100 * told["above_share"]}
