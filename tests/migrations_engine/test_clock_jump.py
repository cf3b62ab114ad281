"""The clock of a machine is set: an hour forward, an hour back. It costs time, never a run and never a second copy."""

from datetime import timedelta

import pytest
from django.utils import timezone

from migrations_engine import pipeline, runner
from migrations_engine.domain.states import STEPS, RunState, StepName, StepState
from migrations_engine.services import claims

HOUR = timedelta(hours=1)


@pytest.fixture
def clock(monkeypatch):
    """`clock(HOUR)` sets it that much forward."""
    true = timezone.now

    def set_by(shift: timedelta) -> None:
        monkeypatch.setattr(timezone, "now", lambda: true() + shift)

    return set_by


@pytest.fixture
def run(estate):
    return pipeline.run_start(**estate.launch())


@pytest.fixture
def sent(monkeypatch):
    ids = []
    monkeypatch.setattr(pipeline, "start", ids.append)
    return ids


def finish(run):
    for name in STEPS:
        runner.execute(run_id=run.pk, name=name)
    run.refresh_from_db()
    return run


def test_forward_in_the_middle_of_a_step_another_worker_may_take_over_and_the_first_one_is_fenced(run, clock, sent):
    first = claims.take(run_id=run.pk, name=StepName.ANALYZE)
    clock(HOUR)
    pipeline.sweep()
    assert sent == [run.pk]
    second = claims.take(run_id=run.pk, name=StepName.ANALYZE)
    with pytest.raises(claims.LostClaim):
        claims.renew(first)
    claims.renew(second)


def test_forward_a_living_worker_that_renews_first_keeps_its_step(run, clock, sent):
    claim = claims.take(run_id=run.pk, name=StepName.ANALYZE)
    clock(HOUR)
    claims.renew(claim)
    pipeline.sweep()
    assert sent == []
    assert claims.take(run_id=run.pk, name=StepName.ANALYZE) is None


def test_back_a_dead_workers_step_does_not_wait_for_the_hour_to_pass(run, clock, sent):
    clock(HOUR)
    assert claims.take(run_id=run.pk, name=StepName.ANALYZE)  # and dies
    clock(timedelta(0))
    pipeline.sweep()
    assert sent == [run.pk]
    assert finish(run).state == RunState.SUCCEEDED


def test_back_a_message_that_was_lost_is_sent_again_at_once(run, clock, monkeypatch):
    clock(HOUR)
    monkeypatch.setattr(pipeline, "_send", lambda signature: None)
    pipeline.start(run.pk)
    clock(timedelta(0))
    sent = []
    monkeypatch.setattr(pipeline, "start", sent.append)
    pipeline.sweep()
    assert sent == [run.pk]


def test_back_a_living_workers_lease_is_right_again_at_its_next_breath(run, clock, sent):
    clock(HOUR)
    claim = claims.take(run_id=run.pk, name=StepName.ANALYZE)
    clock(timedelta(0))
    claims.renew(claim)
    pipeline.sweep()
    assert sent == []


def test_back_a_cancelled_run_of_a_dead_worker_is_concluded(run, estate, clock):
    clock(HOUR)
    assert claims.take(run_id=run.pk, name=StepName.ANALYZE)
    clock(timedelta(0))
    pipeline.run_cancel(run=run, by=estate.operator)
    pipeline.sweep()
    run.refresh_from_db()
    assert run.state == RunState.CANCELLED
    assert {step.state for step in run.steps.all()} == {StepState.CANCELLED}
