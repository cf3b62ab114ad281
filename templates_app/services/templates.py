"""What can be done to a template. Each verb is one transaction with its audit row; page, API and admin call these."""

from typing import Any

from django.db import IntegrityError, models, transaction
from django.db.models import ProtectedError
from django.utils import timezone

from personas.domain.canonical import sha256_of
from personas.errors import InUse, Refused
from personas.models import Department, Role
from personas.services import audit
from personas.services.access import require
from templates_app.models import MigrationTemplate, MigrationTemplateRevision

KEPT_BY_CLONE = [
    field.name
    for field in MigrationTemplate._meta.concrete_fields
    if field.name not in ("id", "department", "name", "slug", "created_at", "updated_at", "archived_at")
]


def template_create(*, by, department: Department | None, **columns: Any) -> MigrationTemplate:
    """`columns`: those of MigrationTemplate. Raises NotAllowed, ValidationError (by column)."""
    require(by=by, department=department, role=Role.ADMIN)
    with transaction.atomic():
        template = _saved(MigrationTemplate(department=department, **columns), by)
        audit.record(by=by, action="template.create", obj=template, after=_told(template))
    return template


def template_update(*, template: MigrationTemplate, by, **columns: Any) -> MigrationTemplate:
    """Writes a revision when the document changed. A template stays in its department."""
    require(by=by, department=template.department, role=Role.ADMIN)
    with transaction.atomic():
        template = _locked(template)
        before = _told(template)
        for name, value in columns.items():
            setattr(template, name, value)
        _saved(template, by)
        audit.record(by=by, action="template.update", obj=template, before=before, after=_told(template))
    return template


def template_clone(
    *, template: MigrationTemplate, by, department: Department | None, name: str
) -> MigrationTemplate:
    columns = {field: getattr(template, field) for field in KEPT_BY_CLONE}
    return template_create(by=by, department=department, name=name, **columns)


def template_archive(*, template: MigrationTemplate, by) -> MigrationTemplate:
    """It can no longer be chosen; runs that used it keep it. Archiving twice is no error."""
    return _set_archived(template, by, "template.archive", timezone.now())


def template_restore(*, template: MigrationTemplate, by) -> MigrationTemplate:
    return _set_archived(template, by, "template.restore", None)


def template_delete(*, template: MigrationTemplate, by) -> None:
    """Raises InUse, listing the users, while anything refers to it."""
    require(by=by, department=template.department, role=Role.ADMIN)
    with transaction.atomic():
        template = _locked(template)
        audit.record(by=by, action="template.delete", obj=template, before=_told(template))
        try:
            template.delete()
        except ProtectedError as error:
            told = f"{template} is in use and is not deleted. Archive it instead."
            raise InUse(told, used_by=[_user(row) for row in error.protected_objects]) from None


def _user(row: models.Model) -> dict[str, str]:
    return {"type": row._meta.verbose_name, "id": str(row.pk), "name": str(row)}


def _set_archived(template: MigrationTemplate, by, action: str, moment) -> MigrationTemplate:
    require(by=by, department=template.department, role=Role.ADMIN)
    with transaction.atomic():
        template = _locked(template)
        if bool(template.archived_at) != bool(moment):
            before, template.archived_at = _told(template), moment
            template.save(update_fields=["archived_at", "updated_at"])
            audit.record(by=by, action=action, obj=template, before=before, after=_told(template))
    return template


def _locked(template: MigrationTemplate) -> MigrationTemplate:
    """The row as it is now, held until the end of the transaction."""
    return MigrationTemplate.objects.select_for_update().get(pk=template.pk)


def _saved(template: MigrationTemplate, by) -> MigrationTemplate:
    template.full_clean(
        validate_constraints=False
    )  # clean() says which row has the name; the database has the last word
    try:
        template.save()
    except IntegrityError:
        raise Refused(f"Somebody has just taken the name {template.name}.") from None
    document, newest = template.document(), template.revisions.first()
    digest = sha256_of(document)
    if newest is None or newest.sha256 != digest:
        number = newest.number + 1 if newest else 1
        MigrationTemplateRevision.objects.create(
            template=template, number=number, document=document, sha256=digest, created_by=by
        )
    return template


def _told(template: MigrationTemplate) -> dict[str, Any]:
    return {
        "name": template.name,
        "slug": template.slug,
        "description": template.description,
        "persona": str(template.persona_id) if template.persona_id else None,
        "source_kind": template.source_kind,
        "target_kind": template.target_kind,
        "archived": template.archived_at is not None,
        "document": template.document(),
    }
