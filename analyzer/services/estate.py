"""The map of the estate, and one persona for many machines at once."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Count, Max, Sum
from django.db.models.functions import Coalesce

from analyzer.domain.cost import UNKNOWN_MEMORY_MIB, UNKNOWN_VCPUS, cost
from analyzer.models import EstateCell, Fingerprint, VirtualMachine
from analyzer.services.candidates import personas_usable
from analyzer.services.vm_personas import vm_persona_assign
from personas.errors import BadInput, NotAllowed
from personas.models import Persona, Role
from personas.services.access import allows

MOST_AT_ONCE = 500
LARGE = 5_000
"""Machines from which the count of the clock is shown: up to so many are counted at each look, in a few ms."""

PLACE = ("cell_x", "cell_y", "kind", "persona")


@dataclass(frozen=True)
class Estate:
    """`cells`: [{"x", "y", "count", "cost", "persona": id or None, "name"}], of each cell its machines, what they cost
    in vCPUs (analyzer.domain.cost), and the persona that most of them carry, or are suggested where they carry none.
    `kinds`: families of trades that machines here are for. `counted_at`: None where it is as of now."""

    cells: list[dict[str, Any]]
    kinds: set[str]
    counted_at: datetime | None


def estate_of(user) -> Estate:
    grouped, counted_at = _counted(user)
    cells: dict[tuple[int, int], dict] = {}
    kinds = set()
    for x, y, kind, persona, count, vcpus, memory_mib in grouped:
        cell = cells.setdefault((x, y), {"x": x, "y": y, "count": 0, "cost": 0.0, "carried": Counter()})
        cell["count"] += count
        cell["cost"] += cost(vcpus, memory_mib)
        cell["carried"][persona] += count
        kinds.add(kind)
    names = dict(Persona.objects.filter(pk__in={row[3] for row in grouped}).values_list("pk", "name"))
    return Estate([_told(cell, names) for _, cell in sorted(cells.items())], kinds, counted_at)


def _told(cell: dict[str, Any], names: dict) -> dict[str, Any]:
    carried = cell.pop("carried")
    most = max(carried.values())
    persona = min((each for each, count in carried.items() if count == most), key=str)
    return cell | {"cost": round(cell["cost"], 1), "persona": persona, "name": names.get(persona, "")}


def _counted(user) -> tuple[list[tuple], datetime | None]:
    ready = EstateCell.objects.visible_to(user)
    ready = ready.filter(counted_at=EstateCell.objects.aggregate(at=Max("counted_at"))["at"])
    known = ready.aggregate(count=Sum("count"), at=Max("counted_at"))
    if (known["count"] or 0) < LARGE:
        return _counted_now(Fingerprint.objects.visible_to(user)), None
    sums = {name: Sum(name) for name in ("count", "vcpus", "memory_mib")}
    return list(ready.order_by().values_list(*PLACE).annotate(**sums)), known["at"]


def _counted_now(rows, *columns: str) -> list[tuple]:
    sums = {
        "count": Count("pk"),
        "vcpus": Sum(Coalesce("vm__vcpus", UNKNOWN_VCPUS)),
        "memory_mib": Sum(Coalesce("vm__memory_mib", UNKNOWN_MEMORY_MIB)),
    }
    rows = rows.filter(vm__missing_since__isnull=True).order_by()
    return list(rows.values_list(*columns, *PLACE).annotate(**sums))


def estate_count(*, now: datetime) -> None:
    """Counts all departments' machines by place. Each count stands for itself: two at once do no harm."""
    columns = ("department_id", "cell_x", "cell_y", "kind", "persona_id", "count", "vcpus", "memory_mib")
    counted = _counted_now(Fingerprint.objects.all(), "vm__department")
    cells = [EstateCell(**dict(zip(columns, row, strict=True)), counted_at=now) for row in counted]
    with transaction.atomic():
        EstateCell.objects.filter(counted_at__lt=now).delete()
        EstateCell.objects.bulk_create(cells, batch_size=500)


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
