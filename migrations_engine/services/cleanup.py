"""The end of a cancelled run: what it made is removed. Safe to say at any moment, by any number of workers."""

import uuid

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from migrations_engine.domain.states import RunState, StepState
from migrations_engine.models import MigrationRun, StepRun
from migrations_engine.models.run import run_out
from migrations_engine.services import cutover, ledger, warm
from migrations_engine.services.events import tell
from migrations_engine.services.outcome import run_ended
from migrations_engine.targets.base import TargetError


def conclude_cancel(*, run_id: uuid.UUID) -> bool:
    """Ends a run that is being cancelled, as soon as no living worker is in it; True where it did."""
    run = MigrationRun.objects.filter(pk=run_id, state=RunState.CANCELLING).select_related("target").first()
    if run is None or not _close_steps(run_id):
        return False
    try:
        removed = ledger.remove_all(run)
    except (TargetError, OSError) as error:
        cause = f"The run was cancelled, but what it made could not be removed: {error}"
        return _end(run_id, RunState.FAILED, cause, level="error")
    told = f" Removed: {', '.join(removed)}." if removed else ""
    ended = _end(run_id, RunState.CANCELLED, f"The run is cancelled.{told}")
    cutover.source_restore(run_id=run_id)
    warm.warm_release(run_id=run_id)
    return ended


def _close_steps(run_id) -> bool:
    """Closes every step that nobody works on; False where somebody does. Their fences go, so that a worker that only
    seemed dead cannot write any more."""
    now = timezone.now()
    with transaction.atomic():
        MigrationRun.objects.select_for_update().get(pk=run_id)
        steps = StepRun.objects.filter(run_id=run_id)
        if steps.filter(state=StepState.RUNNING).exclude(run_out(now)).exists():
            return False
        dead = Q(run_out(now), state=StepState.RUNNING)
        steps.filter(dead | Q(state__in=[StepState.WAITING, StepState.FAILED])).update(
            state=StepState.CANCELLED, fence=None, lease_until=None, finished_at=now
        )
    return True


def _end(run_id, state, text, level="info") -> bool:
    cause = text if state == RunState.FAILED else ""
    cancelling = MigrationRun.objects.filter(pk=run_id, state=RunState.CANCELLING)
    with transaction.atomic():
        if not cancelling.update(state=state, finished_at=timezone.now(), root_cause=cause):
            return False
        run_ended(MigrationRun.objects.get(pk=run_id))
        tell(run_id, text, level=level)
    return True


def remove_leftovers(*, run_id: uuid.UUID) -> None:
    """For a worker that lost its claim: what it was just making when its run was cancelled goes as well."""
    run = MigrationRun.objects.filter(pk=run_id, state=RunState.CANCELLED).select_related("target").first()
    if run is not None:
        ledger.remove_all(run)
