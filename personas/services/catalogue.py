"""Puts the starter catalogue into an instance, as the organisation's rows or a department's."""

from typing import Any

from django.db import transaction

from personas.domain.catalogue import PersonaEntry, catalogue
from personas.models import DriverSet, NetworkProfile, Persona, ResourceProfile, Script
from personas.services.parts import part_create
from personas.services.persona_document import columns_of
from personas.services.personas import persona_create
from personas.services.scripts import script_create


@transaction.atomic
def catalogue_install(*, by, department=None) -> dict[str, int]:
    """{"personas": 8, ...}: how many rows of each kind were made. What is there already (by slug) stays as it is, also
    when someone has changed it: run it as often as you like."""
    starter = catalogue()
    made = {
        "driver_sets": _install_parts(DriverSet, starter.driver_sets, by, department),
        "resource_profiles": _install_parts(ResourceProfile, starter.resource_profiles, by, department),
        "network_profiles": _install_parts(NetworkProfile, starter.network_profiles, by, department),
        "scripts": 0,
        "personas": 0,
    }
    for entry in _absent(Script, starter.scripts, department):
        fields = {"slug": entry.slug, "name": entry.name, "description": entry.description}
        script_create(by=by, department=department, body=entry.body, **fields)
        made["scripts"] += 1
    for entry in _absent(Persona, starter.personas, department):
        persona_create(by=by, department=department, **_persona_columns(entry, department))
        made["personas"] += 1
    return made


def _install_parts(model, entries, by, department) -> int:
    absent = _absent(model, entries, department)
    for entry in absent:
        part_create(model=model, by=by, department=department, **entry.columns())
    return len(absent)


def _absent(model, entries, department) -> list:
    """For a department, what the organisation has counts as there: the department sees it."""
    taken = set(model(department=department).same_names().values_list("slug", flat=True))
    return [entry for entry in entries if entry.slug not in taken]


def _persona_columns(entry: PersonaEntry, department) -> dict[str, Any]:
    profiles = {
        "resource_allocation_profile": ResourceProfile(department=department)
        .same_names()
        .get(slug=entry.settings.resource_profile),
        "network_profile": NetworkProfile(department=department)
        .same_names()
        .get(slug=entry.settings.network_profile),
    }
    return {
        "slug": entry.slug,
        "name": entry.name,
        "description": entry.description,
        "hints": entry.hints,
        **columns_of(entry.document(), department=department),
        **profiles,
    }
