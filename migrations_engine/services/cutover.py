"""The power of a run's source: asked to go off, waited for, decided on by a person, and switched on again."""

import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from analyzer.models import VirtualMachine
from analyzer.services.hypervisors import hypervisor_of
from analyzer.sources.base import SourceError
from analyzer.sources.libvirt.source import ON, LibvirtSource
from migrations_engine.domain.states import RunState, StepName, StepState
from migrations_engine.domain.terms import Mode, OnRollback
from migrations_engine.models import Cutover, MigratedVM, MigrationRun, StepRun
from migrations_engine.services import ledger
from migrations_engine.services.events import tell
from migrations_engine.services.migrated import machine_ref
from migrations_engine.services.targets import open_endpoint
from migrations_engine.targets.base import TargetError
from personas.errors import Refused
from personas.models import Role
from personas.services.access import require
from personas.services.audit import record

RETRY, FORCE, ABORT, ON_ANYWAY = CHOICES = ("retry", "force", "abort", "on_anyway")
RUNS = (
    "The machine runs: what it writes during a copy would be lost. Choose Cutover, which shuts it down, or Test "
    "migration; or shut it down and discover its source again."
)
FAILURES = (SourceError, Refused, TargetError, OSError)


def source_power(vm: VirtualMachine) -> LibvirtSource | None:
    """What switches the machine on and off; None where its source cannot. Raises Refused."""
    return hypervisor_of(vm.source) if vm.source.is_libvirt else None


def mode_refusal(vm: VirtualMachine, mode: str) -> str:
    """Why the machine cannot be moved in this way, by what the last discovery has seen; "" where it can."""
    if mode in (Mode.CUTOVER, Mode.WARM) and not vm.source.is_libvirt:
        return (
            f"{vm.source} cannot switch machines on and off, so there is no cutover. "
            "Shut the machine down yourself, then migrate it as one that is off."
        )
    if mode == Mode.WARM:
        return _warm_refusal(vm)
    if mode == Mode.COLD and vm.source.is_libvirt and vm.power_state == ON:
        return RUNS
    return ""


def _warm_refusal(vm: VirtualMachine) -> str:
    if vm.power_state != ON:
        return "The machine is off, so nothing of it changes: migrate it as one that is off."
    other = next((disk.format for disk in vm.disks.all() if disk.format != "qcow2"), "")
    if other:
        return f"It has a disk in the format {other}; its hypervisor can say what changes of qcow2 only."
    return ""


def modes_of(vm: VirtualMachine) -> dict[str, str]:
    """{mode: why not, or ""}"""
    return {str(mode): mode_refusal(vm, mode) for mode in Mode}


def shutdown_wait(run: MigrationRun) -> timedelta:
    return _limit(run.shutdown_minutes, settings.CUTOVER_SHUTDOWN_S)


def decide_wait(run: MigrationRun) -> timedelta:
    return _limit(run.decide_minutes, settings.CUTOVER_DECIDE_S)


def _limit(minutes: int | None, usual_s: float) -> timedelta:
    return timedelta(seconds=usual_s) if minutes is None else timedelta(minutes=minutes)


def cutover_begin(*, run: MigrationRun, power: str) -> Cutover:
    """Remembers, once, how the source was found."""
    row, _ = Cutover.objects.get_or_create(run=run, defaults={"power_before": power})
    return row


def cutover_write(run_id: uuid.UUID, **columns) -> None:
    Cutover.objects.filter(run_id=run_id).update(**columns)


def may_decide(run: MigrationRun) -> bool:
    return run.state == RunState.DECIDING


def run_decide(*, run: MigrationRun, choice: str, by) -> MigrationRun:
    """What becomes of a run whose source does not go off: ask it again, switch it off as it is, or leave it running.
    And of a failed one whose target does not say that its machine is off: the source comes on all the same.

    Raises Refused where nobody waits for it (any more).
    """
    require(by=by, department=run.department, role=Role.OPERATOR)
    if choice not in CHOICES:
        raise Refused(f"Decide on one of {', '.join(CHOICES)}.")
    with transaction.atomic():
        run = MigrationRun.objects.select_for_update().get(pk=run.pk)
        if choice == ON_ANYWAY:
            return _switched_on_anyway(run, by)
        if run.state != RunState.DECIDING:
            raise Refused(f"Nobody waits for a decision; the run is {str(run.state).replace('_', ' ')}.")
        told = {
            RETRY: "asked the source to shut down once more",
            FORCE: "said to switch the source off as it is",
            ABORT: "said to leave the source as it is",
        }[choice]
        _decided(run, choice, f"{by.get_username()} {told}.")
        record(by=by, action="migration.decide", obj=run, after={"choice": choice, "state": run.state})
    return run


def _decided(run: MigrationRun, choice: str, told: str) -> None:
    run.state = RunState.CANCELLING if choice == ABORT else RunState.RUNNING
    run.save(update_fields=["state"])
    columns = {} if choice == ABORT else {"asked_at": timezone.now(), "force": choice == FORCE}
    cutover_write(run.pk, decide_by=None, **columns)
    tell(run.pk, told, step=StepName.MIGRATE, level="warning")


def may_switch_on(run: MigrationRun) -> bool:
    """Its target's answer is what its source waits for."""
    owed = Cutover.objects.owed().filter(run=run, on_anyway=False).exclude(problem="").exists()
    return owed and run.state == RunState.FAILED and ledger.has_machine(run)


def _switched_on_anyway(run: MigrationRun, by) -> MigrationRun:
    """By the sweeper, within seconds."""
    if not may_switch_on(run):
        raise Refused("Its source does not wait for an answer of the target.")
    cutover_write(run.pk, on_anyway=True)
    MigratedVM.objects.filter(run=run, removed_at__isnull=True).update(wanted_power="off")
    told = f"{by.get_username()} made sure that the new machine is off, and said to switch the source on."
    tell(run.pk, told, level="warning")
    record(by=by, action="migration.decide", obj=run, after={"choice": ON_ANYWAY, "state": run.state})
    return run


def abort_overdue(*, run_id: uuid.UUID, now: datetime) -> bool:
    """By the clock: a source that did not go off, and nobody decided in time, stays on; True where that is so now."""
    with transaction.atomic():
        run = MigrationRun.objects.select_for_update().get(pk=run_id)
        if not Cutover.objects.overdue(now).filter(run=run).exists():
            return False
        told = "The source did not go off and nobody decided in time: the run is cancelled, the source goes on."
        _decided(run, ABORT, told)
        record(by=None, action="migration.decide", obj=run, after={"choice": ABORT, "reason": told})
    return True


def source_restore(*, run_id: uuid.UUID) -> bool:
    """Switches the source on again after a way back; safe to say at any moment, by any number of workers. True where
    that is settled now. The target's machine, where one may be there, is put aside before: two of a machine must not
    run at once."""
    row = Cutover.objects.owed().filter(run_id=run_id).select_related("run__vm__source", "run__target").first()
    if row is None:
        return False
    try:
        if row.run.state == RunState.FAILED and not row.on_anyway and ledger.has_machine(row.run):
            _put_aside(row.run)
        if not _is_on_for_good(row):
            return False
    except FAILURES as error:
        _tell_problem(row, str(error))
        return False
    return _settled(row)


def switch_back(run: MigrationRun) -> bool:
    """As `source_restore` within a rollback, whose state is not written yet; False where the sweeper has to go on with
    it. Raises what the source raises."""
    row = Cutover.objects.touched().filter(run=run).select_related("run__vm__source").first()
    if row is None:
        return True
    if not _is_on_for_good(row):
        return False
    _settled(row)
    return True


def _put_aside(run: MigrationRun) -> None:
    """Raises Refused, with what a person can do, where the target does not do it."""
    try:
        _remove_or_switch_off(run)
    except FAILURES as error:
        raise Refused(
            f"The new machine must be off before, and {run.target} does not say so: {error} Make sure that it is off "
            "there, and see to it that the target answers."
        ) from error


def _remove_or_switch_off(run: MigrationRun) -> None:
    if run.on_rollback == OnRollback.REMOVE:
        ledger.remove_all(run)
        return
    machine = MigratedVM.objects.filter(run=run, removed_at__isnull=True).first()
    target = open_endpoint(run.target)
    for ref in [machine_ref(machine)] if machine else target.machines(str(run.pk)):
        target.power(ref, "off")
    MigratedVM.objects.filter(run=run, removed_at__isnull=True).update(power_state="off", wanted_power="off")


def _is_on_for_good(row: Cutover) -> bool:
    """A guest that was asked to shut down may still do it a while later: until then it is looked after."""
    source, id = source_power(row.run.vm), row.run.vm.external_id
    if row.run.is_warm and row.off_at is not None:
        source.discard_paused(id)  # its worker died while it read the last changes
    source.switch_on(id)
    if row.run.is_warm and not source.is_running(id):
        return False  # that worker was not dead yet, and came in between
    if row.off_at is not None:
        return True
    return timezone.now() > row.asked_at + shutdown_wait(row.run)


def _tell_problem(row: Cutover, problem: str) -> None:
    if Cutover.objects.filter(pk=row.pk).exclude(problem=problem).update(problem=problem):
        tell(row.run_id, f"The source could not be switched on again yet: {problem}", level="error")


def _settled(row: Cutover) -> bool:
    with transaction.atomic():
        if not Cutover.objects.touched().filter(pk=row.pk).update(restored_at=timezone.now(), problem=""):
            return False
        VirtualMachine.objects.filter(pk=row.run.vm_id).update(power_state=ON)
        tell(row.run_id, "The source is on, as it was before the run.")
        record(by=None, action="migration.source_on", obj=row.run, after={"vm": str(row.run.vm_id)})
    return True


def begin_again(run: MigrationRun) -> bool:
    """For a retry: True where the source has run since, so that the copy is made anew and nothing that was done in the
    guest counts. Said within the retry's transaction, of a source that nothing is owed to."""
    row = Cutover.objects.filter(run=run).first()
    if row is None or row.asked_at is None:
        return False
    moments = dict.fromkeys(("asked_at", "off_at", "up_at", "checked_at", "restored_at", "decide_by"))
    cutover_write(run.pk, **moments, force=False, on_anyway=False, starts_over=True)
    StepRun.objects.filter(run=run, name=StepName.MIGRATE, state=StepState.SUCCEEDED).update(
        state=StepState.WAITING, attempt=0, result=None, percent=0, message="", started_at=None, finished_at=None
    )
    return True


def forecast_s(vm: VirtualMachine) -> float | None:
    """How long the outage may last: as long as the last move or rehearsal of this machine took from its copy to its
    last check. None before there was one."""
    steps = StepRun.objects.filter(run__vm=vm, run__state=RunState.SUCCEEDED, name=StepName.MIGRATE)
    last = steps.filter(started_at__isnull=False).order_by("-finished_at").first()
    return (last.finished_at - last.started_at).total_seconds() if last else None
