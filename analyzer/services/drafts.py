"""Personas that groups of machines suggest: drafted by the machine, named and approved by a person."""

from typing import Any

from django.db import transaction

from analyzer.domain.facts import Facts
from analyzer.domain.kind_draft import Choice, Member, kind_draft
from analyzer.domain.kinds import Fingerprint as Print
from analyzer.domain.kinds import Kind, kinds, likeness
from analyzer.domain.persona_draft import persona_draft
from analyzer.domain.software import head
from analyzer.models import Fingerprint, PersonaDraft, VirtualMachine
from analyzer.models.fleet import DraftState
from analyzer.services.candidates import personas_of
from analyzer.services.machines import size_of
from analyzer.services.scans import facts_understood
from analyzer.services.usage import usage_summary
from personas.errors import Refused
from personas.models import Department, DriverSet, Persona, Role, Script
from personas.services.access import require
from personas.services.audit import record
from personas.services.persona_document import persona_import

LOOKED_AT = 25  # members whose facts are read for a draft: enough for what 80 % of them have
SO_ALIKE = 0.2  # of the software in common, from which another persona is pointed out


def drafts_refresh_all() -> int:
    """How many drafts stand open afterwards. Called by the scheduled task."""
    return sum(drafts_refresh(department=each) for each in (None, *Department.objects.order_by("slug")))


def drafts_refresh_asked(*, department: Department | None, by) -> int:
    """The same on a person's word, for one department."""
    require(by=by, department=department, role=Role.ADMIN)
    return drafts_refresh(department=department)


@transaction.atomic
def drafts_refresh(*, department: Department | None) -> int:
    """Groups what fits nothing. A group keeps its draft from run to run; an open draft whose group is gone goes too,
    one that was answered stays as it was answered."""
    homeless = Fingerprint.objects.homeless().filter(vm__department=department)
    rows = homeless.values_list("vm_id", "evidence", "names", "unexplained")
    found = kinds([Print(str(vm), evidence, names, tuple(rest)) for vm, evidence, names, rest in rows])
    rows = PersonaDraft.objects.select_for_update().filter(department=department).order_by("key")
    known = {each.key: each for each in rows}
    personas, choices = personas_of(department), _choices(department)
    for kind in found:
        draft = known.pop(kind.key, None) or _begun(department, kind)
        if draft.state == DraftState.OPEN:
            _fill(draft, kind, personas, choices)
    gone = [each.pk for each in known.values() if each.state == DraftState.OPEN]
    PersonaDraft.objects.filter(pk__in=gone).delete()
    return PersonaDraft.objects.filter(department=department, state=DraftState.OPEN).count()


def _begun(department: Department | None, kind: Kind) -> PersonaDraft:
    """New, or just begun by another worker."""
    named = {"department": department, "key": kind.key}
    draft, _ = PersonaDraft.objects.get_or_create(**named, defaults={"document": {}})
    return draft


def _fill(draft: PersonaDraft, kind: Kind, personas: list[Persona], choices: dict) -> None:
    draft.document = kind_draft(kind, _members(kind), **choices)
    draft.common = [list(pair) for pair in kind.names[:40]]
    draft.member_count = len(kind.members)
    draft.like, draft.likeness = _nearest(kind, personas)
    draft.save()
    draft.members.set(kind.members)


def _members(kind: Kind) -> list[Member]:
    rows = (
        Fingerprint.objects.filter(vm__in=kind.members[:LOOKED_AT])
        .select_related("vm", "scan")
        .order_by("vm_id")
    )
    read = ((each.vm, facts_understood(each.scan)) for each in rows)
    return [_member(vm, facts) for vm, facts in read if facts]


def _member(vm: VirtualMachine, facts: Facts) -> Member:
    settings = persona_draft(facts, name=vm.name, size=size_of(vm), usage=usage_summary(vm))["settings"]
    checks = settings.get("acceptance_checks") or []
    return Member(settings, frozenset(check["unit"] for check in checks if check["kind"] == "systemd_unit"))


def _nearest(kind: Kind, personas: list[Persona]) -> tuple[Persona | None, float]:
    """The persona that already says nearly what the draft says."""
    rated = [(likeness(frozenset(head(str(hint)) for hint in each.hints), kind), each) for each in personas]
    best = max(rated, key=lambda pair: (pair[0], pair[1].name), default=(0.0, None))
    return (best[1], round(best[0], 3)) if best[0] >= SO_ALIKE else (None, 0.0)


def _choices(department: Department | None) -> dict[str, list[Choice]]:
    scripts = _usable(Script.objects.active(), department)
    driver_sets = _usable(DriverSet.objects.all(), department)
    return {
        "scripts": [Choice(each.slug, frozenset(each.slug.split("-"))) for each in scripts],
        "driver_sets": sorted(
            (Choice(each.slug, distributions=frozenset(each.distributions)) for each in driver_sets),
            key=lambda each: (each.slug != "virtio", each.slug),
        ),
    }


def _usable(rows, department: Department | None):
    own = rows.filter(department=department)
    return [*own, *rows.filter(department__isnull=True)] if department else list(own)


@transaction.atomic
def draft_approve(*, draft: PersonaDraft, by, data: dict[str, Any] | None = None) -> Persona:
    """`data`: the document as a person mended it. Raises as persona_import; Refused when it was answered already."""
    require(by=by, department=draft.department, role=Role.ADMIN)
    _answer(draft, DraftState.APPROVED, by)
    persona = persona_import(data=data or draft.document, by=by, department=draft.department)
    draft.persona = persona
    draft.save(update_fields=["persona", "updated_at"])
    record(by=by, action="personadraft.approve", obj=draft, after={"persona": str(persona.pk)})
    return persona


@transaction.atomic
def draft_dismiss(*, draft: PersonaDraft, by) -> PersonaDraft:
    """It is not drafted again, whatever machines join."""
    require(by=by, department=draft.department, role=Role.ADMIN)
    _answer(draft, DraftState.DISMISSED, by)
    record(by=by, action="personadraft.dismiss", obj=draft, before={"key": draft.key})
    return draft


def _answer(draft: PersonaDraft, state: DraftState, by) -> None:
    open_row = PersonaDraft.objects.filter(pk=draft.pk, state=DraftState.OPEN)
    if not open_row.update(state=state, answered_by=by):
        raise Refused("This draft has been answered already.")
    draft.refresh_from_db()
