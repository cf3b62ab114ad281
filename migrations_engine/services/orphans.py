"""Cleaning up after runs that are over, and what ledger and target say differently of one another."""

import uuid
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from migrations_engine.domain.states import RunState
from migrations_engine.models import CreatedResource, MigrationRun, TargetEndpoint
from migrations_engine.services import ledger, warm
from migrations_engine.services.events import tell
from migrations_engine.services.targets import open_endpoint
from migrations_engine.targets.base import Target, TargetError
from personas.errors import Refused
from personas.models import Role
from personas.services.access import require
from personas.services.audit import record

CLEANABLE = (RunState.CANCELLED, RunState.ROLLED_BACK)
INSTEAD = {
    RunState.FAILED: "It can be tried again as it stands; give it up, and what it made is removed.",
    RunState.SUCCEEDED: "Its machine is in use: remove it on the machine's own page, or roll the run back.",
}


@dataclass(frozen=True)
class CleanedUp:
    """`removed`: what was there, in the target's words. `missing`: rows of the ledger whose thing was gone already."""

    removed: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def words(self) -> str:
        told = [f"Removed: {', '.join(self.removed)}."] if self.removed else []
        told += [f"Gone already: {', '.join(self.missing)}."] if self.missing else []
        return " ".join(told) or "There was nothing left to remove."


def run_clean_up(*, run: MigrationRun, by) -> CleanedUp:
    """Removes exactly what carries the run's key, and closes its rows. Said again: nothing is left to remove. Raises
    Refused for a run that is not over, and where the target can't do it."""
    require(by=by, department=run.department, role=Role.OPERATOR)
    run = MigrationRun.objects.select_related("target", "department").get(pk=run.pk)
    if run.state not in CLEANABLE:
        raise Refused(INSTEAD.get(RunState(run.state), "The run is not over yet."))
    open_rows = [f"{row.kind} {row.reference}" for row in run.resources.filter(state="created")]
    try:
        removed = ledger.remove_all(run)
        warm.warm_release(run_id=run.pk)
    except (TargetError, OSError) as error:
        raise Refused(f"The target could not do it: {error}") from error
    done = CleanedUp(removed, () if removed else tuple(open_rows))
    with transaction.atomic():
        tell(run.pk, f"{by.get_username()} cleaned up. {done.words}")
        after = {"removed": list(done.removed), "missing": list(done.missing)}
        record(by=by, action="migration.clean_up", obj=run, after=after)
    return done


def may_clean_up(run: MigrationRun) -> bool:
    return run.state in CLEANABLE


def orphans(*, target: TargetEndpoint, by) -> dict[str, list[dict[str, Any]]]:
    """{"strangers": things at the target that carry a run's key and no open row of the ledger has, "missing": open rows
    whose thing is not there}: [{"key", "run": id or None, "name", "what"}]. For the target's admins, who see every
    department's; nothing is removed. Raises Refused where the target does not answer."""
    require(by=by, department=target.department, role=Role.ADMIN)
    try:
        there = _run_keys(open_endpoint(target))
    except (TargetError, OSError) as error:
        raise Refused(f"The target does not answer: {error}") from error
    rows = CreatedResource.objects.filter(run__target__kind=target.kind).exclude(state="removed")
    known = set(map(str, rows.values_list("run", flat=True)))
    made_here = rows.filter(run__target=target, state="created").select_related("run__vm")
    return {
        "strangers": [_stranger(key) for key in sorted(there - known)],
        "missing": [_missing(row) for row in made_here if str(row.run_id) not in there],
    }


def _run_keys(target: Target) -> set[str]:
    keys = target.keys() if "keys" in target.caps else [ref.key for ref in target.machines()]
    return {key for key in keys if _is_run_key(key)}


def _is_run_key(key: str) -> bool:
    try:
        return str(uuid.UUID(key)) == key
    except ValueError:
        return False


def _stranger(key: str) -> dict[str, Any]:
    run = MigrationRun.objects.filter(pk=key).select_related("vm").first()
    what = f"its run is {run.state.replace('_', ' ')}" if run else "no run of this instance has this key"
    return {"key": key, "run": str(run.pk) if run else None, "name": run.vm.name if run else "", "what": what}


def _missing(row: CreatedResource) -> dict[str, Any]:
    what = f"{row.kind} {row.reference}"
    return {"key": str(row.run_id), "run": str(row.run_id), "name": row.run.vm.name, "what": what}
