"""Warm moves: what is remembered of their rounds, the forecast of the outage, and the source without our checkpoint."""

import uuid

from django.db import transaction
from django.utils import timezone

from analyzer.models import VirtualMachine
from analyzer.sources.base import SourceError
from migrations_engine.domain.outage import Round, forecast, rounds_of
from migrations_engine.domain.states import StepName, StepState
from migrations_engine.models import CreatedResource, Cutover, MigrationRun, StepRun, WarmCopy
from migrations_engine.services import cutover, ledger
from migrations_engine.services.events import tell
from personas.errors import Refused
from personas.services.audit import record

CHECKPOINT = "checkpoint"  # the kind of its row in the ledger
FAILURES = (SourceError, Refused, OSError)


def owner_of(run_id: uuid.UUID) -> str:
    """Under which name a run stages disks and marks its source."""
    return f"run-{run_id}"


def warm_begin(run: MigrationRun) -> WarmCopy:
    return WarmCopy.objects.get_or_create(run=run)[0]


def warm_write(run_id: uuid.UUID, **columns) -> None:
    WarmCopy.objects.filter(run_id=run_id).update(**columns)


def warm_mark(run: MigrationRun, reference: str) -> None:
    """Said before the source gets its first checkpoint: from here on it is owed that this goes away."""
    with transaction.atomic():
        warm_write(run.pk, is_marked=True)
        ledger.intend(run_id=run.pk, kind=CHECKPOINT, reference=reference)


def warm_round(run_id: uuid.UUID, *, base: str, done: Round) -> WarmCopy:
    """The staged disks hold the moment of `base`."""
    row = WarmCopy.objects.get(run_id=run_id)
    row.base, row.rounds = base, [*row.rounds, done.as_dict()]
    expected = forecast(rounds_of(row.rounds), rest_s(row.run.vm))
    row.forecast = expected.as_dict() if expected else None
    row.save(update_fields=["base", "rounds", "forecast"])
    CreatedResource.objects.filter(run_id=run_id, kind=CHECKPOINT).update(state="created")
    return row


def warm_forget(run_id: uuid.UUID) -> None:
    """What is staged counts no more; what the source keeps is still owed."""
    warm_write(run_id, base="", rounds=[], forecast=None, settled_at=None, content=[], proved_at=None)


def warm_release(*, run_id: uuid.UUID) -> bool:
    """Takes the checkpoint of a run that is over off its source; safe to say at any moment, by any number of workers.
    True where none is there now. A source that is to go on again goes on first."""
    row = WarmCopy.objects.owed().filter(run_id=run_id).select_related("run__vm__source").first()
    if row is None:
        return True
    if Cutover.objects.owed().filter(run_id=run_id).exists():
        return False
    try:
        source = cutover.source_power(row.run.vm)
        if source is not None:
            source.release_changes(row.run.vm.external_id, owner=owner_of(run_id))
    except FAILURES as error:
        _tell_problem(row, str(error))
        return False
    warm_released(row.run)
    return True


def warm_released(run: MigrationRun) -> None:
    """The source keeps nothing for this run any more."""
    with transaction.atomic():
        if WarmCopy.objects.filter(run=run, is_marked=True).update(is_marked=False, base="", problem=""):
            rows = CreatedResource.objects.filter(run=run, kind=CHECKPOINT).exclude(state="removed")
            rows.update(state="removed", removed_at=timezone.now())
            tell(run.pk, "The source keeps no list of changes any more.")
            record(by=None, action="migration.changes_released", obj=run, after={"vm": str(run.vm_id)})


def _tell_problem(row: WarmCopy, problem: str) -> None:
    if WarmCopy.objects.filter(pk=row.pk).exclude(problem=problem).update(problem=problem):
        tell(row.run_id, f"The list of changes could not be taken off the source yet: {problem}", level="error")


def rest_s(vm: VirtualMachine) -> float | None:
    """What the last run of this machine took from its copy being whole to its guest's answer."""
    steps = StepRun.objects.filter(run__vm=vm, name=StepName.MIGRATE, state=StepState.SUCCEEDED)
    last = steps.filter(result__after_copy_s__isnull=False).order_by("-finished_at").first()
    return last.result["after_copy_s"] if last else None
