"""People who log in. What they may do where is a matter of their memberships (departments.py)."""

from django.contrib.auth.models import User
from django.db import transaction

from personas.errors import NotAllowed
from personas.models import Role
from personas.services.audit import record
from personas.services.departments import membership_remove, refuse_without_admin
from personas.services.rows import checked_save, locked, record_change, refuse_in_use, snapshot


def require_superuser(by) -> None:
    if not by.is_superuser:
        raise NotAllowed("Only a superuser makes, changes and removes users.")


@transaction.atomic
def user_create(*, user: User, by) -> None:
    """`user` is not saved yet. The first superuser makes himself."""
    require_superuser(by)
    checked_save(user)
    record(by=by, action="user.create", obj=user, after=snapshot(user))


@transaction.atomic
def user_update(*, user: User, by) -> None:
    """Saves `user` as it is now. Raises Refused when it is switched off and a department would be left without an
    admin."""
    require_superuser(by)
    before = locked(user)
    if before.is_active and not user.is_active:
        for member in _administering(user):
            refuse_without_admin(locked(member.department), leaving=user)
    checked_save(user)
    record_change(row=user, by=by, action="user.update", before=snapshot(before))


@transaction.atomic
def user_password_set(*, user: User, by) -> None:
    """`user` carries the new password, hashed; everybody may change his own."""
    if user != by:
        require_superuser(by)
    user.save(update_fields=["password"])
    record(by=by, action="user.password", obj=user, after={"usable": user.has_usable_password()})


@transaction.atomic
def user_delete(*, user: User, by) -> None:
    """With the memberships. Raises Refused when a department would be left without an admin, InUse when runs or orders
    tell of the user: who has left is switched off."""
    require_superuser(by)
    fresh = locked(user)
    refuse_in_use(fresh, by=by)
    for member in fresh.memberships.select_related("department"):
        membership_remove(department=member.department, user_id=fresh.pk, by=by)
    record(by=by, action="user.delete", obj=fresh, before=snapshot(fresh))
    fresh.delete()


def _administering(user: User):
    return user.memberships.filter(role=Role.ADMIN).select_related("department")
