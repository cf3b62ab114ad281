"""What a launch names by ids (API, wizard, command line alike), found among what the caller may see."""

from collections.abc import Mapping
from typing import Any

from analyzer.models import VirtualMachine
from analyzer.services.vm_personas import DEFAULT_USE_CASE, personas_for
from migrations_engine.domain.terms import Terms, TermsError, terms_of
from migrations_engine.models import TargetEndpoint
from migrations_engine.services.lookup import find
from personas.errors import BadInput
from personas.models import Persona
from templates_app.models import MigrationTemplate


def launch_arguments(asked: Mapping[str, Any], *, by) -> dict[str, Any]:
    """Keyword arguments of `plan_make` from `{template, vm, persona? | personas? | use_case?, overrides?, target?}`.

    Without personas: those of the use case; without a use case those that the machine carries by default; without these
    the template's own. Raises Missing (404) for an id that is not there or not theirs, BadInput for the rest.
    """
    vm = find(VirtualMachine, asked.get("vm"), by=by, field="vm")
    template = find(MigrationTemplate, asked.get("template"), by=by, field="template")
    if template.archived_at:
        raise BadInput({"template": ["This template is archived."]})
    target = asked.get("target")
    return {
        "template": template,
        "vm": vm,
        "personas": _personas(asked, vm, by),
        "use_case": asked.get("use_case") or "",
        "overrides": asked.get("overrides") or {},
        "target": find(TargetEndpoint, target, by=by, field="target") if target else None,
        "by": by,
    }


def terms_asked(asked: Mapping[str, Any]) -> Terms:
    """What is said of `Terms`, the rest as ever. Raises BadInput."""
    try:
        return terms_of(asked)
    except TermsError as error:
        raise BadInput({error.field: [str(error)]}) from error


def _personas(asked, vm, by) -> list[Persona]:
    if asked.get("persona") and asked.get("personas"):
        raise BadInput({"persona": ["Give persona or personas, not both."]})
    if asked.get("persona"):
        return [_persona(asked["persona"], by, "persona")]
    if asked.get("personas"):
        return [_persona(id, by, f"personas.{index}") for index, id in enumerate(asked["personas"])]
    if not asked.get("use_case"):
        return personas_for(vm, DEFAULT_USE_CASE)
    found = personas_for(vm, asked["use_case"])
    if not found:
        raise BadInput({"use_case": [f"The machine carries no persona for {asked['use_case']!r}."]})
    return found


def _persona(id, by, field) -> Persona:
    persona = find(Persona, id, by=by, field=field)
    if persona.archived_at:
        raise BadInput({field: ["This persona is archived."]})
    return persona
