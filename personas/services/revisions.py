"""Revisions of what has a document (`document()` and `revisions`): personas here, templates above."""

from django.db import models

from personas.domain.canonical import sha256_of
from personas.models.settings_columns import SettingsColumns
from personas.services.rows import protecting


def revision_ensure(*, row, by):
    """The newest revision of the row's document, written if the document has changed. Call it inside the transaction of
    the write, with the row locked: that is what keeps the numbers apart."""
    document = row.document()
    digest = sha256_of(document)
    newest = row.revisions.order_by("-number").first()
    if newest is not None and newest.sha256 == digest:
        return newest
    number = newest.number + 1 if newest else 1
    return row.revisions.create(number=number, document=document, sha256=digest, created_by=by)


def revisions_follow(*, part: models.Model, by) -> None:
    """A profile, a driver set or a script has changed: so have the documents of all who use it."""
    for relation in protecting(type(part)):
        if issubclass(relation.related_model, SettingsColumns):
            users = relation.related_model._base_manager.filter(**{relation.field.name: part})
            for user in users.select_for_update():
                revision_ensure(row=user, by=by)


def beside_the_older(rows: list) -> list[tuple]:
    """(revision, the one before it or None) of revisions, the newest first."""
    return list(zip(rows, [*rows[1:], None], strict=False))  # without rows, the None stands alone


def difference(before: dict, after: dict) -> list[dict]:
    """[{"path", "before", "after"}] of the settings that differ between two documents, by path; None where not said."""
    old, new = flat(before), flat(after)
    return [
        {"path": path, "before": old.get(path), "after": new.get(path)}
        for path in sorted({*old, *new})
        if (path in old) != (path in new) or old.get(path) != new.get(path)
    ]


def flat(document: dict, prefix: str = "") -> dict:
    """{"resources.vcpus": 4, ...}: the leaves of a document by dotted path."""
    leaves: dict = {}
    for key, value in document.items():
        if isinstance(value, dict):
            leaves.update(flat(value, f"{prefix}{key}."))
        else:
            leaves[f"{prefix}{key}"] = value
    return leaves
