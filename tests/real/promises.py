"""What is promised of every run, whatever was killed meanwhile; asked after each crash that a test makes."""

from django.conf import settings

from migrations_engine.domain.seal import verify
from migrations_engine.domain.states import RunState, StepState
from migrations_engine.models import MigrationRun
from migrations_engine.services.receipt import receipt_key, receipt_of
from personas.domain.canonical import sha256_of
from personas.models import AuditEntry
from tests.real import instance
from tests.real.estate import sha256

CUT_OFF = (StepState.SUCCEEDED, StepState.CANCELLED)


def require_promises(run: MigrationRun, *, workers_at_most: int = 6) -> MigrationRun:
    """P1, P2, P3, P5 and P6, and a cause that a person can act on; returns the run as it is."""
    run = MigrationRun.objects.get(pk=run.pk)
    assert run.has_ended
    steps = list(run.steps.order_by("order"))
    for step in steps:
        successes = run.events.filter(text=f"{step.name} succeeded.").count()
        assert successes == (step.state == StepState.SUCCEEDED), f"{step.name} was committed {successes} times"
        assert step.attempt <= workers_at_most
        assert step.fence is None and step.lease_until is None
    if run.state == RunState.CANCELLED:
        assert all(step.state in CUT_OFF for step in steps)
    _require_its_plan(run, steps)
    actions = list(AuditEntry.objects.filter(object_id=str(run.pk)).values_list("action", flat=True))
    assert actions.count("migration.start") == 1 and f"migration.{run.state}" in actions
    assert bool(run.root_cause) == (run.state == RunState.FAILED)
    assert "A defect of ours" not in run.root_cause
    return run


def _require_its_plan(run, steps) -> None:
    """The settings that were applied are those of the launch, and the receipt says so."""
    applied = next(step for step in steps if step.name == "merge").result or {}
    planned = run.plan["merged"]["sha256"]
    assert applied.get("settings_sha256", planned) == planned == sha256_of(run.plan["merged"]["merged"])
    verify(receipt_of(run), receipt_key())


def require_source_as_it_was(disk, before: str) -> None:
    """P4."""
    assert sha256(disk) == before


def require_nothing_left(*runs: MigrationRun) -> None:
    """No process and no file of runs whose machines are gone, or never came to be."""
    assert instance.left_behind(settings.DISKS_DIR) == []
    names = {entry.name for entry in settings.DISKS_DIR.iterdir()} if settings.DISKS_DIR.exists() else set()
    assert names.isdisjoint({str(run.pk) for run in runs})
