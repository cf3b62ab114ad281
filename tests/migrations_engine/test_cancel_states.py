"""A cancel in every state that a run can be in: it ends the run, or says why not; it never does harm."""

import pytest

from migrations_engine import pipeline
from migrations_engine.domain.states import RUN_TRANSITIONS, RunState
from migrations_engine.models import MigrationRun
from migrations_engine.services.runs import CANCELLABLE
from personas.errors import Refused
from personas.models import AuditEntry

THE_SAME_AGAIN = (RunState.CANCELLING, RunState.CANCELLED)
REFUSED = [state for state in RunState if state not in (*CANCELLABLE, *THE_SAME_AGAIN)]


@pytest.fixture
def run_in(estate):
    def make(state: RunState) -> MigrationRun:
        run = pipeline.run_start(**estate.launch())
        MigrationRun.objects.filter(pk=run.pk).update(state=state)
        run.refresh_from_db()
        return run

    return make


def audited(run) -> int:
    return AuditEntry.objects.filter(object_id=str(run.pk), action="migration.cancel").count()


def test_what_can_be_cancelled_is_what_the_table_of_states_says():
    assert set(CANCELLABLE) == {one for one, other in RUN_TRANSITIONS if other == RunState.CANCELLING}


@pytest.mark.parametrize("state", CANCELLABLE)
def test_run_that_has_not_succeeded_ends_cancelled(estate, run_in, state, run_all, world):
    run = run_in(state)
    world.machines[str(run.pk)] = object()  # what it has made
    run = run_all(pipeline.run_cancel, run=run, by=estate.operator)
    assert (run.state, world.machines, audited(run)) == (RunState.CANCELLED, {}, 1)
    assert {step.state for step in run.steps.all()} == {"cancelled"}


@pytest.mark.parametrize("state", THE_SAME_AGAIN)
def test_asked_twice_it_is_the_same_answer(estate, run_in, state):
    run = run_in(state)
    assert pipeline.run_cancel(run=run, by=estate.operator).state == state
    assert audited(run) == 0


@pytest.mark.parametrize("state", REFUSED)
def test_run_whose_machine_is_up_or_gone_is_left_as_it_is(estate, run_in, state, world):
    run = run_in(state)
    world.machines[str(run.pk)] = "its machine"
    with pytest.raises(Refused):
        pipeline.run_cancel(run=run, by=estate.operator)
    run.refresh_from_db()
    assert (run.state, list(world.machines), audited(run)) == (state, [str(run.pk)], 0)
