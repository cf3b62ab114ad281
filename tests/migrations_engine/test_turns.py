"""Runs outside of waves: the queue of the workers is short, and departments take turns in it."""

from datetime import timedelta

import pytest
from django.utils import timezone

from migrations_engine import pipeline
from migrations_engine.domain.states import RunState, StepName, StepState
from migrations_engine.models import MigrationRun, StepRun
from migrations_engine.services import claims
from tests.migrations_engine.estate import make_estate

MANY, ROOM = 500, 4


@pytest.fixture
def sent(monkeypatch, settings):
    settings.RUNS_WAITING = ROOM
    ids = []
    monkeypatch.setattr(pipeline, "start", ids.append)
    return ids


def queued(estate, count: int) -> list:
    """So many runs that wait for their turn, the oldest first."""
    first = pipeline.run_start(**estate.launch())
    columns = {
        f.attname: getattr(first, f.attname) for f in MigrationRun._meta.concrete_fields if f.attname != "id"
    }
    columns |= {"plan": {}}
    more = MigrationRun.objects.bulk_create([MigrationRun(**columns) for _ in range(count - 1)])
    return [first.pk, *(run.pk for run in more)]


def end(*ids) -> None:
    MigrationRun.objects.filter(pk__in=ids).update(state=RunState.SUCCEEDED)


def test_department_with_one_run_does_not_wait_for_another_with_many(estate, sent):
    many = set(queued(estate, MANY))
    pipeline.in_turn()
    assert len(sent) == ROOM
    (one,) = queued(make_estate(), 1)
    pipeline.in_turn()
    assert len(sent) == ROOM  # there is no room yet
    end(sent[0])
    pipeline.in_turn()
    assert sent[ROOM:] == [one]
    end(one, *sent[1:ROOM])
    pipeline.in_turn()
    assert set(sent[ROOM + 1 :]) <= many
    assert len(sent) == 2 * ROOM + 1


def test_departments_take_turns(estate, sent):
    for each in (estate, make_estate(), make_estate()):
        queued(each, 5)
    pipeline.in_turn()
    for done in range(8):
        end(sent[done])
        pipeline.in_turn()
    order = [MigrationRun.objects.get(pk=pk).department_id for pk in sent]
    assert [len(set(order[at : at + 3])) for at in range(0, 9, 3)] == [3, 3, 3]


def test_run_that_a_worker_has_in_hand_makes_room(estate, sent):
    ids = queued(estate, ROOM + 2)
    pipeline.in_turn()
    assert claims.take(run_id=ids[0], name=StepName.ANALYZE)
    pipeline.in_turn()
    assert sent == ids[: ROOM + 1]


def test_dead_workers_run_counts_as_waiting(estate, sent):
    ids = queued(estate, ROOM + 1)
    pipeline.in_turn()
    claims.take(run_id=ids[0], name=StepName.ANALYZE)
    StepRun.objects.filter(state=StepState.RUNNING).update(lease_until=timezone.now() - timedelta(seconds=1))
    pipeline.in_turn()
    assert sent == ids[:ROOM]


def test_end_of_a_step_sends_the_next_run(estate, settings, run_all):
    """Two runs, room for one: both are done without the clock."""
    settings.RUNS_WAITING = 1
    other = make_estate()
    waiting = pipeline.run_start(**other.launch())
    run_all(pipeline.run_start, **estate.launch())
    assert set(MigrationRun.objects.values_list("state", flat=True)) == {RunState.SUCCEEDED}
    assert MigrationRun.objects.get(pk=waiting.pk).dispatched_at


def test_retry_waits_for_its_turn_again(estate, world, run_all, sent):
    run = pipeline.run_start(**estate.launch())
    MigrationRun.objects.filter(pk=run.pk).update(state=RunState.FAILED, dispatched_at=timezone.now())
    run.steps.filter(name=StepName.ANALYZE).update(state=StepState.FAILED)
    run = run_all(pipeline.run_retry, run=run, by=estate.operator)
    assert sent == [run.pk]
    assert run.dispatched_at
