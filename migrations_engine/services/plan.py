"""The plan of a move: everything that a run will do, before it does anything. Preview, API and run call `plan_make`."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import F, Q
from django.utils import timezone

from analyzer.domain.libvirt_address import parse_libvirt_address
from analyzer.models import Nic, Scan, VirtualMachine
from analyzer.services.scans import facts_of
from migrations_engine.domain.concerns import Severity
from migrations_engine.domain.machine import SpecError
from migrations_engine.domain.settings_path import leaf
from migrations_engine.domain.terms import Mode
from migrations_engine.models import MigratedVM, TargetEndpoint
from migrations_engine.services import assessment
from migrations_engine.services.cutover import modes_of
from migrations_engine.services.targets import default_target, open_endpoint
from personas.domain.canonical import sha256_of
from personas.domain.scripts import USUAL_PHASE, BadParameters, environment, in_run_order, parse_parameters
from personas.domain.security_groups import rules_by_name
from personas.domain.settings import InvalidSettings
from personas.errors import BadInput
from personas.models import NetworkProfile, Persona, Script, Secret
from personas.services.allowances import refusal_of
from templates_app.domain.layers import Kind, Layer
from templates_app.domain.merge import Merged, merge
from templates_app.models import MigrationTemplate
from templates_app.services.merging import driver_set_rows, layers_for, personas_of

SCHEMA_VERSION = 1
BUY = "Buy or renew it on the marketplace, or choose another persona."
PREVIEW_KEY = "plan"  # stands for the run's id in a machine that nobody has asked for yet
HASHED = (
    "schema_version", "template", "personas", "use_case", "target", "scripts", "security_groups", "unknown",
    "kernel", "machine", "access", "software", "enforcement",
)  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """`document` is plain JSON and all that a run needs:

    vm {id, name, vcpus, memory_mib, missing_since, disks: [{path, format, virtual_size_bytes, allocated_bytes}],
    cards [in words], staging {free_bytes, is_certain, shares_room} or null},
    template {id, name, revision}, personas [{id, name, revision, origin, is_changed}],
    use_case, target {id, name, kind},
    layers [{kind, name, revision, document, priority}], driver_sets {slug: drivers}, made_for {slug of a driver
    set: the os-release IDs that it is for, none for any}, merged (the merge's own answer),
    scripts [{id, name, key, revision, interpreter, sha256, body, approved, phase, os, timeout_s, retries,
    environment {variable: text}, secrets {variable: slug}, problems}] in the order in which they run,
    security_groups [{name, rules}], unknown [(what, name)], namesakes [when they came],
    modes {mode: why the machine cannot be moved so, or ""},
    notices [{persona, blocks, text, action}], scan {id, at} or null, kernel, machine, access, software, enforcement,
    concerns, changes.
    """

    document: dict[str, Any]
    sha256: str

    @property
    def concerns(self) -> list[dict[str, str]]:
        return self.document["concerns"]

    @property
    def blockers(self) -> list[dict[str, str]]:
        return [concern for concern in self.concerns if concern["severity"] == Severity.CRITICAL]


def plan_make(
    *,
    template: MigrationTemplate,
    vm: VirtualMachine,
    personas: Sequence[Persona] = (),
    use_case: str = "",
    overrides: dict[str, Any] | None = None,
    target: TargetEndpoint | None = None,
    by,
) -> Plan:
    """`personas` in the order in which they are applied, the last one wins; none: the template's own.

    Writes nothing. Raises InvalidSettings (a layer is not in the vocabulary) and BadInput (no target).
    """
    target = target or default_target(department=vm.department, by=by)
    if target is None:
        raise BadInput({"target": ["There is no target yet; create one first."]})
    personas = personas_of(template, personas, by)
    _require_no_secrets(overrides or {})
    document = _document(template, vm, personas, use_case, overrides or {}, target, by)
    document |= _assessed(document, facts_of(newest_scan(vm)), target)
    return Plan(document, plan_sha256(document))


def _require_no_secrets(overrides: dict[str, Any]) -> None:
    """Who launches chooses settings; which script is given a secret is an admin's decision, in persona or template."""
    entries = leaf(overrides, "post_migration.scripts", None)
    if isinstance(entries, list) and any(isinstance(each, dict) and each.get("secrets") for each in entries):
        told = ["Only a persona, a template or the department's defaults hand out secrets."]
        raise BadInput({"overrides.post_migration.scripts": told})


def plan_sha256(document: dict[str, Any]) -> str:
    """Over everything that changes what the run does; not over what merely informs (free space, texts, times)."""
    vm = document["vm"]
    hashed = {name: document[name] for name in HASHED}
    hashed["vm"] = {"id": vm["id"], "disks": [_identity(disk) for disk in vm["disks"]]}
    hashed["merged"] = document["merged"]["sha256"]
    return sha256_of(hashed)


def _identity(disk: dict[str, Any]) -> dict[str, Any]:
    return {name: disk[name] for name in ("path", "format", "virtual_size_bytes")}


def newest_scan(vm: VirtualMachine) -> Scan | None:
    return Scan.objects.readable().filter(vm=vm).first()


def merge_again(document: dict[str, Any]) -> Merged:
    """The merge, from the layers that the plan keeps: what it says must be what the plan says."""
    return merge([Layer(**layer) for layer in document["layers"]], document["driver_sets"])


def _document(template, vm, personas, use_case, overrides, target, by) -> dict[str, Any]:
    layers = layers_for(
        template=template, personas=personas, department=vm.department, overrides=overrides, user=by
    )
    sets = driver_set_rows(template=template, personas=personas, department=vm.department, user=by)
    merged = _merged(layers, {slug: row.drivers for slug, row in sets.items()})
    scripts, unknown_scripts = _scripts(merged.settings, vm.department, by)
    groups, unknown_groups = _security_groups(merged.settings, template, personas, vm.department, by)
    scan = newest_scan(vm)
    return {
        "schema_version": SCHEMA_VERSION,
        "vm": _vm(vm),
        "template": _named(template),
        "personas": [_persona(persona) for persona in personas],
        "use_case": use_case,
        "target": {"id": str(target.pk), "name": target.name, "kind": target.kind},
        "layers": [_layer(layer) for layer in layers],
        **_driver_sets(sets, layers),
        "merged": merged.as_dict(),
        "scripts": scripts,
        "security_groups": groups,
        "unknown": [*unknown_scripts, *unknown_groups],
        "namesakes": _namesakes(vm, target),
        "modes": modes_of(vm),
        "notices": [told for persona in personas for told in _notices(persona, vm)],
        "scan": {"id": str(scan.pk), "at": scan.created_at.isoformat()} if scan else None,
    }


def _merged(layers, driver_sets) -> Merged:
    """What is wrong in the launch's own words is told at `overrides`; what is wrong in a row keeps the row's name."""
    try:
        return merge(layers, driver_sets)
    except InvalidSettings as error:
        ours = [told for told in error.errors if told.get("layer", "").startswith(Kind.LAUNCH)]
        if len(ours) < len(error.errors):
            raise
        raise BadInput(
            {f"overrides.{told['field']}".rstrip("."): [told["message"]] for told in ours}
        ) from None


def _assessed(document, facts, target) -> dict[str, Any]:
    try:
        found = assessment.assess(
            document=document, facts=facts, target=open_endpoint(target), key=PREVIEW_KEY
        )
    except SpecError as error:
        concern = assessment.spec_concern(error).as_dict()
        nothing = dict.fromkeys(("kernel", "machine", "access", "software"))
        return {**nothing, "enforcement": [], "concerns": [concern], "changes": []}
    return assessment.as_json(found)


def _vm(vm: VirtualMachine) -> dict[str, Any]:
    columns = ("path", "format", "virtual_size_bytes", "allocated_bytes")
    return {
        "id": str(vm.pk),
        "name": vm.name,
        "vcpus": vm.vcpus,
        "memory_mib": vm.memory_mib,
        "missing_since": f"{vm.missing_since:%Y-%m-%d %H:%M} UTC" if vm.missing_since else "",
        "disks": list(vm.disks.exclude(path="").order_by("index").values(*columns)),
        "staging": _staging(vm),
        "cards": [_card(nic) for nic in vm.nics.order_by("index")],
    }


def _staging(vm: VirtualMachine) -> dict[str, Any] | None:
    """The room for what a hypervisor sends, as it is before a run has fetched anything; None for a source of files. The
    hypervisor of this machine has its own files read in some modes, and is read as a backup in others."""
    if not vm.source.is_libvirt:
        return None
    for folder in (settings.STAGING_DIR, settings.DISKS_DIR):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return {
        "free_bytes": shutil.disk_usage(settings.STAGING_DIR).free,
        "is_certain": parse_libvirt_address(vm.source.location).is_remote,
        "shares_room": settings.STAGING_DIR.stat().st_dev == settings.DISKS_DIR.stat().st_dev,
    }


def _card(nic: Nic) -> str:
    return " on ".join(each for each in (nic.mac, nic.network) if each) or f"card {nic.index + 1}"


def _namesakes(vm: VirtualMachine, target: TargetEndpoint) -> list[str]:
    """When machines of this name came to the target, which are there still; rehearsals have no claim to a name."""
    there = MigratedVM.objects.filter(
        department=vm.department, name=vm.name, run__target=target, removed_at=None
    ).exclude(run__mode=Mode.TEST)
    return [f"{row.created_at:%Y-%m-%d %H:%M} UTC" for row in there.order_by("created_at")]


def _named(row) -> dict[str, Any]:
    return {"id": str(row.pk), "name": row.name, "revision": row.revision}


def _persona(persona: Persona) -> dict[str, Any]:
    told = _named(persona)
    is_changed = persona.origin != "" and persona.origin_revision != told["revision"]
    return told | {"origin": persona.origin, "is_changed": is_changed}


def _layer(layer: Layer) -> dict[str, Any]:
    return {
        "kind": str(layer.kind),
        "name": layer.name,
        "revision": layer.revision,
        "document": layer.document,
        "priority": layer.priority,
    }


def _driver_sets(sets, layers) -> dict[str, Any]:
    """Only the sets that a layer names: the snapshot need not carry the catalogue."""
    named = {layer.document.get("driver_set") for layer in layers}
    used = {slug: row for slug, row in sets.items() if slug in named}
    return {
        "driver_sets": {slug: [dict(driver) for driver in row.drivers] for slug, row in used.items()},
        "made_for": {slug: row.distributions for slug, row in used.items()},
    }


def _own_first(rows, department):
    """Rows that the department may use, its own before the organisation's."""
    usable = rows.filter(Q(department=department) | Q(department__isnull=True))
    return usable.order_by(F("department").asc(nulls_last=True), "name")


def _scripts(settings, department, by):
    """([snapshot of each script, in the order in which they run], [("script", name) that no row has])."""
    entries = in_run_order(leaf(settings, "post_migration.scripts", []))
    wanted = [entry["name"] for entry in entries]
    rows = _own_first(
        Script.objects.visible_to(by).filter(slug__in=wanted, archived_at__isnull=True), department
    )
    by_slug: dict[str, Script] = {}
    for row in rows:
        by_slug.setdefault(row.slug, row)
    newest = {slug: row.latest for slug, row in by_slug.items()}
    secrets = set(Secret.objects.filter(department=department).values_list("slug", flat=True))
    found = [
        _script(entry, _key(wanted, place), newest[entry["name"]], secrets)
        for place, entry in enumerate(entries)
        if newest.get(entry["name"])
    ]
    return found, [["script", name] for name in dict.fromkeys(wanted) if not newest.get(name)]


def _key(names: list[str], place: int) -> str:
    """What this running of a script is called: `tune`, and `tune.2` where it runs a second time."""
    times = names[: place + 1].count(names[place])
    return names[place] if times == 1 else f"{names[place]}.{times}"


def _script(entry: dict[str, Any], key: str, revision, secrets: set[str]) -> dict[str, Any]:
    asked = entry.get("secrets") or {}
    problems = [
        f"The department has no secret {slug}, which it finds in {name}."
        for name, slug in asked.items()
        if slug not in secrets
    ]
    values: dict[str, str] = {}
    try:
        values = environment(parse_parameters(revision.parameters), entry.get("parameters") or {}, asked)
    except BadParameters as error:
        problems += error.problems
    return {
        "id": str(revision.script_id),
        "name": entry["name"],
        "key": key,
        "revision": revision.number,
        "interpreter": revision.interpreter,
        "sha256": revision.sha256,
        "body": revision.body,
        "approved": revision.script.is_approved(revision.sha256),
        "phase": entry.get("phase") or USUAL_PHASE,
        "os": entry.get("os") or [],
        "timeout_s": entry.get("timeout_s"),
        "retries": entry.get("retries") or 0,
        "environment": values,
        "secrets": asked,
        "problems": problems,
    }


def _notices(persona: Persona, vm: VirtualMachine) -> list[dict[str, Any]]:
    rows = list(persona.notices.values("blocks", "text", "action"))
    if refusal := refusal_of(persona=persona, machine_id=vm.pk, now=timezone.now()):
        rows.append({"blocks": True, "text": refusal, "action": BUY})
    return [{"persona": persona.name, **row} for row in rows]


def _security_groups(settings, template, personas, department, by):
    """A name means the group of the persona that is applied last, then the template's, then any of the department's."""
    wanted = settings.get("network", {}).get("security_groups", [])
    nearest = [row.network_profile for row in [*reversed(personas), template] if row.network_profile]
    others = _own_first(NetworkProfile.objects.visible_to(by), department)
    rules, missing = rules_by_name(list(wanted), [profile.security_groups for profile in [*nearest, *others]])
    groups = [{"name": name, "rules": rules[name]} for name in wanted if name in rules]
    return groups, [["security group", name] for name in missing]
