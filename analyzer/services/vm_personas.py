"""The personas that a machine carries, each for a use case."""

from django.db import transaction

from analyzer.models import VirtualMachine, VMPersona
from personas.errors import BadInput
from personas.models import Persona, Role
from personas.services.access import require
from personas.services.audit import record

DEFAULT_USE_CASE = "default"
DEFAULT_PRIORITY = 100


@transaction.atomic
def vm_persona_assign(
    *, vm: VirtualMachine, persona: Persona, by, use_case: str = DEFAULT_USE_CASE, priority: int | None = None
) -> VMPersona:
    """Assigns, or changes the priority of what is assigned already. The higher priority wins a conflict."""
    require(by=by, department=vm.department, role=Role.OPERATOR)
    if persona.department_id not in (None, vm.department_id):
        raise BadInput({"persona": ["This persona belongs to another department than the machine."]})
    if persona.archived_at:
        raise BadInput({"persona": ["This persona is archived."]})
    VirtualMachine.objects.select_for_update().get(pk=vm.pk)
    row = VMPersona.objects.filter(vm=vm, persona=persona, use_case=use_case).first()
    before = row and _told(row)
    row = row or VMPersona(vm=vm, persona=persona, use_case=use_case)
    row.priority = row.priority if priority is None else priority
    row.full_clean()
    row.save()
    record(by=by, action="vm_persona.assign", obj=vm, before=before, after=_told(row))
    return row


@transaction.atomic
def vm_persona_unassign(*, vm_persona: VMPersona, by) -> None:
    require(by=by, department=vm_persona.vm.department, role=Role.OPERATOR)
    record(by=by, action="vm_persona.unassign", obj=vm_persona.vm, before=_told(vm_persona))
    vm_persona.delete()


def personas_for(vm: VirtualMachine, use_case: str = DEFAULT_USE_CASE) -> list[Persona]:
    """The personas for this use case, lowest first: each wins over those before it. Archived ones are left out."""
    rows = VMPersona.objects.filter(vm=vm, use_case=use_case, persona__archived_at__isnull=True)
    return [row.persona for row in rows.select_related("persona").order_by("priority", "persona__name", "persona_id")]


def use_cases_of(vm: VirtualMachine) -> list[str]:
    return list(VMPersona.objects.filter(vm=vm).order_by("use_case").values_list("use_case", flat=True).distinct())


def _told(row: VMPersona) -> dict:
    return {"persona": str(row.persona_id), "use_case": row.use_case, "priority": row.priority}
