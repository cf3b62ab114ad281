"""A run of a persona that was bought: refused with the reason, counted, given back, and kept in the track record."""

import pytest

from migrations_engine.models import MigrationRun
from migrations_engine.pipeline import run_cancel, run_retry, run_start
from migrations_engine.services.plan import plan_make
from migrations_engine.services.runs import Blocked
from migrations_engine.targets.base import TargetError
from personas.errors import Refused
from personas.models import Persona, RunAllowance, RunOutcome
from personas.services.allowances import NotAllowedToRun, allowance_ensure
from tests import factories
from tests.personas.test_api import client_of

pytestmark = pytest.mark.django_db


def no_room():
    raise TargetError("no room left")


def left():
    return RunAllowance.objects.get().runs_left


def test_what_was_refunded_blocks_the_plan_and_the_launch_with_its_reason(estate):
    allowance_ensure(persona=estate.persona, refusal="The order was refunded on 2026-11-23.")
    concern = plan_make(**estate.launch()).blockers[0]
    assert concern["id"] == "persona.blocked"
    assert "The order was refunded" in concern["text"]
    with pytest.raises(Blocked, match="refunded"):
        run_start(**estate.launch())


def test_a_run_takes_one_and_leaves_an_outcome(estate, run_all):
    Persona.objects.filter(pk=estate.persona.pk).update(origin="release-1")
    estate.persona.refresh_from_db()
    allowance_ensure(persona=estate.persona, runs_left=1)
    run = run_all(run_start, **estate.launch())
    assert (run.state, left()) == ("succeeded", 0)
    outcome = RunOutcome.objects.get(run_id=run.pk)
    assert (outcome.outcome, outcome.origin, outcome.rolled_back) == ("succeeded", "release-1", False)
    assert outcome.vcpus == run.plan["machine"]["vcpus"]
    assert outcome.duration_s >= 0
    with pytest.raises(Blocked, match="No run"):
        run_start(**estate.launch())


def test_a_failed_run_takes_nothing_and_a_retry_takes_it_again(estate, run_all, world):
    allowance_ensure(persona=estate.persona, runs_left=1)
    world.on["create"] = no_room
    run = run_all(run_start, **estate.launch())
    assert (run.state, left()) == ("failed", 1)
    assert RunOutcome.objects.get(run_id=run.pk).outcome == "failed"
    world.on.clear()
    RunAllowance.objects.update(refusal="The order was refunded.")
    with pytest.raises(NotAllowedToRun, match="refunded"):
        run_retry(run=run, by=estate.operator)
    RunAllowance.objects.update(refusal="")
    run = run_all(run_retry, run=run, by=estate.operator)
    assert (run.state, left()) == ("succeeded", 0)
    assert RunOutcome.objects.get(run_id=run.pk).outcome == "succeeded"


def test_a_failure_that_is_given_up_was_rolled_back(estate, run_all, world):
    allowance_ensure(persona=estate.persona, runs_left=1)
    world.on["create"] = no_room
    run = run_all(run_start, **estate.launch())
    run = run_all(run_cancel, run=run, by=estate.operator)
    assert (run.state, left()) == ("cancelled", 1)
    assert RunOutcome.objects.get(run_id=run.pk).rolled_back


def test_what_is_blocked_or_gone_since_is_not_tried_again(estate, run_all, world):
    world.on["create"] = no_room
    also = factories.make_persona("Monitoring", department=estate.department)
    run = run_all(run_start, **estate.launch(personas=[also, estate.persona]))
    world.on.clear()
    also.notices.create(source="marketplace.takedown", blocks=True, text="It has been taken down: a back door")
    client = client_of(estate.operator)
    answer = client.post(f"/api/v1/migrations/{run.pk}/retry/")
    assert answer.status_code == 409 and "Monitoring: It has been taken down: a back door" in answer.json()["detail"]
    also.notices.update(blocks=False)
    also.delete()
    with pytest.raises(Refused, match="Monitoring is gone"):
        run_retry(run=run, by=estate.operator)
    assert MigrationRun.objects.get().state == "failed"
