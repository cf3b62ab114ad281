"""What follows from the end of a run; said inside the transaction that ends it."""

from django.utils import timezone

from analyzer.domain.outcomes import OutcomeKind
from analyzer.services.outcomes import suggestion_outcome_write
from migrations_engine.domain.states import RunState
from migrations_engine.domain.webhooks import Event
from migrations_engine.models import MigrationRun
from migrations_engine.services.progress import script_outcomes
from migrations_engine.services.webhooks import run_happened
from personas.models.track_record import Outcome
from personas.services.allowances import runs_return
from personas.services.audit import record
from personas.services.track_record import outcomes_write


def run_ended(run: MigrationRun) -> None:
    """The audit row, the outcome of the suggestion that this run followed, the personas' track record; a run that did
    not succeed takes nothing of what was bought. The end is written in `run` already."""
    record(
        by=None,
        action=f"migration.{run.state}",
        obj=run,
        after={"state": run.state, "root_cause": run.root_cause},
    )
    run_happened(run, Event(f"run.{run.state}"))
    if run.is_test:  # a rehearsal says nothing of its persona, and takes nothing of what was bought
        runs_return(run_id=run.pk, now=timezone.now())
        return
    _tell_suggestion(run)
    if run.state != RunState.SUCCEEDED:
        runs_return(run_id=run.pk, now=timezone.now())
    _keep_record(run)


def _tell_suggestion(run: MigrationRun) -> None:
    """A cancelled run says nothing: whoever cancels may have taken the wrong target."""
    if run.state == RunState.CANCELLED:
        return
    machine = run.plan.get("machine") or {}
    suggestion_outcome_write(
        vm=run.vm,
        run_id=run.pk,
        personas=[each["id"] for each in run.plan["personas"]],
        kind=_kind(run),
        ended_at=run.finished_at,
        vcpus=machine.get("vcpus"),
        memory_mib=machine.get("memory_mib"),
    )


def _kind(run: MigrationRun) -> OutcomeKind:
    if run.state == RunState.FAILED and _script_failed(run):
        return OutcomeKind.SCRIPT_FAILED
    return OutcomeKind(run.state)


def _keep_record(run: MigrationRun) -> None:
    machine = run.plan.get("machine") or {}
    outcomes_write(
        run_id=run.pk,
        machine_id=run.vm_id,
        department=run.department,
        personas=run.plan["personas"],
        outcome=_outcome(run),
        ended_at=run.finished_at,
        script_failed=_script_failed(run),
        rolled_back=_went_back(run),
        vcpus=machine.get("vcpus"),
        memory_mib=machine.get("memory_mib"),
        duration_s=(run.finished_at - run.started_at).total_seconds() if run.started_at else None,
    )


def _outcome(run: MigrationRun) -> Outcome:
    """A move that was taken back did not succeed."""
    return Outcome.FAILED if run.state == RunState.ROLLED_BACK else Outcome(run.state)


def _went_back(run: MigrationRun) -> bool:
    if run.state == RunState.CANCELLED:
        return run.resources.exists()
    return run.state == RunState.ROLLED_BACK


def _script_failed(run: MigrationRun) -> bool:
    """A script ended with another code than 0, also where the plan let the run go on."""
    return any(script["exit_code"] != 0 for script in script_outcomes(run))
