"""How a row of a tenant is written, whatever it is: role, check, lock, audit, and a refusal while something needs
it."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import IntegrityError, models, transaction
from django.utils import timezone
from django.utils.text import slugify

from personas.errors import BadInput, InUse, Missing, Refused, Stale
from personas.models import DriverSet, Role, Script
from personas.services.access import require
from personas.services.audit import record

UNTOLD = {"created_at", "updated_at", "last_login"}  # says nothing
UNTOLD |= {"password", "secret_sha256", "ciphertext"}  # must not be said


def snapshot(row: models.Model) -> dict[str, Any]:
    """The columns as JSON, for the audit trail, without secrets: a foreign key as its id (`department_id`) and as what
    it is called (`department`), because the row that it points to may be gone when somebody reads."""
    told: dict[str, Any] = {}
    for column in row._meta.concrete_fields:
        if column.name not in UNTOLD:
            told[column.attname] = column.value_from_object(row)
            if column.is_relation:
                related = getattr(row, column.name)
                told[column.name] = None if related is None else str(related)
    return json.loads(json.dumps(told, cls=DjangoJSONEncoder))


def version_of(row: models.Model) -> str:
    """Changes with every write of the row: what a form carries to notice that someone else was faster."""
    told = {f.attname: f.value_from_object(row) for f in row._meta.concrete_fields}
    return hashlib.sha256(json.dumps(told, cls=DjangoJSONEncoder, sort_keys=True).encode()).hexdigest()[:32]


def locked(row: models.Model, *, expected: str | None = None) -> models.Model:
    """The row as it is now, locked until the transaction ends. Raises Missing when it is gone, Stale when `expected` is
    given and is not its version."""
    fresh = type(row)._base_manager.select_for_update().filter(pk=row.pk).first()
    if fresh is None:
        raise Missing("It has been deleted in between.")
    if expected is not None and expected != version_of(fresh):
        raise Stale(
            "Someone else has changed it since you opened it. Look at the newest state and repeat your change."
        )
    return fresh


def checked_save(row: models.Model) -> None:
    """full_clean, then save. A race that only the database sees is the same refusal as what the check would have
    said."""
    row.full_clean()
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError as error:
        raise Refused("Something with this name was made at the same moment.") from error


def record_change(*, row: models.Model, by, action: str, before: dict[str, Any]) -> None:
    """The audit row of what is no longer as in the snapshot `before`; none when nothing is."""
    after = snapshot(row)
    changed = sorted(name for name in after if after[name] != before[name])
    if changed:
        told = [{name: state[name] for name in changed} for state in (before, after)]
        record(by=by, action=action, obj=row, before=told[0], after=told[1])


@transaction.atomic
def row_create(*, row: models.Model, by, role: Role = Role.ADMIN) -> models.Model:
    require(by=by, department=row.department, role=role)
    checked_save(row)
    record(by=by, action=f"{row._meta.model_name}.create", obj=row, after=snapshot(row))
    return row


@transaction.atomic
def row_update(
    *,
    row: models.Model,
    by,
    values: dict[str, Any],
    expected: str | None = None,
    role: Role = Role.ADMIN,
    verb="update",
) -> models.Model:
    """The row with `values` set. What nothing changes leaves no trace. A row never moves to another department: what it
    points to, and what points to it, belongs there."""
    fresh = locked(row, expected=expected)
    require(by=by, department=fresh.department, role=role)
    before = snapshot(fresh)
    if "department" in values and values["department"] != fresh.department:
        raise BadInput({"department": ["It can't be moved to another department; clone it there."]})
    for name, value in values.items():
        setattr(fresh, name, value)
    fresh.full_clean()
    if snapshot(fresh) != before:
        checked_save(fresh)
        record_change(row=fresh, by=by, action=f"{fresh._meta.model_name}.{verb}", before=before)
    return fresh


@transaction.atomic
def row_archive(*, row: models.Model, by) -> models.Model:
    """Archived, it is offered nowhere; who uses it keeps it. Archiving twice is no error."""
    if row.archived_at:
        require(by=by, department=row.department, role=Role.ADMIN)
        return row
    return row_update(row=row, by=by, values={"archived_at": timezone.now()}, verb="archive")


def row_restore(*, row: models.Model, by) -> models.Model:
    return row_update(row=row, by=by, values={"archived_at": None}, verb="restore")


@transaction.atomic
def row_delete(*, row: models.Model, by, expected: str | None = None, role: Role = Role.ADMIN) -> None:
    """Raises InUse with the list of what needs it (of that, only what `by` may see is named)."""
    fresh = locked(row, expected=expected)
    require(by=by, department=getattr(fresh, "department", None), role=role)
    refuse_in_use(fresh, by=by)
    record(by=by, action=f"{fresh._meta.model_name}.delete", obj=fresh, before=snapshot(fresh))
    fresh.delete()


@transaction.atomic
def row_retire(*, row: models.Model, by) -> models.Model | None:
    """Archives what is needed by history alone and answers it; what nothing needs is deleted (None). Raises InUse."""
    fresh = locked(row)
    require(by=by, department=fresh.department, role=Role.ADMIN)
    refuse_in_use(fresh, by=by, with_history=False)
    if any(rows.exists() for rows in _needing(fresh)):
        return row_archive(row=fresh, by=by)
    return row_delete(row=fresh, by=by)


def refuse_in_use(row: models.Model, *, by, with_history: bool = True) -> None:
    users, hidden = used_by(row, by=by, with_history=with_history)
    if users or hidden:
        names = [user["name"] for user in users[:5]] + [f"{hidden} of other departments"] * bool(hidden)
        raise InUse(
            f"“{row}” is in use by {', '.join(names)}{', …' if len(users) > 5 else ''}.", used_by=users
        )


def used_by(
    row: models.Model, *, by, limit: int = 100, with_history: bool = True
) -> tuple[list[dict[str, str]], int]:
    """([{"type", "id", "name", "url"}] of the rows that need it and that `by` may see, the number of those he may not).

    Found from the foreign keys that protect the row and from what names it, so the apps above need not be known here.
    """
    users: list[dict[str, str]] = []
    hidden = 0
    for rows in _needing(row):
        if not with_history and hasattr(rows, "in_use"):
            rows = rows.in_use()
        seen = rows.visible_to(by) if hasattr(rows, "visible_to") else rows.none()
        hidden += rows.count() - seen.count()
        users.extend(_told(user) for user in seen[:limit])
    return users, hidden


def _needing(row: models.Model) -> Iterator[models.QuerySet]:
    for relation in protecting(type(row)):
        yield relation.related_model._default_manager.filter(**{relation.field.name: row})
    if isinstance(row, (DriverSet, Script)):
        yield from row.named_by()


def protecting(model: type[models.Model]) -> list:
    return [
        relation
        for relation in model._meta.get_fields(include_hidden=True)
        if relation.auto_created
        and not relation.concrete
        and getattr(relation, "on_delete", None) in (models.PROTECT, models.RESTRICT)
    ]


def _told(row: models.Model) -> dict[str, str]:
    url = row.get_absolute_url() if hasattr(row, "get_absolute_url") else ""
    return {"type": str(row._meta.verbose_name), "id": str(row.pk), "name": str(row), "url": url}


def free_slug(*, model: type[models.Model], department, name: str) -> str:
    """A slug for `name` that is free in the department: `web-dev`, else `web-dev-2`, …"""
    base = slugify(name)[:58] or model._meta.model_name
    taken = set(
        model(department=department).same_names().filter(slug__startswith=base).values_list("slug", flat=True)
    )
    numbers = (f"{base}-{n}" for n in range(2, len(taken) + 3))
    return base if base not in taken else next(slug for slug in numbers if slug not in taken)


def clone_of(row: models.Model, *, department, name: str = "") -> models.Model:
    """A copy that is not saved yet, with a name and a slug of its own."""
    name = name or f"{row.name} (copy)"[:80]
    copied = {
        f.name: getattr(row, f.name) for f in row._meta.concrete_fields if not f.primary_key and f.editable
    }
    copied |= {
        "department": department,
        "name": name,
        "slug": free_slug(model=type(row), department=department, name=name),
    }
    return type(row)(**copied)
