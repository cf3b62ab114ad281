"""Letting a script from the marketplace run: by its exact text, by somebody other than who published it."""

from django.db import transaction

from personas.errors import BadInput, NotAllowed, Refused
from personas.models import Role, Script, ScriptApproval
from personas.models.script import Origin
from personas.services.access import allows, require
from personas.services.audit import record
from personas.services.rows import locked


def may_approve(*, script: Script, by) -> bool:
    return allows(by=by, department=script.department, role=Role.ADMIN) and script.author_id != by.pk


@transaction.atomic
def script_approve(*, script: Script, sha256: str, by) -> ScriptApproval:
    """`sha256` is of the text that was read; raises BadInput when the script has another one by now."""
    script = locked(script)
    require(by=by, department=script.department, role=Role.ADMIN)
    if script.origin != Origin.MARKETPLACE:
        raise Refused("It was written here and needs no approval.")
    if script.author_id == by.pk:
        raise NotAllowed("You published this script: somebody else of the department approves it.")
    newest = script.latest
    if newest is None or newest.sha256 != sha256:
        raise BadInput({"sha256": ["It is not the script's text as it is now. Read it again."]})
    approval, made = script.approvals.get_or_create(sha256=sha256, defaults={"approved_by": by})
    if made:
        record(by=by, action="script.approve", obj=script, after={"sha256": sha256})
    return approval


def unapproved(scripts: list[dict]) -> list[str]:
    """Names of those among a plan's scripts ({"id", "name", "sha256"}) that must not run now."""
    rows = Script.objects.filter(pk__in=[script["id"] for script in scripts if script.get("id")])
    by_id = {str(row.pk): row for row in rows}
    return [
        script["name"]
        for script in scripts
        if (row := by_id.get(script.get("id"))) is not None and not row.is_approved(script["sha256"])
    ]
