"""What follows the last step: a run is confirmed, rolled back (by a person or by the clock), finalized."""

import uuid
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from migrations_engine.domain.states import RunState
from migrations_engine.domain.terms import OnRollback
from migrations_engine.models import Cutover, MigratedVM, MigrationRun
from migrations_engine.services import cutover, ledger
from migrations_engine.services.events import tell
from migrations_engine.services.migrated import machine_ref
from migrations_engine.services.outcome import run_ended
from migrations_engine.services.targets import open_endpoint
from migrations_engine.targets.base import TargetError
from personas.errors import Refused
from personas.models import Role
from personas.services.access import require
from personas.services.audit import record

REVERSIBLE = (RunState.CONFIRMING, RunState.SUCCEEDED)


def decisions(run: MigrationRun) -> dict[str, bool]:
    """What can be decided about it right now, by whoever may."""
    reversible = run.state in REVERSIBLE and run.finalized_at is None
    return {
        "may_confirm": run.state == RunState.CONFIRMING,
        "may_roll_back": reversible,
        "may_finalize": reversible and run.state == RunState.SUCCEEDED and not run.is_test,
    }


def run_confirm(*, run: MigrationRun, by) -> MigrationRun:
    """The machine stays. Said twice: the same answer. Raises Refused where nobody waits for it (any more)."""
    require(by=by, department=run.department, role=Role.OPERATOR)
    with transaction.atomic():
        run = MigrationRun.objects.select_for_update().get(pk=run.pk)
        if run.state == RunState.SUCCEEDED:
            return run
        if run.state != RunState.CONFIRMING:
            raise Refused(f"Only a run that waits for it can be confirmed; this one is {_words(run)}.")
        _write(run, RunState.SUCCEEDED, f"{by.get_username()} confirmed the run.", finished_at=timezone.now())
        record(by=by, action="migration.confirm", obj=run, after={"state": run.state})
        run_ended(run)
    return run


def run_rollback(*, run: MigrationRun, by, reason: str = "") -> MigrationRun:
    """Asks for the way back: the target machine is removed or kept as the terms say. Asked twice: the same answer.

    Raises Refused for a run that is finalized, or not at a point from where there is a way back.
    """
    require(by=by, department=run.department, role=Role.OPERATOR)
    with transaction.atomic():
        run = MigrationRun.objects.select_for_update().get(pk=run.pk)
        if run.state in (RunState.ROLLING_BACK, RunState.ROLLED_BACK):
            return run
        _require_reversible(run)
        before = run.state
        told = f"{by.get_username()} asked to {'discard it' if run.is_test else 'roll back'}."
        _write(run, RunState.ROLLING_BACK, f"{told} {reason}".strip(), level="warning")
        after = {"state": run.state, "reason": reason}
        record(by=by, action="migration.rollback", obj=run, before={"state": before}, after=after)
    return run


def _require_reversible(run: MigrationRun) -> None:
    if run.finalized_at:
        raise Refused("The run is finalized; there is no way back any more.")
    if run.state not in REVERSIBLE:
        raise Refused(f"There is nothing to roll back; the run is {_words(run)}.")
    if Cutover.objects.touched().filter(run=run).exists():
        _require_last(run)


def _require_last(run: MigrationRun) -> None:
    """Its source comes on again: not beside what another move has made, or makes."""
    others = MigrationRun.objects.filter(vm=run.vm_id).exclude(pk=run.pk)
    other = MigrationRun.objects.followers(run).first() or others.alive().first()
    if other is not None:
        raise Refused(
            f"{other} is {_words(other)}: the source would come on beside its machine. Roll that run back first, or "
            "finalize this one.",
            run=str(other.pk),
        )


def run_finalize(*, run: MigrationRun, by) -> MigrationRun:
    """Gives up the way back. Raises Refused for a run that has not succeeded, and for a test migration."""
    require(by=by, department=run.department, role=Role.OPERATOR)
    with transaction.atomic():
        run = MigrationRun.objects.select_for_update().get(pk=run.pk)
        if run.finalized_at:
            return run
        if run.is_test:
            raise Refused("A test migration is discarded, not finalized.")
        if run.state != RunState.SUCCEEDED:
            raise Refused(f"Only a run that succeeded can be finalized; this one is {_words(run)}.")
        run.finalized_at = timezone.now()
        run.save(update_fields=["finalized_at"])
        tell(run.pk, f"{by.get_username()} finalized the run: there is no way back any more.")
        record(
            by=by, action="migration.finalize", obj=run, after={"finalized_at": run.finalized_at.isoformat()}
        )
    return run


def roll_back_overdue(*, run_id: uuid.UUID, now: datetime) -> bool:
    """By the clock: a run that nobody confirmed in time goes back; True where it does so now."""
    with transaction.atomic():
        run = MigrationRun.objects.overdue(now).select_for_update().filter(pk=run_id).first()
        if run is None:
            return False
        told = f"Nobody confirmed the run within {run.confirm_minutes} minutes: it is rolled back."
        _write(run, RunState.ROLLING_BACK, told, level="warning")
        record(by=None, action="migration.rollback", obj=run, after={"state": run.state, "reason": told})
    return True


def conclude_rollback(*, run_id: uuid.UUID) -> bool:
    """Does what `run_rollback` asked for; safe to say at any moment, by any number of workers. True where it ended."""
    run = MigrationRun.objects.filter(pk=run_id, state=RunState.ROLLING_BACK)
    run = run.select_related("target").first()
    if run is None:
        return False
    try:
        done = _keep_switched_off(run) if run.on_rollback == OnRollback.KEEP else _remove(run)
    except (TargetError, OSError) as error:
        cause = f"The run was rolled back, but its machine could not be {_undone(run)}: {error}"
        return _end(run_id, RunState.FAILED, cause)
    try:
        is_back = cutover.switch_back(run)
    except cutover.FAILURES as error:
        cause = f"The run was rolled back, but its source could not be switched on: {error} It is tried again."
        return _end(run_id, RunState.FAILED, cause)
    source = "The source is as it was before." if is_back else "The source is being switched on."
    return _end(run_id, RunState.ROLLED_BACK, f"The run is rolled back. {done} {source}")


def _keep_switched_off(run: MigrationRun) -> str:
    row = MigratedVM.objects.filter(run=run, removed_at__isnull=True).first()
    if row is None:
        return "Its machine was removed before."
    open_endpoint(run.target).power(machine_ref(row), "off")
    MigratedVM.objects.filter(pk=row.pk).update(power_state="off", wanted_power="off")
    return "Its machine is switched off and kept."


def _remove(run: MigrationRun) -> str:
    removed = ledger.remove_all(run)
    return f"Removed: {', '.join(removed)}." if removed else "There was nothing left to remove."


def _undone(run: MigrationRun) -> str:
    return "switched off" if run.on_rollback == OnRollback.KEEP else "removed"


def _end(run_id, state: RunState, text: str) -> bool:
    failed = state == RunState.FAILED
    columns = {"state": state, "finished_at": timezone.now(), "root_cause": text if failed else ""}
    with transaction.atomic():
        if not MigrationRun.objects.filter(pk=run_id, state=RunState.ROLLING_BACK).update(**columns):
            return False
        run_ended(MigrationRun.objects.get(pk=run_id))
        tell(run_id, text, level="error" if failed else "info")
    return True


def _write(run: MigrationRun, state: RunState, told: str, *, level: str = "info", **columns) -> None:
    run.state, run.confirm_by = state, None
    for name, value in columns.items():
        setattr(run, name, value)
    run.save(update_fields=["state", "confirm_by", *columns])
    tell(run.pk, told, level=level)


def _words(run: MigrationRun) -> str:
    return str(run.state).replace("_", " ")
