"""The machines that runs have made: their console, removal, and what becomes of them when this computer stops."""

import re
from collections.abc import Callable, Iterable
from typing import Any

from django.db import transaction
from django.utils import timezone

from migrations_engine.domain.machine import MachineRef
from migrations_engine.domain.states import RUN_AT_WORK, RunState
from migrations_engine.models import CreatedResource, MigratedVM, MigrationRun
from migrations_engine.models.target import QEMU
from migrations_engine.services import ledger
from migrations_engine.services.events import storable
from migrations_engine.services.targets import open_endpoint
from migrations_engine.targets.base import TargetError
from personas.errors import Refused
from personas.models import Role
from personas.services.access import require
from personas.services.audit import record

CONSOLE_BYTES = 64 * 1024
SHUTDOWN_S = 60  # a guest's own shutdown
BOOTING_S = 10  # a guest that does not answer yet seldom hears the power button either
TERMINAL_CODES = re.compile(
    r"\x1b(?:\[[0-9;?=]*[A-Za-z]|[()][A-Z0-9]|[A-Za-z=>])"
)  # colours, cursor moves: ECMA-48


def migrated_vm_ensure(*, run: MigrationRun, ref: MachineRef, **columns: Any) -> MigratedVM:
    """The run's machine as a row, made or brought up to date. For the run itself: no role is asked."""
    defaults = {
        "department": run.department,
        "name": run.vm.name,
        "reference": reference(ref),
        "removed_at": None,
    }
    with transaction.atomic():
        row, made = MigratedVM.objects.update_or_create(run=run, defaults=defaults | columns)
        if made:
            record(by=run.created_by, action="migrated_vm.create", obj=row, after={"run": str(run.pk)})
    return row


def reference(ref: MachineRef) -> dict[str, Any]:
    return {"kind": ref.kind, "key": ref.key, "name": ref.name, "forwards": dict(ref.forwards)}


def machine_ref(row: MigratedVM) -> MachineRef:
    return MachineRef(**row.reference)


def migrated_vm_refresh(*, migrated_vm: MigratedVM) -> MigratedVM:
    """Asks the target whether the machine runs; a target that does not answer leaves what was known."""
    if migrated_vm.removed_at is None:
        try:
            state = open_endpoint(migrated_vm.run.target).status(machine_ref(migrated_vm)).state
        except (TargetError, OSError):
            state = "unknown"
        if state != migrated_vm.power_state:
            MigratedVM.objects.filter(pk=migrated_vm.pk).update(power_state=state)
            migrated_vm.power_state = state
    return migrated_vm


def machines_pause(tell: Callable[[str], None]) -> list[Refused]:
    """Powers off every machine that runs, as a shutdown of this computer would: what people want stays `on`, and a run
    at work boots its machine again when it goes on. Only for when no worker lives. Returns what could not be done."""
    made = CreatedResource.objects.filter(kind="machine", run__target__kind=QEMU).exclude(state="removed")
    runs = MigrationRun.objects.filter(resources__in=made).select_related("vm", "target")
    return _refusals(_pause, runs, tell)


def _pause(run: MigrationRun, tell: Callable[[str], None]) -> None:
    """By the ledger: a machine that boots for the first time has no row yet."""
    target = open_endpoint(run.target)
    for ref in target.machines(str(run.pk)):
        status = target.status(ref)
        if status.state == "on":
            tell(run.vm.name)
            boots = run.state in RUN_AT_WORK and not status.agent
            state = target.power(ref, "off", BOOTING_S if boots else SHUTDOWN_S).state
            MigratedVM.objects.filter(run=run).update(power_state=state)


def machines_resume(tell: Callable[[str], None]) -> list[Refused]:
    """Powers on again what `machines_pause` (or a crash of this computer) left off. Returns what could not be done."""
    here = MigratedVM.objects.filter(removed_at__isnull=True, run__target__kind=QEMU, wanted_power="on")
    return _refusals(_resume, here.exclude(run__state__in=RUN_AT_WORK), tell)


def _resume(row: MigratedVM, tell: Callable[[str], None]) -> None:
    if migrated_vm_refresh(migrated_vm=row).power_state == "off":
        tell(row.name)
        open_endpoint(row.run.target).power(machine_ref(row), "on")
        migrated_vm_refresh(migrated_vm=row)


def _refusals(verb: Callable, rows: Iterable, tell: Callable[[str], None]) -> list[Refused]:
    """Of each of them: one machine that will not is no reason to leave the others."""
    found = []
    for row in rows:
        try:
            _asked(verb, row, tell)
        except Refused as error:
            found.append(error)
    return found


def migrated_vm_remove(*, migrated_vm: MigratedVM, by) -> MigratedVM:
    """Removes the machine and its disk from the target; the row stays as history. Said twice: the same answer."""
    require(by=by, department=migrated_vm.department, role=Role.OPERATOR)
    require_idle(migrated_vm, "removed")
    if migrated_vm.run.state == RunState.CONFIRMING:
        raise Refused(
            "Its run waits to be confirmed: roll it back instead, and the machine is removed with it."
        )
    if migrated_vm.removed_at:
        return migrated_vm
    removed = _asked(ledger.remove_all, migrated_vm.run)
    with transaction.atomic():
        migrated_vm.removed_at, migrated_vm.power_state = timezone.now(), "off"
        migrated_vm.save(update_fields=["removed_at", "power_state"])
        record(by=by, action="migrated_vm.remove", obj=migrated_vm, after={"removed": list(removed)})
    return migrated_vm


def migrated_vm_console(*, migrated_vm: MigratedVM) -> str:
    """The end of what the guest wrote on its serial line; empty when it is gone."""
    if migrated_vm.removed_at:
        return ""
    text = _asked(open_endpoint(migrated_vm.run.target).console, machine_ref(migrated_vm), CONSOLE_BYTES)
    return storable(TERMINAL_CODES.sub("", text), CONSOLE_BYTES)


def require_there(migrated_vm) -> None:
    if migrated_vm.removed_at:
        raise Refused("This machine was removed.")


def require_idle(migrated_vm, what: str) -> None:
    if migrated_vm.run.state in RUN_AT_WORK:
        raise Refused(f"Its run is still at work on this machine; it can be {what} when the run has ended.")


def _asked(call, *arguments):
    try:
        return call(*arguments)
    except (TargetError, OSError) as error:
        raise Refused(f"The target could not do it: {error}") from error
