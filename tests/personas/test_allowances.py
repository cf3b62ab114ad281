"""How often a persona may be run: counted once per run, given back where it did not succeed, never overdrawn."""

import threading
import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from personas.models import RunAllowance
from personas.services.allowances import (
    NotAllowedToRun,
    allowance_ensure,
    refusal_of,
    runs_return,
    runs_spend,
)
from personas.services.personas import persona_clone
from tests.factories import make_department, make_member, make_persona

pytestmark = pytest.mark.django_db
MACHINE = uuid.UUID(int=1)


@pytest.fixture
def persona(db):
    return make_persona(department=make_department())


def spend(persona, *, run_id=None, machine_id=MACHINE):
    run_id = run_id or uuid.uuid4()
    runs_spend(personas=[persona], run_id=run_id, machine_id=machine_id, now=timezone.now())
    return run_id


def left(persona):
    return RunAllowance.objects.get(pk=persona.allowance_id).runs_left


def refusal(persona, machine_id=MACHINE):
    return refusal_of(persona=persona, machine_id=machine_id, now=timezone.now())


def test_a_persona_without_an_allowance_runs_freely(persona):
    spend(persona)
    assert refusal(persona) == ""
    assert not RunAllowance.objects.exists()


def test_each_run_takes_one_and_asked_again_takes_none(persona):
    allowance_ensure(persona=persona, runs_left=2)
    run_id = spend(persona)
    spend(persona, run_id=run_id)
    assert left(persona) == 1
    spend(persona)
    assert "No run" in refusal(persona)
    with pytest.raises(NotAllowedToRun, match="No run"):
        spend(persona)
    assert left(persona) == 0


def test_what_did_not_succeed_is_given_back_once_and_taken_again_by_a_retry(persona):
    allowance_ensure(persona=persona, runs_left=1)
    run_id = spend(persona)
    for _ in range(2):
        runs_return(run_id=run_id, now=timezone.now())
    assert left(persona) == 1
    spend(persona, run_id=run_id)
    assert left(persona) == 0
    with pytest.raises(NotAllowedToRun):
        spend(persona)


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"refusal": "The order was refunded."}, "The order was refunded."),
        ({"expires_at": timezone.now() - timedelta(days=1)}, "ended on"),
        ({"runs_left": 0}, "No run"),
        ({"seats": 0}, "machine"),
    ],
)
def test_why_it_is_refused_is_told_before_and_at_the_launch(persona, columns, told):
    allowance_ensure(persona=persona, **columns)
    assert told in refusal(persona)
    with pytest.raises(NotAllowedToRun, match=told):
        spend(persona)


def test_a_seat_is_a_machine_not_a_run(persona):
    allowance_ensure(persona=persona, seats=1)
    spend(persona)
    spend(persona)
    assert refusal(persona) == ""
    other = uuid.UUID(int=2)
    assert "machine" in refusal(persona, other)
    with pytest.raises(NotAllowedToRun, match="machine"):
        spend(persona, machine_id=other)


def test_a_clone_shares_what_was_bought(persona):
    allowance_ensure(persona=persona, runs_left=1)
    admin = make_member(persona.department)
    clone = persona_clone(persona=persona, by=admin, department=persona.department)
    spend(clone)
    assert "No run" in refusal(persona)
    run_id = uuid.uuid4()
    allowance_ensure(persona=persona, runs_left=5)
    runs_spend(personas=[persona, clone], run_id=run_id, machine_id=MACHINE, now=timezone.now())
    assert left(persona) == 4


@pytest.mark.django_db(transaction=True)
def test_of_runs_at_once_only_as_many_pass_as_are_left(persona):
    allowance_ensure(persona=persona, runs_left=3)
    ready, passed, refused = threading.Barrier(8), [], []

    def launch():
        ready.wait()
        try:
            passed.append(spend(persona))
        except NotAllowedToRun:
            refused.append(1)
        finally:
            connection.close()

    threads = [threading.Thread(target=launch) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(passed), len(refused), left(persona)) == (3, 5, 0)
