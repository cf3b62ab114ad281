"""Departments and who belongs to them. A department always keeps an admin."""

from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction

from personas.errors import BadInput, Missing, NotAllowed, Refused
from personas.models import Department, Membership, Role
from personas.services.access import require
from personas.services.audit import record
from personas.services.rows import checked_save, locked, record_change, refuse_in_use, snapshot


def require_superuser(by) -> None:
    if not by.is_superuser:
        raise NotAllowed("Only a superuser makes and removes departments.")


@transaction.atomic
def department_create(*, by, name: str, slug: str = "", defaults: dict | None = None) -> Department:
    require_superuser(by)
    department = Department(name=name, slug=slug, defaults=defaults or {})
    checked_save(department)
    record(by=by, action="department.create", obj=department, after=snapshot(department))
    return department


@transaction.atomic
def department_update(
    *, department: Department, by, expected: str | None = None, **fields: Any
) -> Department:
    fresh = locked(department, expected=expected)
    require(by=by, department=fresh, role=Role.ADMIN)
    before = snapshot(fresh)
    for name, value in fields.items():
        setattr(fresh, name, value)
    checked_save(fresh)
    record_change(row=fresh, by=by, action="department.update", before=before)
    return fresh


@transaction.atomic
def department_delete(*, department: Department, by, expected: str | None = None) -> None:
    """Raises InUse while anything belongs to it."""
    require_superuser(by)
    fresh = locked(department, expected=expected)
    refuse_in_use(fresh, by=by)
    record(by=by, action="department.delete", obj=fresh, before=snapshot(fresh))
    fresh.delete()


@transaction.atomic
def membership_set(*, department: Department, username: str, role: str, by) -> Membership:
    """Makes the user a member, or changes his role. Raises BadInput for an unknown user or role, Refused when the
    department would be left without an admin."""
    department = locked(department)
    require(by=by, department=department, role=Role.ADMIN)
    user = get_user_model().objects.filter(username=username, is_active=True).first()
    if user is None:
        raise BadInput({"username": [f"There is no active user {username!r}."]})
    if role not in Role.values:
        raise BadInput({"role": [f"{role!r} is no role; choose {', '.join(Role.values)}."]})
    existing = department.memberships.filter(user=user).first()
    before = existing.role if existing else None
    if before == role:
        return existing
    if before == Role.ADMIN:
        refuse_without_admin(department, leaving=user)
    member, _ = department.memberships.update_or_create(user=user, defaults={"role": role})
    told = {"user": user.get_username()}
    record(
        by=by,
        action="membership.set",
        obj=department,
        before={**told, "role": before} if before else None,
        after={**told, "role": role},
    )
    return member


@transaction.atomic
def membership_remove(*, department: Department, user_id: int, by) -> None:
    """An admin removes anyone, anyone leaves on his own; the last admin stays."""
    department = locked(department)
    member = department.memberships.select_related("user").filter(user=user_id).first()
    if member is None:
        raise Missing("No such member.")
    if member.user_id != by.pk:
        require(by=by, department=department, role=Role.ADMIN)
    if member.role == Role.ADMIN:
        refuse_without_admin(department, leaving=member.user)
    record(
        by=by,
        action="membership.remove",
        obj=department,
        before={"user": member.user.get_username(), "role": member.role},
    )
    member.delete()


def refuse_without_admin(department: Department, *, leaving) -> None:
    """`department` is locked."""
    if (
        not department.memberships.filter(role=Role.ADMIN, user__is_active=True)
        .exclude(user=leaving)
        .exists()
    ):
        raise Refused(f"{leaving} is the last admin of {department}; make someone else admin first.")
