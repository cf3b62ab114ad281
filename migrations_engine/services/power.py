"""Machines switched on and shut down. Asking is quick and visible; a worker does it, and another one if it dies.

`power_asked_at` says that something is to be done, `power_claimed_at` that a worker is at it.
"""

import uuid
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from migrations_engine.models import MigratedVM
from migrations_engine.models.migrated import SWITCHING
from migrations_engine.services.migrated import machine_ref, require_idle, require_there
from migrations_engine.services.targets import open_endpoint
from migrations_engine.targets.base import TargetError
from personas.errors import BadInput
from personas.models import Role
from personas.services.access import require
from personas.services.audit import record

POWER = ("on", "off")


def migrated_vm_power(*, migrated_vm: MigratedVM, want: str, by) -> MigratedVM:
    """Notes that the machine shall be on or off; `power_switch` does it. Raises Refused while its run works."""
    require(by=by, department=migrated_vm.department, role=Role.OPERATOR)
    if want not in POWER:
        raise BadInput({"power": [f"{want!r} is neither on nor off."]})
    require_there(migrated_vm)
    require_idle(migrated_vm, "switched")
    with transaction.atomic():
        before = {"wanted_power": migrated_vm.wanted_power}
        migrated_vm.wanted_power, migrated_vm.power_error = want, ""
        migrated_vm.power_asked_at = timezone.now()
        migrated_vm.save(update_fields=["wanted_power", "power_error", "power_asked_at"])
        record(
            by=by, action=f"migrated_vm.power_{want}", obj=migrated_vm, before=before, after={"wanted_power": want}
        )  # fmt: skip
    return migrated_vm


def power_switch(*, migrated_vm_id: uuid.UUID) -> None:
    """Does what was asked for last (by the guest's own shutdown, by force after a minute). Nothing to do: nothing."""
    now = timezone.now()
    if not MigratedVM.objects.to_switch(now).filter(pk=migrated_vm_id).update(power_claimed_at=now):
        return
    row = MigratedVM.objects.select_related("run__target").get(pk=migrated_vm_id)
    state, error = row.power_state, ""
    try:
        state = open_endpoint(row.run.target).power(machine_ref(row), row.wanted_power).state
    except (TargetError, OSError) as reason:
        error = str(reason)
    if not _settle(row, now, state, error):
        power_switch(migrated_vm_id=migrated_vm_id)


def _settle(row: MigratedVM, claimed_at: datetime, state: str, error: str) -> bool:
    """False where people want something else by now."""
    ours = MigratedVM.objects.filter(pk=row.pk, power_claimed_at=claimed_at)
    with transaction.atomic():
        done = ours.filter(wanted_power=row.wanted_power).update(
            power_state=state, power_error=error, power_asked_at=None, power_claimed_at=None
        )
        if done:
            before, after = {"power_state": row.power_state}, {"power_state": state, "error": error}
            record(by=None, action="migrated_vm.switched", obj=row, before=before, after=after)
    return bool(done) or not ours.update(power_claimed_at=None)


def overdue(now: datetime) -> list[uuid.UUID]:
    """Machines to be switched whose message is lost, or whose worker died; each is given to one sweeper only."""
    late = MigratedVM.objects.to_switch(now).filter(power_asked_at__lt=now - SWITCHING)
    pks = list(late.values_list("pk", flat=True))
    return [pk for pk in pks if late.filter(pk=pk).update(power_asked_at=now)]
