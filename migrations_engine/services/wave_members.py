"""Who is in a wave: by hand, by a rule, by CSV."""

import csv
import io
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from django.db import transaction
from django.db.models import Max

from analyzer.models import Package, Service, VirtualMachine, VMPersona
from analyzer.models.usage import Metric
from analyzer.services.usage import usage_summary
from migrations_engine.domain.rule import Rule, RuleError, parse
from migrations_engine.domain.waves import MemberState, WaveState
from migrations_engine.models import Wave, WaveMember
from personas.domain.settings import InvalidSettings, validate_document
from personas.errors import BadInput, Refused
from personas.models import Department, Persona, Role
from personas.services.access import require
from personas.services.audit import record

OPEN = (WaveState.DRAFT, WaveState.PAUSED, WaveState.STOPPED)  # while nothing is being started
MOST = 5000  # machines in one wave
STEP = 10  # between two orders, so that one fits between them
COLUMNS = ("vm", "persona", "order")
USAGE = {"cpu_p95": Metric.CPU, "memory_p95": Metric.MEMORY}


def machines_matching(text: str, *, department: Department, by) -> list[VirtualMachine]:
    """The department's machines for which the rule holds, by name. Raises BadInput that names the column."""
    try:
        rule = parse(text)
    except RuleError as error:
        raise BadInput({"rule": [str(error)]}) from error
    rows = VirtualMachine.objects.visible_to(by).filter(department=department, missing_since__isnull=True)
    machines = list(rows.with_overview().select_related("source").order_by("name"))
    facts = machine_facts(machines, rule)
    return [vm for vm in machines if rule.holds(facts[vm.pk])]


def machine_facts(machines: Sequence[VirtualMachine], rule: Rule) -> dict[uuid.UUID, dict[str, Any]]:
    """What a rule may ask of each machine; what costs a query of its own only where the rule speaks of it."""
    wanted, ids = rule.fields(), [vm.pk for vm in machines]
    facts = {vm.pk: _columns(vm) for vm in machines}
    names = {"package": Package, "service": Service}
    for kind in wanted & names.keys():
        _gather(facts, kind, names[kind].objects.filter(vm__in=ids).values_list("vm", "name"))
    if "persona" in wanted:
        carried = VMPersona.objects.filter(vm__in=ids).values_list("vm", "persona__name", "persona__slug")
        _gather(facts, "persona", ((vm, name) for vm, *both in carried for name in both))
    if wanted & USAGE.keys():
        for vm in machines:
            summary = usage_summary(vm)
            facts[vm.pk] |= {word: summary[metric].p95 for word, metric in USAGE.items() if metric in summary}
    return facts


def _columns(vm: VirtualMachine) -> dict[str, Any]:
    return {
        "name": vm.name, "host": vm.hostname, "os": vm.os_id, "version": vm.os_version, "source": vm.source.name,
        "power": vm.power_state, "firmware": vm.firmware, "scan": vm.scan_state, "vcpus": vm.vcpus,
        "memory_mib": vm.memory_mib, "disk_gib": vm.disk_bytes / 2**30, "stars": vm.coverage_stars,
        "tag": {str(key).casefold(): str(value).casefold() for key, value in vm.tags.items()},
    }  # fmt: skip


def _gather(facts, kind: str, pairs: Iterable[tuple[Any, str]]) -> None:
    for vm, name in pairs:
        facts[vm].setdefault(kind, set()).add(name.casefold())


def members_add(*, wave: Wave, vms: Sequence[VirtualMachine], by, rule: str = "") -> int:
    """Behind those that are there; who is in it stays where it is. Returns how many came in."""
    return _add(wave, [{"vm": vm} for vm in vms], by, rule)


def members_add_by_rule(*, wave: Wave, rule: str, by) -> int:
    return members_add(
        wave=wave, vms=machines_matching(rule, department=wave.department, by=by), by=by, rule=rule
    )


def members_add_by_csv(*, wave: Wave, content: bytes, by) -> int:
    """Columns vm (id, name or external id), and optionally persona (name or slug) and order. All of it or nothing:
    raises BadInput, `rows.3.vm` is what is wrong in row 3."""
    rows, errors = _rows(content), {}
    machines = _by_name(
        VirtualMachine.objects.visible_to(by).filter(department=wave.department), "external_id"
    )
    personas = _by_name(Persona.objects.visible_to(by).active(), "slug")
    found = []
    for number, row in enumerate(rows, start=2):
        try:
            found.append(_row(row, machines, personas))
        except BadInput as error:
            errors |= {f"rows.{number}.{field}": told for field, told in error.errors.items()}
    if errors:
        raise BadInput(dict(list(errors.items())[:50]))
    return _add(wave, found, by, "")


def _rows(content: bytes) -> list[dict[str, str]]:
    try:
        reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig")), strict=True)
        rows = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput({"file": [f"is no CSV in UTF-8: {error}"]}) from error
    unknown = set(reader.fieldnames or []) - set(COLUMNS)
    if "vm" not in (reader.fieldnames or []) or unknown:
        raise BadInput({"file": [f"has the columns {', '.join(COLUMNS)}; only vm must be there"]})
    if len(rows) > MOST:
        raise BadInput({"file": [f"has more than {MOST} rows"]})
    return rows


def _by_name(rows, other: str) -> dict[str, list[Any]]:
    """Rows by id, name and `other`, so that a name that two carry is told instead of guessed."""
    found: dict[str, list[Any]] = {}
    for row in rows:
        for key in {str(row.pk), row.name, getattr(row, other)}:
            found.setdefault(key, []).append(row)
    return found


def _row(row: dict[str, str | None], machines, personas) -> dict[str, Any]:
    told: dict[str, Any] = {"vm": _one(machines, row.get("vm"), "vm")}
    if row.get("persona"):
        told["persona"] = _one(personas, row["persona"], "persona")
    if row.get("order"):
        if not row["order"].strip().isdecimal():
            raise BadInput({"order": [f"{row['order']!r} is no whole number"]})
        told["order"] = int(row["order"])
    return told


def _one(rows: dict[str, list[Any]], name: str | None, field: str) -> Any:
    found = rows.get((name or "").strip(), [])
    if len(found) != 1:
        told = "is the name of several; give the id" if found else "is not there, or not yours to see"
        raise BadInput({field: [f"{name!r} {told}"]})
    return found[0]


def _add(wave: Wave, rows: list[dict[str, Any]], by, rule: str) -> int:
    require(by=by, department=wave.department, role=Role.OPERATOR)
    if any(row["vm"].department_id != wave.department_id for row in rows):
        raise BadInput({"vms": ["A wave moves the machines of its own department."]})
    with transaction.atomic():
        wave = _open(wave)
        there = set(wave.members.values_list("vm_id", flat=True))
        new = {row["vm"].pk: row for row in rows if row["vm"].pk not in there}
        if len(there) + len(new) > MOST:
            raise Refused(f"A wave has at most {MOST} machines.")
        last = wave.members.aggregate(last=Max("order"))["last"] or 0
        made = [
            WaveMember(wave=wave, **{"order": last + STEP * n} | row) for n, row in enumerate(new.values(), 1)
        ]
        WaveMember.objects.bulk_create(made, batch_size=500)
        if rule:
            Wave.objects.filter(pk=wave.pk).update(rule=rule)
        record(by=by, action="wave.add", obj=wave, after={"machines": len(made), "rule": rule})
    return len(made)


def _open(wave: Wave) -> Wave:
    wave = Wave.objects.select_for_update().get(pk=wave.pk)
    if wave.state not in OPEN:
        raise Refused(f"The wave is {wave.state}; pause it before its machines change.")
    return wave


def member_update(
    *, member: WaveMember, persona: Persona | None, overrides: dict, order: int, by
) -> WaveMember:
    """What this machine has of its own. Raises BadInput where the overrides are no settings."""
    require(by=by, department=member.wave.department, role=Role.OPERATOR)
    try:
        validate_document(overrides)
    except InvalidSettings as error:
        raise BadInput({"overrides": error.lines()}) from error
    with transaction.atomic():
        _open(member.wave)
        member = _waiting(member)
        before = _told(member)
        member.persona, member.overrides, member.order = persona, overrides, order
        member.full_clean()
        member.save(update_fields=["persona", "overrides", "order"])
        record(by=by, action="wave.member", obj=member.wave, before=before, after=_told(member))
    return member


def _told(member: WaveMember) -> dict[str, Any]:
    persona = member.persona.name if member.persona else None
    return {"vm": member.vm.name, "persona": persona, "overrides": member.overrides, "order": member.order}


def _waiting(member: WaveMember) -> WaveMember:
    member = (
        WaveMember.objects.select_for_update(of=("self",))
        .select_related("vm", "persona", "wave")
        .get(pk=member.pk)
    )
    if member.state not in (MemberState.WAITING, MemberState.REFUSED):
        raise Refused("This machine has been started; it stays as it was launched.")
    return member


def member_remove(*, member: WaveMember, by) -> None:
    require(by=by, department=member.wave.department, role=Role.OPERATOR)
    with transaction.atomic():
        wave = _open(member.wave)
        member = _waiting(member)
        record(by=by, action="wave.remove", obj=wave, before=_told(member))
        member.delete()
