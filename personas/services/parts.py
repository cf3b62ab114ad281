"""The reusable parts of a persona: driver sets, resource profiles, network profiles. All three are written alike."""

from typing import Any, TypeVar

from django.db import transaction

from personas.models import DriverSet, NetworkProfile, ResourceProfile
from personas.services.revisions import revisions_follow
from personas.services.rows import clone_of, row_create, row_update

P = TypeVar("P", DriverSet, ResourceProfile, NetworkProfile)


def part_create(*, model: type[P], by, department=None, **fields: Any) -> P:
    return row_create(row=model(department=department, **fields), by=by)


@transaction.atomic
def part_update(*, part: P, by, expected: str | None = None, **fields: Any) -> P:
    """The personas and templates that use it get a new revision where their document changes."""
    part = row_update(row=part, by=by, values=fields, expected=expected)
    revisions_follow(part=part, by=by)
    return part


def part_clone(*, part: P, by, department=None, name: str = "") -> P:
    return row_create(row=clone_of(part, department=department, name=name), by=by)
