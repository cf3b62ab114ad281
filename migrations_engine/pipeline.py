"""Starts runs, and starts again what stands still. The chain is a courtesy; the sweeper is the promise.

run = run_start(template=template, vm=vm, personas=[persona], by=user)      # MigrateVM(TemplateID, VMID, PersonaID)
"""

import uuid
from functools import partial

import structlog
from celery import chain, shared_task
from celery.signals import task_postrun
from django.db import transaction
from django.db.models import Max
from django.utils import timezone
from kombu.exceptions import KombuError

from migrations_engine import tasks
from migrations_engine.domain.states import RunState, StepName, StepState
from migrations_engine.models import Cutover, MigratedVM, MigrationRun, StepRun, WarmCopy
from migrations_engine.services import (
    claims,
    cleanup,
    commitment,
    cutover,
    power,
    runs,
    turns,
    warm,
    wave_dispatch,
    webhooks,
)

log = structlog.get_logger(__name__)

MOST_LEASES = 10  # five minutes: how long a run whose message was lost waits at most, however long it had waited before
TASKS = {
    StepName.ANALYZE: tasks.analyze,
    StepName.MERGE: tasks.merge,
    StepName.MIGRATE: tasks.migrate,
    StepName.POST_SCRIPT: tasks.post_script,
}


def run_start(**launch) -> MigrationRun:
    """MigrateVM(TemplateID, VMID, PersonaID): `runs.run_create`; when it is committed, its chain in its turn."""
    return runs.run_create(**launch, then=in_turn)


def run_retry(*, run: MigrationRun, by) -> MigrationRun:
    with transaction.atomic():
        run = runs.run_retry(run=run, by=by)
        transaction.on_commit(in_turn)
    return run


def run_cancel(*, run: MigrationRun, by) -> MigrationRun:
    with transaction.atomic():
        run = runs.run_cancel(run=run, by=by)
        transaction.on_commit(partial(_send, tasks.clean_up.si(str(run.pk))))
    return run


def run_decide(*, run: MigrationRun, choice: str, by) -> MigrationRun:
    with transaction.atomic():
        run = cutover.run_decide(run=run, choice=choice, by=by)
        if choice == cutover.ABORT:
            transaction.on_commit(partial(_send, tasks.clean_up.si(str(run.pk))))
        elif choice != cutover.ON_ANYWAY:
            transaction.on_commit(partial(start, run.pk))
    return run


def run_rollback(*, run: MigrationRun, by, reason: str = "") -> MigrationRun:
    with transaction.atomic():
        run = commitment.run_rollback(run=run, by=by, reason=reason)
        transaction.on_commit(partial(_send, tasks.roll_back.si(str(run.pk))))
    return run


def migrated_vm_power(*, migrated_vm: MigratedVM, want: str, by) -> MigratedVM:
    with transaction.atomic():
        migrated_vm = power.migrated_vm_power(migrated_vm=migrated_vm, want=want, by=by)
        transaction.on_commit(partial(_send, tasks.switch_power.si(str(migrated_vm.pk))))
    return migrated_vm


def in_turn(run_id: uuid.UUID | None = None) -> None:
    """Sends the runs whose turn it is; `run_id` has just been queued, and another department's may come first."""
    for each in turns.next_turns(timezone.now()):
        start(each)


@task_postrun.connect
def _when_a_step_has_ended(sender=None, **_) -> None:
    """There is room for the next run at once, not only when the clock comes by."""
    if sender in TASKS.values():
        in_turn()


def start(run_id: uuid.UUID) -> None:
    """Sends the chain of what is left. Too often is harmless: a step that is done or held is not claimed."""
    MigrationRun.objects.filter(pk=run_id).update(dispatched_at=timezone.now())
    left = StepRun.objects.filter(run_id=run_id).exclude(state=StepState.SUCCEEDED).order_by("order")
    if names := list(left.values_list("name", flat=True)):
        _send(chain(*(TASKS[StepName(name)].si(str(run_id)) for name in names)))


def _send(signature) -> None:
    try:
        signature.apply_async()
    except (KombuError, OSError) as error:
        log.warning(
            "broker_unreachable", error=str(error)
        )  # the run is in the database: the sweeper sends it again


@shared_task(name="migrations_engine.sweep")
def sweep() -> None:
    """Every few seconds, by any number of clocks: what nobody works on is started again, cancelled or given up."""
    now = timezone.now()
    for run_id in MigrationRun.objects.overdue(now).values_list("pk", flat=True):
        commitment.roll_back_overdue(run_id=run_id, now=now)
    for run_id in Cutover.objects.overdue(now).values_list("pk", flat=True):
        cutover.abort_overdue(run_id=run_id, now=now)
    for run_id, state in MigrationRun.objects.unattended(now).values_list("pk", "state"):
        if state == RunState.CANCELLING:
            cleanup.conclude_cancel(run_id=run_id)
        elif state == RunState.ROLLING_BACK:
            commitment.conclude_rollback(run_id=run_id)
        elif not claims.give_up_hopeless(run_id=run_id) and _is_lost(run_id):
            log.info("run_dispatched_again", run_id=str(run_id))
            start(run_id)
    in_turn()
    for run_id in Cutover.objects.owed().values_list("pk", flat=True):
        cutover.source_restore(run_id=run_id)
    for run_id in WarmCopy.objects.owed().values_list("pk", flat=True):
        warm.warm_release(run_id=run_id)
    for pk in power.overdue(now):
        _send(tasks.switch_power.si(str(pk)))


def _is_lost(run_id: uuid.UUID) -> bool:
    """True for one sweeper, a lease after the last message, then after twice that time, and so on: a queue that
    is long for hours must not fill with copies of its messages. A queued run that was never sent has its turn to come.
    """
    now, lease = timezone.now(), claims.lease()
    runs = MigrationRun.objects.annotate(moved_at=Max("events__at"))
    run = runs.only("dispatched_at", "state").get(pk=run_id)
    sent = run.dispatched_at
    if sent is None and run.state == RunState.QUEUED:
        return False
    if sent is not None and sent <= now + lease:  # else it was written before the clock was set back
        pause = min(max(sent - (run.moved_at or sent), lease), lease * MOST_LEASES)
        if now - sent <= pause:
            return False
    return bool(MigrationRun.objects.filter(pk=run_id, dispatched_at=sent).update(dispatched_at=now))


@shared_task(name="migrations_engine.dispatch_waves")
def dispatch_waves() -> None:
    """Every few seconds, by any number of clocks: starts the machines of waves whose turn it is."""
    if started := wave_dispatch.dispatch(now=timezone.now(), then=in_turn):
        log.info("wave_members_started", count=started)


@shared_task(name="migrations_engine.send_webhooks")
def send_webhooks() -> None:
    """Every few seconds, by any number of clocks: sends what is due, each by one sender."""
    webhooks.send_due(now=timezone.now())
