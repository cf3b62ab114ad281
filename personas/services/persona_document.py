"""A persona as a document and back: import, export, and what the columns of a document are.

In a document the profiles are written out (`resources`, `network`); in the database they are rows. Coming in, a profile
that says the same is used; where there is none, one is made.
"""

from typing import Any

from django.db import models, transaction

from personas.domain.security_groups import rules_by_name
from personas.domain.settings import InvalidSettings, validate_document
from personas.errors import BadInput
from personas.models import DriverSet, NetworkProfile, Persona, ResourceProfile, Script
from personas.models.settings_columns import COLUMNS
from personas.services.parts import part_create
from personas.services.personas import persona_create
from personas.services.rows import free_slug

EXPORTED = ("name", "slug", "description", "hints")


def persona_export(persona: Persona) -> dict[str, Any]:
    """{"name", "slug", "description", "hints", "settings": document}: what `persona_import` takes."""
    return {**{name: getattr(persona, name) for name in EXPORTED}, "settings": persona.document()}


@transaction.atomic
def persona_import(*, data: Any, by, department=None) -> Persona:
    """A persona made from what `persona_export` gave. Raises BadInput (fields dotted, as in
    `settings.resources.vcpus`), ValidationError when its slug is taken."""
    if not isinstance(data, dict):
        raise BadInput({"": ["Give a mapping with name and settings."]})
    foreign = sorted(set(data) - {*EXPORTED, "settings"})
    if foreign:
        raise BadInput({name: ["is not part of a persona's document"] for name in foreign})
    fields = {name: data[name] for name in EXPORTED if name in data}
    columns = settings_columns_of(
        data.get("settings", {}), name=str(data.get("name", "")), by=by, department=department
    )
    persona = persona_create(by=by, department=department, **fields, **columns)
    said, kept = {"schema_version": 1, **data.get("settings", {})}, persona.document()
    if kept != said:
        raise BadInput({"settings": [f"A persona can't hold all of it; it would say {kept!r}."]})
    return persona


def settings_columns_of(document: Any, *, name: str, by, department) -> dict[str, Any]:
    """The SettingsColumns (and list_modes) that say what the document says; makes profiles called after `name`
    where none of those that the department sees says the same. Raises BadInput with fields below `settings`."""
    try:
        document = validate_document(document)
        columns = columns_of(document, department=department)
    except InvalidSettings as error:
        told: dict[str, list[str]] = {}
        for e in error.errors:
            told.setdefault(f"settings.{e['field']}".rstrip("."), []).append(e["message"])
        raise BadInput(told) from None
    columns["resource_allocation_profile"] = _resource_profile(document, name, by, department)
    columns["network_profile"] = _network_profile(document, name, by, department)
    return columns


def columns_of(document: dict[str, Any], *, department) -> dict[str, Any]:
    """The columns of a valid document, but for the two profiles. Raises InvalidSettings for a driver set or script that
    the department does not see, and for what has no column."""
    columns: dict[str, Any] = {"unset": _nulls(document), "list_modes": document.get("list_modes") or {}}
    for path, column in COLUMNS.items():
        value = _at(document, path)
        if value is not None and "." not in column:
            columns[column] = value
    if document.get("locks"):
        raise _wrong("locks", "belongs to templates", document["locks"])
    if document.get("devices"):
        raise _wrong("devices", "come from the driver set; name one that has them", document["devices"])
    if slug := document.get("driver_set"):
        columns["default_driver_set"] = _by_slug(DriverSet, slug, department, "driver_set")
    columns |= _script_columns(_at(document, "post_migration.scripts") or [], department)
    return columns


def _script_columns(entries: list[dict[str, Any]], department) -> dict[str, Any]:
    """The first one, where it says no more than its name, is the row's own script; the others are entries."""
    known = {
        entry["name"]: _by_slug(Script, entry["name"], department, "post_migration.scripts")
        for entry in entries
    }
    plain = entries[0]["name"] if entries and set(entries[0]) == {"name"} else None
    return {"post_migration_script": known.get(plain), "script_entries": entries[1:] if plain else entries}


def _by_slug(model, slug: str, department, field: str) -> models.Model:
    found = model(department=department).same_names().filter(slug=slug)
    if department is None:
        found = found.filter(department__isnull=True)
    row = found.first()
    if row is None:
        raise _wrong(field, f"there is no {model._meta.verbose_name} {slug!r} here", slug)
    return row


def _wrong(field: str, message: str, value: Any) -> InvalidSettings:
    return InvalidSettings([{"field": field, "message": message, "value": value}])


def _usable(model, department):
    """Own rows first, then the organisation's."""
    own = models.Q(department__isnull=True) | models.Q(department=department)
    return model._base_manager.filter(own).order_by(models.F("department").asc(nulls_last=True), "name")


def _resource_profile(document, name, by, department) -> ResourceProfile | None:
    said = document.get("resources") or {}
    asked = {field: said.get(field) for field in ("vcpus", "memory_mib", "root_disk_gib")}
    if not any(asked.values()):
        return None
    same = _usable(ResourceProfile, department).filter(**asked).first()
    return same or _new_profile(ResourceProfile, f"{name} resources", by, department, **asked)


def _network_profile(document, name, by, department) -> NetworkProfile | None:
    said = document.get("network") or {}
    asked = {"bandwidth_mbps": said.get("bandwidth_mbps"), "addressing": said.get("addressing") or ""}
    names = said.get("security_groups") or []
    if not any([*asked.values(), names]):
        return None
    profiles = list(_usable(NetworkProfile, department))
    for profile in profiles:
        if (
            all(getattr(profile, k) == v for k, v in asked.items())
            and [g["name"] for g in profile.security_groups] == names
        ):
            return profile
    rules, unknown = rules_by_name(names, [profile.security_groups for profile in profiles])
    if unknown:
        raise BadInput(
            {"settings.network.security_groups": [f"No network profile here defines {', '.join(unknown)}."]}
        )
    groups = [{"name": group, "rules": rules[group]} for group in names]
    return _new_profile(NetworkProfile, f"{name} network", by, department, security_groups=groups, **asked)


def _new_profile(model, name, by, department, **columns):
    name = name[:80]
    slug = free_slug(model=model, department=department, name=name)
    return part_create(model=model, by=by, department=department, name=name, slug=slug, **columns)


def _at(document: dict, path: str) -> Any:
    for key in path.split("."):
        document = document.get(key) if isinstance(document, dict) else None
    return document


def _nulls(document: dict, prefix: str = "") -> list[str]:
    """Paths of the explicit nulls, of groups too; a null inside a map (a tag) stays where it is."""
    found = []
    for key, value in document.items():
        path = f"{prefix}{key}"
        if value is None:
            found.append(path)
        elif isinstance(value, dict) and path not in ("monitoring_tags", "list_modes"):
            found.extend(_nulls(value, f"{path}."))
    return found
