"""Secrets of a department: written by its admins, read by its runs only."""

from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.utils import timezone

from personas.errors import BadInput, Refused
from personas.models import Department, Secret
from personas.services.rows import row_create, row_update
from personas.services.secret_box import seal, unseal

SHORTEST, LONGEST = (
    8,
    16 * 1024,
)  # a shorter one could not be told from ordinary words when output is redacted


def secret_create(*, by, department: Department | None = None, value: str, **fields: Any) -> Secret:
    _check(value)
    row = Secret(department=department, ciphertext=seal(value), value_changed_at=timezone.now(), **fields)
    return row_create(row=row, by=by)


@transaction.atomic
def secret_update(
    *, secret: Secret, by, expected: str | None = None, value: str = "", **fields: Any
) -> Secret:
    """Without a `value` the one that there is stays."""
    if value:
        _check(value)
        fields |= {"ciphertext": seal(value), "value_changed_at": timezone.now()}
    return row_update(row=secret, by=by, values=fields, expected=expected)


def secret_values(*, department: Department, slugs: Iterable[str]) -> dict[str, str]:
    """{slug: value}, for a run of the department. Raises Refused for one that is not there or can't be opened."""
    wanted = set(slugs)
    rows = {row.slug: row for row in Secret.objects.filter(department=department, slug__in=wanted)}
    if missing := sorted(wanted - set(rows)):
        raise Refused(f"{department} has no secret {', '.join(missing)}.")
    return {slug: unseal(row.ciphertext) for slug, row in rows.items()}


def secret_values_known(*, department: Department) -> list[str]:
    """Every value that the department has, to be taken out of what leaves the house."""
    found = []
    for row in Secret.objects.filter(department=department):
        try:
            found.append(unseal(row.ciphertext))
        except Refused:
            continue  # sealed with another key: no run of this instance can have been given it
    return found


def _check(value: str) -> None:
    if not SHORTEST <= len(value) <= LONGEST or "\x00" in value:
        raise BadInput({"value": [f"Between {SHORTEST} and {LONGEST} characters, without NUL."]})
