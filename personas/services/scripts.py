"""Post-migration scripts. A new text is a new revision; the former ones stay, for the runs that ran them."""

import hashlib
from typing import Any

from django.db import transaction

from personas.errors import BadInput
from personas.models import Persona, Script, ScriptRevision
from personas.models.script import Interpreter
from personas.services.audit import record
from personas.services.revisions import revisions_follow
from personas.services.rows import clone_of, locked, row_create, row_update


@transaction.atomic
def script_create(
    *,
    by,
    department=None,
    body: str,
    interpreter: str = Interpreter.SH,
    parameters: list[dict[str, Any]] | None = None,
    **fields: Any,
) -> Script:
    script = row_create(row=Script(department=department, **fields), by=by)
    _revise(script=script, body=body, interpreter=interpreter, parameters=parameters or [], by=by)
    return script


@transaction.atomic
def script_update(
    *,
    script: Script,
    by,
    expected: str | None = None,
    body: str | None = None,
    interpreter: str | None = None,
    parameters: list[dict[str, Any]] | None = None,
    **fields: Any,
) -> Script:
    """A body, an interpreter or parameters that differ from the newest revision's become the next revision."""
    script = locked(script, expected=expected)
    script = row_update(row=script, by=by, values=fields)
    newest = script.latest
    _revise(
        script=script,
        body=newest.body if body is None and newest else body or "",
        interpreter=interpreter or (newest.interpreter if newest else Interpreter.SH),
        parameters=newest.parameters if parameters is None and newest else parameters or [],
        by=by,
    )
    revisions_follow(part=script, by=by)
    return script


@transaction.atomic
def script_clone(*, script: Script, by, department=None, name: str = "") -> Script:
    newest = script.latest
    copy = clone_of(script, department=department, name=name)
    copy.origin, copy.author = script.origin, script.author  # a copy is no way around the approval
    clone = row_create(row=copy, by=by)
    if newest:
        _revise(
            script=clone,
            body=newest.body,
            interpreter=newest.interpreter,
            parameters=newest.parameters,
            by=by,
        )
    return clone


def scripts_run_by(persona: Persona) -> list[Script]:
    """The rows that its settings run, each once; the one of its own also where they un-say it."""
    named = {entry["name"] for entry in persona.script_entries}
    rows = list(Script(department=persona.department).same_names().filter(slug__in=named))
    own = persona.post_migration_script
    return [*([own] if own and own not in rows else []), *rows]


def script_digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()


def _revise(*, script: Script, body: str, interpreter: str, parameters: list, by) -> ScriptRevision:
    body = body.replace("\r\n", "\n")  # a browser's form sends CRLF, which no shell runs
    if not body.strip():
        raise BadInput({"body": ["Write the script's text."]})
    newest = script.latest
    revision = ScriptRevision(
        script=script,
        number=newest.number + 1 if newest else 1,
        interpreter=interpreter,
        body=body,
        parameters=parameters,
        sha256=script_digest(body),
        created_by=by,
    )
    revision.full_clean()
    if newest and _said(newest) == _said(revision):
        return newest
    revision.save()
    script.save(update_fields=["updated_at"])  # so that its version changes with its text
    before = {"revision": newest.number} | _said(newest) if newest else None
    told = {"revision": revision.number} | _said(revision)
    record(by=by, action="script.revise", obj=script, before=before, after=told)
    return revision


def _said(revision: ScriptRevision) -> dict[str, Any]:
    told = {"interpreter": revision.interpreter, "sha256": revision.sha256}
    return told | ({"parameters": revision.parameters} if revision.parameters else {})
