"""The rows that a bundle becomes in a department."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from marketplace.domain.bundle import Bundle, BundledScript
from marketplace.domain.script_entries import entries_of, given, renamed
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
}


@dataclass(frozen=True)
class Parts:
    """`columns`: {column of Persona: row}; `scripts`: {slug in the bundle: row}, of those that came with it; `kept`: of
    those that a fork has of its own, and that stay as they are."""

    columns: Mapping[str, Any] = field(default_factory=dict)
    scripts: Mapping[str, Script] = field(default_factory=dict)
    kept: Mapping[str, Script] = field(default_factory=dict)

    @property
    def rows(self) -> list:
        """What came with it."""
        return [*self.columns.values(), *self.scripts.values()]


def parts_made(bundle: Bundle, *, department: Department, by, author, there: Parts | None = None) -> Parts:
    """A part that is `there` and that nothing but its persona uses is changed where it stands; otherwise a new one is
    made, with a slug that is free in the department. `author` published the scripts, and is not who approves them."""
    there = there or Parts()
    contents = {
        "default_driver_set": bundle.driver_set,
        "resource_allocation_profile": bundle.resource_profile,
        "network_profile": bundle.network_profile,
    }
    columns = {
        column: _made(column, part, there.columns.get(column), department, by)
        for column, part in contents.items()
        if part is not None
    }
    named = {entry["name"] for entry in entries_of(bundle.persona.settings)}
    scripts = {
        script.slug: _script_made(script, there.scripts.get(script.slug), department, by, author)
        for script in bundle.carried
        if script.slug in named and script.slug not in there.kept
    }
    return Parts(columns, scripts, there.kept)


def _made(column: str, part, there, department: Department, by):
    said = part.model_dump(mode="json", exclude={"slug"})
    if there is not None and _is_ours_alone(there, by):
        return part_update(part=there, by=by, **said)
    said["slug"] = free_slug(model=MODELS[column], department=department, name=part.slug)
    return part_create(model=MODELS[column], by=by, department=department, **said)


def _script_made(script: BundledScript, there: Script | None, department: Department, by, author) -> Script:
    said = script.model_dump(mode="json", exclude={"slug"}) | {"origin": Origin.MARKETPLACE, "author": author}
    said["parameters"] = said["parameters"] or []
    if there is not None and _is_ours_alone(there, by):
        return script_update(script=there, by=by, **said)
    said["slug"] = free_slug(model=Script, department=department, name=script.slug)
    return script_create(by=by, department=department, **said)


def _is_ours_alone(part, by) -> bool:
    users, hidden = used_by(part, by=by)
    return len(users) + hidden <= 1


def persona_columns(
    bundle: Bundle,
    parts: Parts,
    *,
    department: Department,
    secrets: Mapping[str, str],
    parameters: Mapping[str, Any],
) -> dict[str, Any]:
    """Every column of the persona that its settings decide, also those that the bundle leaves empty: it names the parts
    by the slugs that they have here, and the secrets as `secrets` says: what comes from elsewhere hands no secret of
    ours to any script by merely knowing what it is called. `parameters`: {script.VARIABLE: value} of what it leaves
    open."""
    slugs = {slug: row.slug for slug, row in {**parts.scripts, **parts.kept}.items()}
    document = renamed(given(dict(bundle.persona.settings), parameters), scripts=slugs, secrets=secrets)
    if drivers := parts.columns.get("default_driver_set"):
        document["driver_set"] = drivers.slug
    columns = [Persona._meta.get_field(field.name) for field in SettingsColumns._meta.local_fields]
    empty = {column.name: column.get_default() for column in columns}
    return {
        **empty,
        **columns_of(document, department=department),
        **parts.columns,
        "hints": bundle.persona.hints,
        "description": bundle.persona.description,
    }
