"""Figures of a track record, and the rows that they are drawn from."""

import uuid

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from personas.domain.track_record import ENOUGH, Run, track_record, wilson
from personas.models import RunOutcome
from personas.services.track_record import outcomes_write, record_of
from tests.factories import make_department, make_persona

OK, FAILED, STOPPED = Run(True, True, duration_s=10), Run(False, True), Run(False, False, rolled_back=True)


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(8, 10, 0.4902, 0.9433), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (50, 100, 0.4038, 0.5962)],
)
def test_wilson_agrees_with_the_published_tables(successes, n, low, high):
    assert wilson(successes, n) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_rate_inside_of_0_and_1(counted):
    successes, n = counted
    low, high = wilson(successes, n)
    assert 0 <= low <= successes / n <= high <= 1


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (3, 2), (-1, 4)])
def test_what_is_no_proportion_is_refused(successes, n):
    with pytest.raises(ValueError, match="no proportion"):
        wilson(successes, n)


def test_there_is_no_rate_under_five_runs():
    told = track_record([OK] * (ENOUGH - 1))
    assert (told.runs, told.success, told.rollbacks, told.median_duration_s) == (4, None, None, None)


def test_each_rate_has_its_own_base():
    runs = [
        *[OK] * 4,
        Run(True, True, resized=True, duration_s=70),
        Run(False, True, script_failed=True),
        STOPPED,
    ]
    told = track_record(runs)
    assert (told.runs, told.finished) == (7, 6)
    assert (told.success.count, told.success.n) == (5, 6)
    assert (told.script_failures.count, told.script_failures.n) == (1, 6)
    assert (told.rollbacks.count, told.rollbacks.n) == (1, 7)
    assert (told.resizes.count, told.resizes.n) == (1, 5)
    assert told.median_duration_s == 10


def write(persona, outcome="succeeded", *, run_id=None, machine_id=None, **columns):
    outcomes_write(
        run_id=run_id or uuid.uuid4(),
        machine_id=machine_id or uuid.uuid4(),
        department=persona.department,
        personas=[{"id": str(persona.pk), "origin": "r1"}],
        outcome=outcome,
        ended_at=timezone.now(),
        **columns,
    )


@pytest.fixture
def persona(db):
    return make_persona(department=make_department())


def test_a_retry_that_succeeds_replaces_its_failure(persona):
    run_id = uuid.uuid4()
    write(persona, "failed", run_id=run_id)
    write(persona, "succeeded", run_id=run_id)
    assert [(row.outcome, row.origin) for row in RunOutcome.objects.all()] == [("succeeded", "r1")]


def test_a_machine_that_is_moved_again_in_another_size_was_resized(persona):
    machine = uuid.uuid4()
    write(persona, machine_id=machine, vcpus=2, memory_mib=2048)
    write(persona, machine_id=machine, vcpus=2, memory_mib=2048)
    assert not RunOutcome.objects.filter(resized=True).exists()
    write(persona, machine_id=machine, vcpus=4, memory_mib=2048)
    assert RunOutcome.objects.filter(resized=True, vcpus=2).count() == 2
    assert not RunOutcome.objects.filter(resized=True, vcpus=4).exists()


def test_a_persona_that_is_gone_leaves_no_row(persona):
    pk = persona.pk
    persona.delete()
    persona.pk = pk
    write(persona)
    assert not RunOutcome.objects.exists()


def test_the_record_is_drawn_from_the_rows(persona):
    for _ in range(4):
        write(persona, duration_s=30.0)
    write(persona, "failed", script_failed=True)
    write(persona, "cancelled", rolled_back=True)
    told = record_of(RunOutcome.objects.all())
    assert (told.runs, told.success.count, told.success.n, told.rollbacks.count) == (6, 4, 5, 1)
