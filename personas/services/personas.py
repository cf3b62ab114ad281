"""Personas: every change leaves a revision of the document and an audit row."""

from typing import Any

from django.db import transaction

from personas.errors import BadInput
from personas.models import Persona
from personas.services.notices import notice_set
from personas.services.revisions import revision_ensure
from personas.services.rows import clone_of, row_create, row_update


@transaction.atomic
def persona_create(*, by, department=None, **fields: Any) -> Persona:
    """`fields` are columns of Persona. Raises ValidationError (by column) and NotAllowed."""
    persona = row_create(row=Persona(department=department, **fields), by=by)
    revision_ensure(row=persona, by=by)
    return persona


@transaction.atomic
def persona_update(*, persona: Persona, by, expected: str | None = None, **fields: Any) -> Persona:
    """`expected` is `version_of` what the change was made on; raises Stale when it is another by now."""
    persona = row_update(row=persona, by=by, values=fields, expected=expected)
    revision_ensure(row=persona, by=by)
    return persona


@transaction.atomic
def persona_clone(*, persona: Persona, by, department=None, name: str = "") -> Persona:
    """A copy in `department` (None: of the organisation). Its parts must be usable there: the organisation's, or the
    department's own; else ValidationError beside the part. It shares the run allowance, and is of the same origin: what
    is told of that holds for it too. What was bought stays in its department: else BadInput."""
    if persona.allowance_id and department != persona.department:
        raise BadInput({"department": [f"It was bought for {persona.department}: buy it for this one too."]})
    clone = clone_of(persona, department=department, name=name)
    clone.allowance = persona.allowance  # what was bought is not multiplied by copying it
    clone.origin, is_changed = persona.origin, persona.origin_revision != persona.revision
    row_create(row=clone, by=by)
    first = revision_ensure(row=clone, by=by)
    if clone.origin and not is_changed:
        clone.origin_revision = first.number
        clone.save(update_fields=["origin_revision"])
    for notice in persona.notices.all():
        told = {"source": notice.source, "text": notice.text, "action": notice.action, "blocks": notice.blocks}
        notice_set(persona=clone, by=by, **told)
    return clone
