"""The map of the estate, and one persona for many machines at once."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import transaction
from django.db.models import Count, Sum
from django.db.models.functions import Coalesce

from analyzer.domain.cost import UNKNOWN_MEMORY_MIB, UNKNOWN_VCPUS, cost
from analyzer.models import Fingerprint, VirtualMachine
from analyzer.services.recommendations import personas_usable
from analyzer.services.vm_personas import vm_persona_assign
from personas.errors import BadInput, NotAllowed
from personas.models import Persona, Role
from personas.services.access import allows

MOST_AT_ONCE = 500


def estate_cells(user) -> list[dict[str, Any]]:
    """[{"x", "y", "count", "cost", "persona": id or None, "name"}]: of each cell its machines, what they cost in vCPUs
    (analyzer.domain.cost), and the persona that most of them carry, or are suggested where they carry none."""
    rows = Fingerprint.objects.visible_to(user).filter(vm__missing_since__isnull=True)
    sums = {
        "count": Count("pk"),
        "vcpus": Sum(Coalesce("vm__vcpus", UNKNOWN_VCPUS)),
        "memory_mib": Sum(Coalesce("vm__memory_mib", UNKNOWN_MEMORY_MIB)),
    }
    grouped = rows.values_list("cell_x", "cell_y", "persona").annotate(**sums).order_by()
    cells: dict[tuple[int, int], dict] = {}
    for x, y, persona, count, vcpus, memory_mib in sorted(grouped, key=lambda row: (-row[3], str(row[2]))):
        cell = cells.setdefault((x, y), {"x": x, "y": y, "count": 0, "cost": 0.0, "persona": persona})
        cell["count"] += count
        cell["cost"] = round(cell["cost"] + cost(vcpus, memory_mib), 1)
    names = dict(
        Persona.objects.filter(pk__in={c["persona"] for c in cells.values()}).values_list("pk", "name")
    )
    return [cell | {"name": names.get(cell["persona"], "")} for _, cell in sorted(cells.items())]


def estate_kinds(user) -> set[str]:
    return set(Fingerprint.objects.visible_to(user).order_by().values_list("kind", flat=True).distinct())


def machines_in(user, *, x: int, y: int):
    rows = VirtualMachine.objects.visible_to(user).filter(fingerprint__cell_x=x, fingerprint__cell_y=y)
    rows = rows.filter(missing_since__isnull=True).select_related("fingerprint__persona")
    return rows.prefetch_related("vm_personas__persona").order_by("name")


def assign_preview(*, machines: Iterable[VirtualMachine], persona: Persona, by) -> list[dict[str, Any]]:
    """[{"vm", "carried": [names], "why_not"}]: what vms_assign would do to each; empty `why_not` when it would."""
    told = []
    for vm in machines:
        carried = [each.persona for each in vm.vm_personas.all()]
        told.append({"vm": vm, "carried": carried, "why_not": _why_not(vm, carried, persona, by)})
    return told


def _why_not(vm: VirtualMachine, carried: Sequence[Persona], persona: Persona, by) -> str:
    if not allows(by=by, department=vm.department, role=Role.OPERATOR):
        return "You may not operate it."
    if persona in carried:
        return "It carries it already."
    if not personas_usable(vm).filter(pk=persona.pk).exists():
        return "The persona belongs to another department."
    return ""


@transaction.atomic
def vms_assign(*, machines: Sequence[VirtualMachine], persona: Persona, by) -> int:
    """How many carry it now that did not; all or none. Those of which the preview says why not are left out; raises
    NotAllowed when none is left."""
    if len(machines) > MOST_AT_ONCE:
        raise BadInput({"vm": [f"At most {MOST_AT_ONCE} at once."]})
    fitting = [
        row["vm"] for row in assign_preview(machines=machines, persona=persona, by=by) if not row["why_not"]
    ]
    if not fitting:
        raise NotAllowed("There is no machine among these that you can give it to.")
    for vm in fitting:
        vm_persona_assign(vm=vm, persona=persona, by=by)
    return len(fitting)
