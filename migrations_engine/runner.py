"""Runs one step of one run: claim it, check what it needs, do it, settle it. Any number of workers may say the same.

Whatever ends a worker (kill -9, power, the database gone) leaves a lease that runs out; then the sweeper starts the
step again.
"""

import time
import traceback
import uuid

import structlog
from django.db import connection

from migrations_engine.domain.states import STEPS, StepName, StepState
from migrations_engine.services import claims, cleanup, cutover, warm
from migrations_engine.services.events import tell
from migrations_engine.services.targets import open_endpoint
from migrations_engine.steps.analyze import ANALYZE
from migrations_engine.steps.base import DATABASE_GONE, Alive, Step, StepFailed, Work
from migrations_engine.steps.drill import with_drill
from migrations_engine.steps.merge import MERGE
from migrations_engine.steps.migrate import MIGRATE
from migrations_engine.steps.post_script import POST_SCRIPT
from migrations_engine.targets.base import TargetError
from personas.errors import Refused

log = structlog.get_logger(__name__)

HANDLERS: dict[StepName, Step] = {step.name: step for step in (ANALYZE, MERGE, MIGRATE, POST_SCRIPT)}
FORESEEN = (StepFailed, TargetError, Refused, OSError)  # their message is the root cause, for a person


def execute(*, run_id: uuid.UUID, name: StepName, hand_on_s: float = 0) -> int:
    """Returns when the step is settled, or at once where it is not to be run. Raises nothing that Celery should see.

    For `hand_on_s` from now on the worker that ends a step goes on with the next one itself. The answer: how many
    steps after `name` it has begun.
    """
    until, begun = time.monotonic() + hand_on_s, 0
    with structlog.contextvars.bound_contextvars(run_id=str(run_id), step=str(name)):
        try:
            claim = claims.take(run_id=run_id, name=name)
            if claim is None:
                cleanup.conclude_cancel(run_id=run_id)
            while claim and (claim := _work(claim, until)):
                begun += 1
                structlog.contextvars.bind_contextvars(step=str(claim.name))
        except DATABASE_GONE as error:
            connection.close()
            log.warning(
                "database_gone", error=str(error)
            )  # the lease runs out, and the sweeper starts the step again
    return begun


def _work(claim: claims.Claim, until: float) -> claims.Claim | None:
    """The claim of the next step where the same worker is to go on."""
    log.info("step_claimed", attempt=claim.attempt)
    try:
        result = _handle(claim)
        if claims.is_between(claim, StepState.SUCCEEDED) and time.monotonic() < until:
            if following := claims.hand_on(claim, result):
                return following
        else:
            claims.settle(claim, StepState.SUCCEEDED, result=result)
            if claims.is_between(claim, StepState.SUCCEEDED):
                return None  # whoever comes to the next step hears of a cancel
    except claims.LostClaim as lost:
        log.warning("claim_lost", reason=str(lost))
        cleanup.remove_leftovers(run_id=claim.run_id)
    except claims.Cancelled:
        _settle(claim, StepState.CANCELLED)
    except claims.Parked as parked:
        _park(claim, parked)
    except DATABASE_GONE:
        raise
    except FORESEEN as error:
        _settle(claim, StepState.FAILED, error=str(error), result=getattr(error, "result", None))
    except Exception as error:
        log.exception("step_crashed")
        tell(claim.run_id, traceback.format_exc(), step=claim.name, level="error")
        _settle(claim, StepState.FAILED, error=f"A defect of ours: {type(error).__name__}: {error}")
    cleanup.conclude_cancel(run_id=claim.run_id)
    if claim.run.is_cutover:  # no other run touches its source
        cutover.source_restore(run_id=claim.run_id)
        warm.warm_release(run_id=claim.run_id)
    return None


def _park(claim: claims.Claim, parked: claims.Parked) -> None:
    try:
        claims.park(claim, parked)
    except claims.LostClaim as lost:
        log.warning("claim_lost", reason=str(lost))


def _settle(claim: claims.Claim, state: StepState, *, error: str = "", result: dict | None = None) -> None:
    try:
        claims.settle(claim, state, error=error, result=result)
    except claims.LostClaim as lost:
        log.warning("claim_lost", reason=str(lost))


def _handle(claim: claims.Claim) -> dict:
    step = HANDLERS[claim.name]
    work = _prepare(claim)
    if lacking := step.needs - work.known.keys():
        raise StepFailed(f"The earlier steps did not give {', '.join(sorted(lacking))}.")
    result = step.handle(work)
    if lacking := step.gives - result.keys():
        raise StepFailed(f"The step did not give {', '.join(sorted(lacking))}.")
    return result


def _prepare(claim: claims.Claim) -> Work:
    known: dict = {}
    for name in STEPS[: STEPS.index(claim.name)]:
        known |= claim.result(name)
    if claim.attempt > 1:
        tell(
            claim.run_id,
            f"Worker {claim.attempt} takes over: the one before is gone.",
            step=claim.name,
            level="warning",
        )
    target = with_drill(open_endpoint(claim.run.target), claim.run)
    return Work(claim.run, claim, Alive(claim), target, known, claim.result(claim.name))
