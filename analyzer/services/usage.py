"""Usage: pushed, uploaded or found on a disk; kept by day; summed up and drawn."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from django.db import transaction
from django.utils import timezone

from analyzer.domain import usage as numbers
from analyzer.domain.facts import Facts
from analyzer.domain.rhythm import Rhythm, rhythm_of
from analyzer.domain.usage_csv import EARLIEST_S, InvalidCsv, parse_csv
from analyzer.models import UsageSeries, VirtualMachine
from analyzer.models.usage import Metric
from personas.errors import BadInput
from personas.models import Role
from personas.services.access import require
from personas.services.audit import record

MAX_VALUES = 20_000  # of one push: a week of half-minutes
MAX_CSV_BYTES = 4 * 2**20
WINDOW_DAYS = 30  # what summaries look at: long enough for a month's end, short enough to be about today
CHART_POINTS = 400
EPOCH = date(1970, 1, 1)
BATCH = 200  # rows of one statement

Samples = dict[str, list[tuple[int, float]]]

# what the scanner finds on a disk → the metric here and the factor between their units
FOUND_ON_DISK = {
    "cpu_percent": (Metric.CPU, 1),
    "memory_percent": (Metric.MEMORY, 1),
    "network_receive_bytes_per_s": (Metric.NET_IN, 8 / 1e6),
    "network_transmit_bytes_per_s": (Metric.NET_OUT, 8 / 1e6),
    "disk_read_bytes_per_s": (Metric.DISK_READ, 1 / 2**20),
    "disk_write_bytes_per_s": (Metric.DISK_WRITE, 1 / 2**20),
}


@transaction.atomic
def usage_push(
    *, vm: VirtualMachine, metric: str, start: datetime, step_s: int, values: Sequence[float | None], by
) -> int:
    """Stores the values of consecutive steps from `start` on (None: not measured); returns how many slots they told of.
    The same push again changes nothing. Raises BadInput with everything that is wrong."""
    require(by=by, department=vm.department, role=Role.OPERATOR)
    _check_push(metric, start, step_s, values)
    first = int(start.timestamp())
    told = [(first + n * step_s, value) for n, value in enumerate(values) if value is not None]
    usage_store(vm=vm, samples={metric: told}, steps={metric: step_s})
    after = {"metric": metric, "start": start.isoformat(), "step_s": step_s, "values": len(told)}
    record(by=by, action="usage.push", obj=vm, after=after)
    return len(told)


def _check_push(metric: str, start: datetime, step_s: int, values: Sequence[float | None]) -> None:
    errors: dict[str, list[str]] = {}
    if metric not in Metric.values:
        errors["metric"] = [f"is no metric; known: {', '.join(Metric.values)}"]
    if step_s not in numbers.STEPS_S:
        errors["step_s"] = [f"is one of {', '.join(map(str, numbers.STEPS_S))} seconds"]
    if not 1 <= len(values) <= MAX_VALUES:
        errors["values"] = [f"are 1 to {MAX_VALUES} in one push"]
    elif metric in Metric.values:
        for index, value in enumerate(values):
            if value is not None and not numbers.is_possible(metric, value):
                errors[f"values.{index}"] = [f"{value} is not possible for {metric}"]
    end_s = start.timestamp() + max(0, step_s) * len(values)
    if start.timestamp() < EARLIEST_S or end_s > _latest_s():
        errors["start"] = ["lies before 2000, or the series ends in the future"]
    if errors:
        raise BadInput(dict(list(errors.items())[:50]))


def _latest_s() -> int:
    return int((timezone.now() + timedelta(hours=1)).timestamp())  # clocks differ a little


@transaction.atomic
def usage_upload(*, vm: VirtualMachine, content: bytes, by, step_s: int | None = None) -> dict[str, int]:
    """A CSV with `t` and metrics (see analyzer/domain/usage_csv.py), all of it or nothing: metric → values stored.
    Raises BadInput: `rows.7.cpu_percent` is what is wrong in row 7, `header` or `header.t`
    in the first line. The step is read off the times unless given."""
    require(by=by, department=vm.department, role=Role.OPERATOR)
    samples = _parsed(content)
    if step_s is not None and step_s not in numbers.STEPS_S:
        raise BadInput({"step_s": [f"is one of {', '.join(map(str, numbers.STEPS_S))} seconds"]})
    steps = {m: step_s or numbers.nearest_step([at for at, _ in told]) for m, told in samples.items()}
    usage_store(vm=vm, samples=samples, steps=steps)
    stored = {metric: len(told) for metric, told in samples.items()}
    record(by=by, action="usage.upload", obj=vm, after={"values": stored, "step_s": steps})
    return stored


def _parsed(content: bytes) -> Samples:
    if len(content) > MAX_CSV_BYTES:
        raise BadInput({"file": [f"is larger than {MAX_CSV_BYTES // 2**20} MiB; upload it in parts"]})
    try:
        return parse_csv(content.decode("utf-8-sig"), latest_s=_latest_s())
    except UnicodeDecodeError:
        raise BadInput({"file": ["is no text in UTF-8"]}) from None
    except InvalidCsv as invalid:
        errors: dict[str, list[str]] = {}
        for row, column, told in invalid.errors:
            place = "header" if row == 1 else f"rows.{row}"
            errors.setdefault(f"{place}.{column}".rstrip("."), []).append(told)
        raise BadInput(errors) from None


@transaction.atomic
def usage_store(*, vm: VirtualMachine, samples: Samples, steps: dict[str, int]) -> None:
    """Lays samples over what is stored, slot by slot. One writer of a machine at a time: its row is the lock."""
    VirtualMachine.objects.select_for_update().get(pk=vm.pk)
    new: list[UsageSeries] = []
    changed: list[UsageSeries] = []
    for metric, told in samples.items():
        days = numbers.slotted(told, steps[metric])
        dates = {EPOCH + timedelta(days=number): slots for number, slots in days.items()}
        stored = {row.day: row for row in UsageSeries.objects.filter(vm=vm, metric=metric, day__in=dates)}
        for day, slots in dates.items():
            if row := stored.get(day):
                _lay_over(row, slots, steps[metric])
                changed.append(row)
            else:
                new.append(UsageSeries(vm=vm, metric=metric, day=day, step_s=steps[metric], values=slots))
    UsageSeries.objects.bulk_create(new, batch_size=BATCH)
    UsageSeries.objects.bulk_update(changed, ["packed", "step_s"], batch_size=BATCH)


def _lay_over(row: UsageSeries, slots: numbers.Slots, step_s: int) -> None:
    values, finest = numbers.laid_over(row.values, row.step_s, slots, step_s)
    row.step_s, row.values = finest, values


def usage_store_found(*, vm: VirtualMachine, facts: Facts) -> None:
    """What the disk itself remembers. Its times stand at the end of a step, ours at the beginning."""
    samples: Samples = {}
    steps: dict[str, int] = {}
    for series in facts.usage:
        if series.metric not in FOUND_ON_DISK:
            continue
        metric, factor = FOUND_ON_DISK[series.metric]
        told = [(at - series.step_s, value * factor) for at, value in series.samples]
        possible = [(at, value) for at, value in told if numbers.is_possible(metric, value)]
        samples[metric] = [(at, value) for at, value in possible if EARLIEST_S <= at < _latest_s()]
        steps[metric] = min(numbers.STEPS_S, key=lambda step, own=series.step_s: abs(step - own))
    usage_store(vm=vm, samples=samples, steps=steps)


def usage_days(vm: VirtualMachine, *, days: int = WINDOW_DAYS) -> dict[str, list[numbers.Day]]:
    """Metric → its days, the last `days` before the newest one, ascending."""
    newest = UsageSeries.objects.filter(vm=vm).order_by("-day").values_list("day", flat=True).first()
    if newest is None:
        return {}
    rows = UsageSeries.objects.filter(vm=vm, day__gt=newest - timedelta(days=days)).order_by("metric", "day")
    found: dict[str, list[numbers.Day]] = {}
    for row in rows:
        found.setdefault(row.metric, []).append(numbers.Day((row.day - EPOCH).days, row.step_s, row.values))
    return found


def usage_summary(vm: VirtualMachine, *, days: int = WINDOW_DAYS) -> dict[str, numbers.Summary]:
    """Metric → coverage, mean, percentiles, maximum over the last `days`; metrics without a value are absent."""
    summaries = {metric: numbers.summarise(told) for metric, told in usage_days(vm, days=days).items()}
    return {metric: summary for metric, summary in summaries.items() if summary}


def usage_rhythms(vm: VirtualMachine, *, days: int = WINDOW_DAYS) -> dict[str, Rhythm]:
    """Metric → its rhythm over the last `days`."""
    told = usage_days(vm, days=days)
    return {metric: rhythm_of(each, percent=metric in numbers.PERCENT) for metric, each in told.items()}


def usage_chart(
    vm: VirtualMachine, metric: str, *, days: int = WINDOW_DAYS, points: int = CHART_POINTS
) -> dict:
    """For the chart: {"x": [unix s], "series": [{"label", "values"}], "lines": [{"label", "value"}]}. Thinned to
    `points` stretches that each keep their minimum, mean and maximum; a gap stays a gap (null)."""
    told = usage_days(vm, days=days).get(metric, [])
    summary = numbers.summarise(told)
    if summary is None:
        return {"x": [], "series": [], "lines": []}
    found = numbers.buckets(told, summary.first_s, summary.last_s, points)
    return {
        "x": [bucket.at_s for bucket in found],
        "series": [
            {"label": "mean", "values": [_short(bucket.mean) for bucket in found]},
            {"label": "maximum", "values": [_short(bucket.maximum) for bucket in found]},
            {"label": "minimum", "values": [_short(bucket.minimum) for bucket in found]},
        ],
        "lines": [
            {"label": "p95", "value": _short(summary.p95)},
            {"label": "p50", "value": _short(summary.p50)},
        ],
    }


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def utc(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
