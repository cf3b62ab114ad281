"""What follows from the end of a run; said inside the transaction that ends it."""

import uuid

from analyzer.models import Recommendation
from analyzer.models.recommendation import RecommendationState
from migrations_engine.domain.states import RunState
from migrations_engine.models import MigrationRun
from personas.services.audit import record

TELLING = {RunState.SUCCEEDED: RecommendationState.SUCCEEDED, RunState.FAILED: RecommendationState.FAILED}
OPEN = (RecommendationState.CLAIMED, RecommendationState.FAILED)  # a retry may turn a failure into a success


def run_ended(run_id: uuid.UUID) -> None:
    """The audit row, and the outcome of the suggestion that this run followed."""
    run = MigrationRun.objects.select_related("vm", "department").get(pk=run_id)
    record(by=None, action=f"migration.{run.state}", obj=run, after={"state": run.state, "root_cause": run.root_cause})
    if run.state in TELLING and run.persona_id:
        followed = Recommendation.objects.filter(vm=run.vm, persona_id=run.persona_id, state__in=OPEN)
        followed.update(state=TELLING[RunState(run.state)])
