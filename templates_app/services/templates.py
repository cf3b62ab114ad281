"""What can be done to a template; every change leaves a revision of the document and an audit row."""

from typing import Any

from django.db import transaction

from personas.models import Department
from personas.services.revisions import revision_ensure
from personas.services.rows import clone_of, row_create, row_update
from templates_app.models import MigrationTemplate


@transaction.atomic
def template_create(*, by, department: Department | None = None, **fields: Any) -> MigrationTemplate:
    """`fields` are columns of MigrationTemplate. Raises ValidationError (by column) and NotAllowed."""
    template = row_create(row=MigrationTemplate(department=department, **fields), by=by)
    revision_ensure(row=template, by=by)
    return template


@transaction.atomic
def template_update(
    *, template: MigrationTemplate, by, expected: str | None = None, **fields: Any
) -> MigrationTemplate:
    """`expected` is `version_of` what the change was made on; raises Stale when it is another by now."""
    template = row_update(row=template, by=by, values=fields, expected=expected)
    revision_ensure(row=template, by=by)
    return template


@transaction.atomic
def template_clone(
    *, template: MigrationTemplate, by, department: Department | None = None, name: str = ""
) -> MigrationTemplate:
    """A copy in `department` (None: of the organisation). Its persona and parts must be usable there."""
    clone = row_create(row=clone_of(template, department=department, name=name), by=by)
    revision_ensure(row=clone, by=by)
    return clone
