"""Several workers at the same moment, each with a connection of its own: one wins, the others do no harm."""

import threading
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from migrations_engine import pipeline
from migrations_engine.domain.states import STEPS, RunState, StepName, StepState
from migrations_engine.models import MigrationRun, StepRun
from migrations_engine.services import claims, runs
from tests.migrations_engine.estate import make_estate

RIVALS = 6
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def estate(transactional_db, world):
    return make_estate()


def at_once(call, rivals=RIVALS):
    """What each of the rivals got, or the exception that it met."""
    barrier, got = threading.Barrier(rivals), []

    def rival():
        barrier.wait()
        try:
            got.append(call())
        except Exception as error:
            got.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=rival) for _ in range(rivals)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return got


def test_one_of_many_workers_claims_the_step(estate):
    run = runs.run_create(**estate.launch())
    got = at_once(lambda: claims.take(run_id=run.pk, name=StepName.ANALYZE))
    assert [claim is not None for claim in got].count(True) == 1
    assert run.steps.get(name=StepName.ANALYZE).attempt == 1


def test_one_of_many_workers_takes_over_a_dead_ones_step(estate):
    run = runs.run_create(**estate.launch())
    claims.take(run_id=run.pk, name=StepName.ANALYZE)
    StepRun.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    got = at_once(lambda: claims.take(run_id=run.pk, name=StepName.ANALYZE))
    assert [claim is not None for claim in got].count(True) == 1
    assert run.steps.get(name=StepName.ANALYZE).attempt == 2


def test_one_of_many_sweepers_sends_the_run(estate, monkeypatch):
    run = runs.run_create(**estate.launch())
    sent = []
    monkeypatch.setattr(pipeline, "start", sent.append)
    assert at_once(pipeline.sweep) == [None] * RIVALS
    assert sent == [run.pk]


def test_cancel_and_claim_at_once_leave_no_step_behind(estate):
    run = runs.run_create(**estate.launch())
    cancel = [lambda: runs.run_cancel(run=run, by=estate.operator)]
    calls = cancel + [lambda: claims.take(run_id=run.pk, name=StepName.ANALYZE)] * 3

    def next_call():
        return calls.pop()()

    got = at_once(next_call, rivals=len(calls))
    assert not [each for each in got if isinstance(each, Exception)]
    run.refresh_from_db()
    assert run.state == RunState.CANCELLING
    claimed = [each for each in got if isinstance(each, claims.Claim)]
    for claim in claimed:  # it was first: then it hears of the cancel at its next breath
        with pytest.raises(claims.Cancelled):
            claims.renew(claim)
    running = run.steps.filter(state=StepState.RUNNING).count()
    assert running == len(claimed) <= 1


def test_cancel_and_hand_on_at_once_leave_no_step_behind(estate):
    run = runs.run_create(**estate.launch())
    claim = claims.take(run_id=run.pk, name=StepName.ANALYZE)
    calls = [lambda: runs.run_cancel(run=run, by=estate.operator), lambda: claims.hand_on(claim, {})]
    got = at_once(lambda: calls.pop()(), rivals=2)
    assert not [each for each in got if isinstance(each, Exception)]
    assert run.steps.get(name=StepName.ANALYZE).state == StepState.SUCCEEDED
    claimed = [each for each in got if isinstance(each, claims.Claim)]
    for following in claimed:  # it was first: then it hears of the cancel at its next breath
        with pytest.raises(claims.Cancelled):
            claims.renew(following)
    assert run.steps.filter(state=StepState.RUNNING).count() == len(claimed)


def test_hand_on_waits_for_a_cancel_that_has_begun(estate):
    """Where the database locks rows; SQLite lets one writer in at a time anyway."""
    run = runs.run_create(**estate.launch())
    claim = claims.take(run_id=run.pk, name=StepName.ANALYZE)
    got, has_begun = [], threading.Event()

    def hands_on():
        has_begun.wait()
        try:
            got.append(claims.hand_on(claim, {}))
        finally:
            connection.close()

    rival = threading.Thread(target=hands_on)
    rival.start()
    with transaction.atomic():
        runs.run_cancel(run=run, by=estate.operator)
        has_begun.set()
        rival.join(0.5)
        assert rival.is_alive()
    rival.join()
    assert got == [None]
    assert run.steps.get(name=StepName.MERGE).state == StepState.WAITING


def test_same_key_at_once_starts_one_run(estate):
    got = at_once(lambda: runs.run_create(**estate.launch(idempotency_key="k1")).pk, rivals=4)
    assert MigrationRun.objects.count() == 1
    assert set(got) == {MigrationRun.objects.get().pk}


def test_whole_run_by_many_workers_at_once_does_each_thing_once(estate, world):
    run = runs.run_create(**estate.launch())

    def worker():
        from migrations_engine import runner

        for name in STEPS:
            while not StepRun.objects.filter(run=run, name=name, state=StepState.SUCCEEDED).exists():
                runner.execute(run_id=run.pk, name=name)

    assert at_once(worker, rivals=3) == [None] * 3
    run.refresh_from_db()
    assert run.state == RunState.SUCCEEDED
    verbs = [call[0] for call in world.calls]
    assert {verb: verbs.count(verb) for verb in ("copy", "grow", "seal", "create")} == dict.fromkeys(
        ("copy", "grow", "seal", "create"), 1
    )
    assert [step.attempt for step in run.steps.all()] == [1] * 4
