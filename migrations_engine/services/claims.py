"""Who works on a step: a claim is a fence token and a lease, taken and given back by conditional UPDATEs.

A claim whose lease has run out may be taken by another worker; the fence then keeps the first one from writing.
Times are the workers' own clocks: they must agree to within a fraction of LEASE_S (NTP does). A clock that jumps costs
time only: forward, another worker takes over and the fence keeps them apart; back, see `run_out`.
"""

import uuid
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from migrations_engine.domain.states import STEPS, RunState, StepName, StepState
from migrations_engine.domain.terms import confirm_by, needs_confirmation
from migrations_engine.domain.webhooks import Event
from migrations_engine.models import Cutover, MigrationRun, StepRun
from migrations_engine.models.run import run_out
from migrations_engine.services.events import tell
from migrations_engine.services.outcome import run_ended
from migrations_engine.services.webhooks import run_happened

MAX_ATTEMPTS = 6  # the first worker and five that took over: what kills six workers will kill the next


class LostClaim(Exception):
    """Another worker holds the step now, or nobody may: stop without writing anything more."""


class Cancelled(Exception):
    """Somebody asked for the run to be cancelled."""


class Parked(Exception):
    """The step cannot go on before a person has decided; `decide_by`: until when."""

    def __init__(self, message: str, decide_by: datetime):
        super().__init__(message)
        self.decide_by = decide_by


@dataclass(frozen=True)
class Claim:
    run_id: uuid.UUID
    step_id: int
    name: StepName
    token: uuid.UUID
    attempt: int
    retries: int
    run: MigrationRun = field(compare=False, repr=False)  # with its machine, target, department and launcher
    steps: dict[StepName, StepRun] = field(compare=False, repr=False)  # as the first claim found them

    def result(self, name: StepName) -> dict[str, Any]:
        """What that step has given or kept."""
        return self.steps[name].result or {}


def lease() -> timedelta:
    return timedelta(seconds=settings.LEASE_S)


def take(*, run_id: uuid.UUID, name: StepName) -> Claim | None:
    """None where the step is not to be run now: held by a living worker, done, not its turn, or its run at an end."""
    now, token = timezone.now(), uuid.uuid4()
    with transaction.atomic():
        run = _locked_open(run_id)
        if run is None or not _free(run_id, name, now).update(**_claimed(token, now)):
            return None
        if run.state == RunState.QUEUED:
            run.state, run.started_at = RunState.RUNNING, run.started_at or now
            run.save(update_fields=["state", "started_at"])
        steps = {StepName(step.name): step for step in StepRun.objects.filter(run_id=run_id)}
    step = steps[name]
    return Claim(run_id, step.pk, name, token, step.attempt, step.retries, run, steps)


def _claimed(token: uuid.UUID, now: datetime) -> dict[str, Any]:
    return {
        "state": StepState.RUNNING,
        "fence": token,
        "lease_until": now + lease(),
        "attempt": F("attempt") + 1,
        "started_at": Coalesce("started_at", Value(now)),
        "phase_at": now,
    }


def _locked_open(run_id: uuid.UUID) -> MigrationRun | None:
    """Locked, so that a cancel comes wholly before or wholly after the claim."""
    runs = MigrationRun.objects.filter(pk=run_id, state__in=[RunState.QUEUED, RunState.RUNNING])
    runs = runs.select_related("vm__source", "target", "created_by", "department")
    return runs.select_for_update(of=("self",)).first()


def _free(run_id, name, now):
    """The step's own columns stand in the WHERE itself: in a subquery PostgreSQL would not look at them again after
    waiting for a rival's UPDATE, and two workers would hold one step."""
    unfinished = StepRun.objects.filter(run_id=OuterRef("run_id"), order__lt=OuterRef("order"))
    unfinished = unfinished.exclude(state=StepState.SUCCEEDED)
    untouched = Q(state=StepState.WAITING) | Q(run_out(now), state=StepState.RUNNING)
    return StepRun.objects.filter(
        untouched, ~Exists(unfinished), run_id=run_id, name=name, attempt__lt=MAX_ATTEMPTS
    )


def _held(claim: Claim):
    return StepRun.objects.filter(pk=claim.step_id, fence=claim.token, state=StepState.RUNNING)


def renew(claim: Claim, **progress: Any) -> None:
    """Moves the lease on and stores `progress` (columns of StepRun). Raises LostClaim, Cancelled."""
    if not _held(claim).update(lease_until=timezone.now() + lease(), **progress):
        raise LostClaim(f"{claim.name} is held by another worker")
    if MigrationRun.objects.filter(pk=claim.run_id, state=RunState.CANCELLING).exists():
        raise Cancelled()


def forget_live(claim: Claim) -> None:
    """What was shown of a running script goes; where the claim is lost, its new holder's stays."""
    _held(claim).exclude(live=None).update(live=None)


def keep(claim: Claim, result: dict[str, Any]) -> None:
    """Stores what the step has so far, for the worker that may take it over. Raises LostClaim."""
    if not _held(claim).update(result=result):
        raise LostClaim(f"{claim.name} is held by another worker")


def park(claim: Claim, parked: Parked) -> None:
    """Gives the step back until a person has decided: no worker and no lease waits. Raises LostClaim."""
    with transaction.atomic():
        run = MigrationRun.objects.select_for_update().get(pk=claim.run_id)
        # it died of nothing: whoever goes on is its first worker
        columns = {"state": StepState.WAITING, "message": str(parked)[:300], "attempt": 0}
        if not _held(claim).update(fence=None, lease_until=None, **columns):
            raise LostClaim(f"{claim.name} is held by another worker")
        running = MigrationRun.objects.filter(pk=run.pk, state=RunState.RUNNING)
        if running.update(state=RunState.DECIDING):
            run.state = RunState.DECIDING
            Cutover.objects.filter(run=run).update(decide_by=parked.decide_by)
            run_happened(run, Event.RUN_DECIDING)
            tell(run.pk, f"{parked} The run waits for somebody to decide.", step=claim.name, level="warning")


def settle(claim: Claim, state: StepState, *, result: dict[str, Any] | None = None, error: str = "") -> None:
    """Ends the step, tells of it, and ends its run where that follows. Without `result` what was kept stays.

    Raises LostClaim.
    """
    now = timezone.now()
    with transaction.atomic():
        # one order of locks: the run, then its steps; a success in between leaves the run as it is
        run = None if is_between(claim, state) else _locked(claim.run_id)
        _end_step(claim, state, now, result, error)
        if run is not None and state == StepState.FAILED:
            _end(run, RunState.FAILED, now, root_cause=error)
        elif run is not None and state == StepState.SUCCEEDED:
            _finish(run, (result or {}).get("checks", []), now)


def hand_on(claim: Claim, result: dict[str, Any]) -> Claim | None:
    """Ends a step that succeeded and takes the one after it in the same transaction, for the same worker; None where
    that one is not to be run: its run is cancelled. Raises LostClaim."""
    now, token = timezone.now(), uuid.uuid4()
    step = claim.steps[STEPS[STEPS.index(claim.name) + 1]]
    runs = MigrationRun.objects.filter(pk=claim.run_id, state=RunState.RUNNING)
    with transaction.atomic():
        # the run is locked before its steps, as in `take`. That every step before it is done is said by our own fence
        waiting = StepRun.objects.filter(pk=step.pk, state=StepState.WAITING)
        is_taken = waiting.filter(Exists(runs.select_for_update())).update(**_claimed(token, now))
        _end_step(claim, StepState.SUCCEEDED, now, result)
    claim.steps[claim.name].result = result
    if not is_taken:
        return None
    name, attempt = StepName(step.name), step.attempt + 1
    return replace(claim, step_id=step.pk, name=name, token=token, attempt=attempt, retries=step.retries)


def _end_step(claim: Claim, state: StepState, now: datetime, result: dict[str, Any] | None, error="") -> None:
    columns: dict[str, Any] = {
        "state": state,
        "error": error,
        "finished_at": now,
        "fence": None,
        "lease_until": None,
        "live": None,
    }
    if result is not None:
        columns["result"] = result
    if state == StepState.SUCCEEDED:
        columns |= {"percent": 100, "message": ""}
    if not _held(claim).update(**columns):
        raise LostClaim(f"{claim.name} is held by another worker")
    if state == StepState.SUCCEEDED:
        tell(claim.run_id, f"{claim.name} succeeded.", step=claim.name)
    elif error:
        tell(claim.run_id, error, step=claim.name, level="error")


def is_between(claim: Claim, state: StepState) -> bool:
    """The step succeeds and another one follows."""
    return state == StepState.SUCCEEDED and claim.name != STEPS[-1]


def _locked(run_id: uuid.UUID) -> MigrationRun:
    """With its machine and department: its end is told of by their names."""
    runs = MigrationRun.objects.select_related("vm", "department")
    return runs.select_for_update(of=("self",)).get(pk=run_id)


def _finish(run: MigrationRun, checks: list[dict[str, Any]], now) -> None:
    if not needs_confirmation(run.terms, checks):
        _end(run, RunState.SUCCEEDED, now)
        return
    deadline = confirm_by(run.terms, now)
    running = MigrationRun.objects.filter(pk=run.pk, state=RunState.RUNNING)
    if running.update(state=RunState.CONFIRMING, confirm_by=deadline):
        run.state = RunState.CONFIRMING
        run_happened(run, Event.RUN_CONFIRMING)
        until = f" until {deadline:%Y-%m-%d %H:%M:%S} UTC, or it is rolled back" if deadline else ""
        tell(run.pk, f"The machine is up. The run waits for somebody to confirm it{until}.", level="warning")


def _end(run: MigrationRun, state: RunState, now: datetime, root_cause: str = "") -> None:
    """A run that is being cancelled stays so: its clean-up ends it."""
    if run.state == RunState.RUNNING:
        run.state, run.finished_at, run.root_cause = state, now, root_cause
        run.save(update_fields=["state", "finished_at", "root_cause"])
        run_ended(run)


def give_up_hopeless(*, run_id: uuid.UUID) -> bool:
    """Fails a run whose step has killed too many workers; True where it did."""
    now = timezone.now()
    with transaction.atomic():
        run = _locked(run_id)
        dead = StepRun.objects.filter(
            run_out(now), run_id=run_id, state=StepState.RUNNING, attempt__gte=MAX_ATTEMPTS
        )
        step = dead.first()
        if step is None:
            return False
        cause = f"{step.name}: {step.attempt} workers died in this step, the last one at {step.message!r}."
        if not dead.update(
            state=StepState.FAILED, error=cause, finished_at=now, fence=None, lease_until=None
        ):
            return False
        _end(run, RunState.FAILED, now, root_cause=cause)
    return True
