"""How far a run is, as page, API and command line show it."""

from typing import Any

from django.db.models import Prefetch
from django.utils import timezone

from migrations_engine.domain.eta import eta_s
from migrations_engine.domain.states import StepState
from migrations_engine.models import MigrationRun, StepRun

LABELS = {
    "analyze": "Analyze",
    "merge": "Merge",
    "migrate": "Migrate",
    "post_script": "Post-migration script",
}
SHARE = {
    "analyze": 10,
    "merge": 2,
    "migrate": 73,
    "post_script": 15,
}  # of a whole run, as measured; adds up to 100


def with_progress(runs):
    """The queryset with what `run_percent` and `step_progress` read, in one more query."""
    return runs.prefetch_related(Prefetch("steps", StepRun.objects.order_by("order")))


def run_percent(run: MigrationRun) -> float:
    return round(sum(SHARE[step.name] * _percent(step) / 100 for step in run.steps.all()), 1)


def step_progress(step: StepRun) -> dict[str, Any]:
    """{name, label, state, attempt, percent, message, bytes_done, bytes_total, elapsed_s, eta_s, error,
    live}."""
    now = timezone.now()
    return {
        "name": step.name,
        "label": LABELS[step.name],
        "state": step.state,
        "attempt": step.attempt,
        "retries": step.retries,
        "percent": _percent(step),
        "message": step.message,
        "bytes_done": step.bytes_done,
        "bytes_total": step.bytes_total,
        "elapsed_s": _elapsed_s(step, now),
        "eta_s": _eta_s(step, now),
        "error": step.error,
        "live": step.live,
    }


def script_outcomes(run: MigrationRun) -> list[dict[str, Any]]:
    """Those of every phase so far: a later step's begin with the earlier ones."""
    results = {step.name: step.result or {} for step in run.steps.all()}
    return results["post_script"].get("scripts") or results["migrate"].get("scripts", [])


def run_elapsed_s(run: MigrationRun) -> float | None:
    if run.started_at is None:
        return None
    return round(((run.finished_at or timezone.now()) - run.started_at).total_seconds(), 1)


def _percent(step) -> float:
    return 100.0 if step.state == StepState.SUCCEEDED else step.percent


def _elapsed_s(step, now) -> float | None:
    if step.started_at is None:
        return None
    return round(((step.finished_at or now) - step.started_at).total_seconds(), 1)


def _eta_s(step, now) -> float | None:
    """Of the phase that counts bytes; other phases have no rate to go by."""
    if step.state != StepState.RUNNING or not step.bytes_total or step.phase_at is None:
        return None
    return eta_s(step.bytes_done, step.bytes_total, (now - step.phase_at).total_seconds())
