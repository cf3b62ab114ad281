"""Whether a plan would only do again what a run has done: made right after a successful run, a plan changes nothing."""

from typing import Any

from migrations_engine.domain.states import RunState
from migrations_engine.domain.terms import Mode
from migrations_engine.models import MigrationRun
from migrations_engine.services.plan import Plan


def repeated_run(plan: Plan) -> MigrationRun | None:
    """The newest run that went by the very same plan and whose machine is still there."""
    moves = MigrationRun.objects.exclude(mode=Mode.TEST)
    same = moves.filter(vm_id=plan.document["vm"]["id"], plan_sha256=plan.sha256)
    there = same.filter(state=RunState.SUCCEEDED, migrated_vm__removed_at__isnull=True, migrated_vm__isnull=False)
    return there.order_by("-finished_at").first()


def changes_left(plan: Plan, repeated: MigrationRun | None) -> list[dict[str, Any]]:
    """The plan's changes; of a plan that repeats a run nothing changes any more."""
    rows = plan.document["changes"]
    if repeated is None:
        return rows
    return [row | {"current": row["planned"], "changes": False} for row in rows]
