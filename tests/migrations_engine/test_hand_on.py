"""A worker that has ended a short step goes on with the next one itself, and the chain loses that step's message."""

from types import SimpleNamespace

import pytest

from migrations_engine import pipeline, runner, tasks
from migrations_engine.domain.states import RunState, StepName, StepState
from migrations_engine.services import claims
from migrations_engine.services.cleanup import conclude_cancel

LONG_S = 600
ANALYZE, MERGE = StepName.ANALYZE, StepName.MERGE


@pytest.fixture
def run(estate):
    return pipeline.run_start(**estate.launch())


def states(run):
    return [step.state for step in run.steps.order_by("order")]


def attempts(run):
    return [step.attempt for step in run.steps.order_by("order")]


def asked_after(run, rest: list) -> list:
    """What is left of the chain's messages when the task of `analyze` has ended."""
    task = SimpleNamespace(request=SimpleNamespace(chain=rest))
    tasks.work(task, str(run.pk), ANALYZE)
    return task.request.chain


def test_one_worker_goes_through_all_steps(run):
    assert runner.execute(run_id=run.pk, name=ANALYZE, hand_on_s=LONG_S) == 3
    run.refresh_from_db()
    assert (run.state, run.root_cause) == (RunState.SUCCEEDED, "")
    assert states(run) == [StepState.SUCCEEDED] * 4
    assert attempts(run) == [1] * 4
    told = list(run.events.values_list("text", flat=True))
    assert [each for each in told if each.endswith(" succeeded.")] == [
        f"{name} succeeded." for name in StepName
    ]


def test_each_step_is_given_what_the_earlier_ones_found(run):
    runner.execute(run_id=run.pk, name=ANALYZE, hand_on_s=LONG_S)
    results = {step.name: step.result for step in run.steps.all()}
    assert results[ANALYZE]["source_sha256"]
    assert all(results[name] for name in (ANALYZE, MERGE, StepName.MIGRATE))


def test_message_follows_a_step_that_took_long(run):
    assert runner.execute(run_id=run.pk, name=ANALYZE, hand_on_s=0) == 0
    assert states(run) == [StepState.SUCCEEDED] + [StepState.WAITING] * 3


def test_chain_keeps_the_messages_of_what_is_left_only(run, monkeypatch):
    messages = ["post_script", "migrate", "merge"]  # as Celery keeps them: the next one last
    monkeypatch.setattr(tasks, "HAND_ON_S", 0)
    assert asked_after(run, [*messages]) == messages
    monkeypatch.setattr(runner, "execute", lambda **_: 1)
    assert asked_after(run, [*messages]) == ["post_script", "migrate"]
    monkeypatch.setattr(runner, "execute", lambda **_: 3)
    assert asked_after(run, [*messages]) == []


def test_task_without_a_chain_works_too(run):
    assert asked_after(run, None) is None
    run.refresh_from_db()
    assert run.state == RunState.SUCCEEDED


def test_step_that_fails_in_the_same_worker_fails_the_run(run, world, monkeypatch):
    def fails(work):
        raise runner.StepFailed("No.")

    step = runner.HANDLERS[MERGE]
    monkeypatch.setitem(runner.HANDLERS, MERGE, runner.Step(MERGE, step.needs, step.gives, fails))
    assert runner.execute(run_id=run.pk, name=ANALYZE, hand_on_s=LONG_S) == 1
    run.refresh_from_db()
    assert (run.state, run.root_cause) == (RunState.FAILED, "No.")
    assert states(run) == [StepState.SUCCEEDED, StepState.FAILED, StepState.WAITING, StepState.WAITING]


def test_cancelled_run_is_not_gone_on_with(estate, run):
    claim = claims.take(run_id=run.pk, name=ANALYZE)
    pipeline.run_cancel(run=run, by=estate.operator)
    assert claims.hand_on(claim, {}) is None
    assert states(run) == [StepState.SUCCEEDED] + [StepState.WAITING] * 3
    assert conclude_cancel(run_id=run.pk)


def test_worker_that_lost_its_claim_takes_no_further_step(run):
    claim = claims.take(run_id=run.pk, name=ANALYZE)
    run.steps.filter(name=ANALYZE).update(fence=None)
    with pytest.raises(claims.LostClaim):
        claims.hand_on(claim, {})
    assert states(run) == [StepState.RUNNING] + [StepState.WAITING] * 3


def test_step_taken_on_has_a_fence_and_a_lease_of_its_own(run):
    claim = claims.take(run_id=run.pk, name=ANALYZE)
    following = claims.hand_on(claim, {"found": 1})
    step = run.steps.get(name=MERGE)
    assert (step.fence, step.state, step.attempt) == (following.token, StepState.RUNNING, following.attempt)
    assert following.token != claim.token
    assert step.lease_until is not None
    assert following.result(ANALYZE) == {"found": 1}
    assert claims.take(run_id=run.pk, name=MERGE) is None
    claims.renew(following)
