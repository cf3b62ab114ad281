"""The rows that a bundle becomes in a department."""

from collections.abc import Mapping
from typing import Any

from marketplace.domain.bundle import Bundle
from personas.models import Department, DriverSet, NetworkProfile, Persona, ResourceProfile, Script
from personas.models.script import Origin
from personas.models.settings_columns import SettingsColumns
from personas.services.parts import part_create, part_update
from personas.services.persona_document import columns_of
from personas.services.rows import free_slug, used_by
from personas.services.scripts import script_create, script_update

MODELS = {
    "default_driver_set": DriverSet,
    "resource_allocation_profile": ResourceProfile,
    "network_profile": NetworkProfile,
    "post_migration_script": Script,
}


def parts_made(
    bundle: Bundle, *, department: Department, by, author, replacing: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """{column of Persona: row}. A part of `replacing` (the same columns) that nothing but its persona uses is changed
    where it stands; otherwise a new one is made, with a slug that is free in the department. `author` published the
    script, and is not who approves it."""
    contents = {
        "default_driver_set": bundle.driver_set,
        "resource_allocation_profile": bundle.resource_profile,
        "network_profile": bundle.network_profile,
        "post_migration_script": bundle.script,
    }
    there = replacing or {}
    return {
        column: _made(column, part, there.get(column), department, by, author)
        for column, part in contents.items()
        if part is not None
    }


def _made(column: str, part, there, department: Department, by, author):
    is_script, model = column == "post_migration_script", MODELS[column]
    said = part.model_dump(mode="json", exclude={"slug"})
    if is_script:
        said |= {"origin": Origin.MARKETPLACE, "author": author}
    if there is not None and _is_ours_alone(there, by):
        return (
            script_update(script=there, by=by, **said)
            if is_script
            else part_update(part=there, by=by, **said)
        )
    said["slug"] = free_slug(model=model, department=department, name=part.slug)
    if is_script:
        return script_create(by=by, department=department, **said)
    return part_create(model=model, by=by, department=department, **said)


def _is_ours_alone(part, by) -> bool:
    users, hidden = used_by(part, by=by)
    return len(users) + hidden <= 1


def persona_columns(bundle: Bundle, parts: Mapping[str, Any], *, department: Department) -> dict[str, Any]:
    """Every column of the persona that its settings decide, also those that the bundle leaves empty: it names the parts
    by the slugs that they have here."""
    document = dict(bundle.persona.settings)
    if drivers := parts.get("default_driver_set"):
        document["driver_set"] = drivers.slug
    if script := parts.get("post_migration_script"):
        document["post_migration"] = {**document["post_migration"], "scripts": [{"name": script.slug}]}
    columns = [Persona._meta.get_field(field.name) for field in SettingsColumns._meta.local_fields]
    empty = {column.name: column.get_default() for column in columns}
    said = columns_of(document, department=department)
    return {
        **empty,
        **said,
        **parts,
        "script_entries": [],  # what comes from elsewhere hands no secret of ours to any script
        "hints": bundle.persona.hints,
        "description": bundle.persona.description,
    }
