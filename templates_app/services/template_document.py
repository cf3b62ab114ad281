"""A template as a document and back: export and import."""

from typing import Any

from django.db import transaction

from personas.errors import BadInput
from personas.models import Department, Persona
from personas.services.persona_document import settings_columns_of
from templates_app.models import MigrationTemplate
from templates_app.services.templates import template_create

EXPORTED = ("name", "slug", "description", "source_kind", "target_kind")


def template_export(template: MigrationTemplate) -> dict[str, Any]:
    """{"name", "slug", "description", "source_kind", "target_kind", "persona": slug or None, "settings": document}:
    what `template_import` takes, and `manage.py merge` reads."""
    said = {name: getattr(template, name) for name in EXPORTED}
    return {
        **said,
        "persona": template.persona.slug if template.persona else None,
        "settings": template.document(),
    }


@transaction.atomic
def template_import(*, data: Any, by, department: Department | None = None) -> MigrationTemplate:
    """A template made from what `template_export` gave; `persona` and `driver_set` are looked up by slug among what the
    department sees. Raises BadInput (fields dotted, as in `settings.resources.vcpus`), ValidationError (by column)."""
    if not isinstance(data, dict):
        raise BadInput({"": ["Give a mapping with name and settings."]})
    foreign = sorted(set(data) - {*EXPORTED, "persona", "settings"})
    if foreign:
        raise BadInput({name: ["is not part of a template's document"] for name in foreign})
    said = data.get("settings", {})
    document = (
        {key: value for key, value in said.items() if key != "locks"} if isinstance(said, dict) else said
    )
    if isinstance(document, dict) and document.get("list_modes") is not None:
        raise BadInput({"settings.list_modes": ["Only a persona may say this."]})
    fields = {name: data[name] for name in EXPORTED if name in data}
    columns = settings_columns_of(document, name=str(data.get("name", "")), by=by, department=department)
    columns.pop("list_modes")
    columns["locks"] = said.get("locks") or []
    persona = _persona(data.get("persona"), department)
    template = template_create(by=by, department=department, persona=persona, **fields, **columns)
    kept = template.document()
    if kept != {"schema_version": 1, **said}:
        raise BadInput({"settings": [f"A template can't hold all of it; it would say {kept!r}."]})
    return template


def _persona(slug: Any, department: Department | None) -> Persona | None:
    """The department's own of that slug, else the organisation's."""
    if slug is None:
        return None
    for owner in dict.fromkeys((department, None)):
        if found := Persona.objects.filter(department=owner, slug=str(slug)).first():
            return found
    raise BadInput({"persona": [f"There is no persona {slug!r} here."]})
