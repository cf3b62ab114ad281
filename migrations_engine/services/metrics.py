"""Figures for Prometheus, counted in the database when asked: any web process gives the same answer."""

from collections.abc import Iterator
from datetime import datetime

from django.db.models import Avg, Count, F, Max, Min, Sum

from migrations_engine.domain.states import RunState, StepState
from migrations_engine.domain.terms import Mode
from migrations_engine.models import MigrationRun, StepRun, Wave
from personas.models import AuditEntry

PREFIX = "migration_personas"
Sample = tuple[dict[str, str], float]


def metrics_text(now: datetime) -> str:
    """The text format, version 0.0.4."""
    return "".join(_family(*family) for family in _families(now))


def _families(now: datetime) -> Iterator[tuple[str, str, str, list[Sample]]]:
    runs = _counted(MigrationRun, "state")
    yield "runs", "gauge", "Runs by state.", [({"state": s}, runs.get((s,), 0)) for s in RunState]
    steps = StepRun.objects.order_by()
    counted = steps.values_list("name", "state").annotate(Count("pk"))
    yield "steps", "gauge", "Steps of runs by state.", [({"step": n, "state": s}, c) for n, s, c in counted]
    done = steps.filter(state=StepState.SUCCEEDED, started_at__isnull=False)
    took = done.values_list("name").annotate(mean=Avg(F("finished_at") - F("started_at")))
    yield (
        "step_seconds_mean",
        "gauge",
        "Mean duration of steps that succeeded.",
        [({"step": name}, mean.total_seconds()) for name, mean in took if mean is not None],
    )
    moved = MigrationRun.objects.filter(state=RunState.SUCCEEDED).exclude(mode=Mode.TEST)
    size = moved.aggregate(size=Sum("vm__disks__virtual_size_bytes"))["size"]
    # a gauge: a roll-back takes its part away
    yield "migrated_bytes", "gauge", "Disk sizes of runs that succeeded, without rehearsals.", [({}, size or 0)]
    running = steps.filter(state=StepState.RUNNING)
    yield (
        "bytes_in_progress",
        "gauge",
        "Bytes that running steps have done.",
        [({}, running.aggregate(done=Sum("bytes_done"))["done"] or 0)],
    )
    held = running.filter(lease_until__gte=now).count()
    yield "leases", "gauge", "Steps held by a living worker, and such whose worker is silent.", [
        ({"state": "held"}, held), ({"state": "expired"}, running.count() - held),
    ]  # fmt: skip
    since = _queued_since()
    age = (now - since).total_seconds() if since else 0.0
    yield "queue_age_seconds", "gauge", "How long the oldest queued run has waited.", [({}, age)]
    waves = _counted(Wave, "state")
    yield (
        "waves",
        "gauge",
        "Waves by state.",
        [({"state": state}, count) for (state,), count in waves.items()],
    )


def _queued_since() -> datetime | None:
    """Since when the run has waited that has waited longest; one that is tried again since somebody asked for that."""
    queued = MigrationRun.objects.filter(state=RunState.QUEUED)
    again = set(queued.filter(steps__retries__gt=0).values_list("pk", flat=True))
    asked = AuditEntry.objects.filter(action="migration.retry", object_id__in=[str(pk) for pk in again])
    last = asked.order_by().values("object_id").annotate(last=Max("at")).values_list("last", flat=True)
    first = queued.exclude(pk__in=again).aggregate(first=Min("created_at"))["first"]
    return min([*last, *([first] if first else [])], default=None)


def _counted(model, *columns: str) -> dict[tuple, int]:
    rows = model.objects.order_by().values_list(*columns).annotate(Count("pk"))
    return {tuple(key): count for *key, count in rows}


def _family(name: str, kind: str, words: str, samples: list[Sample]) -> str:
    full = f"{PREFIX}_{name}"
    lines = [f"# HELP {full} {words}", f"# TYPE {full} {kind}"]
    lines += [f"{full}{_labels(labels)} {_number(value)}" for labels, value in samples]
    return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(round(float(value), 3))


def _labels(labels: dict[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
