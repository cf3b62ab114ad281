"""A run whose guest gets its agent in the copy: the plan says so, and the copy is prepared with what the plan says."""

import pytest

from migrations_engine import pipeline
from migrations_engine.domain.access import Access
from migrations_engine.domain.states import RunState
from migrations_engine.services.plan import plan_make
from tests.migrations_engine.estate import facts

PACKAGES = ("qemu-guest-agent=1:7.2-1", "liburing2=2.3-3")


@pytest.fixture
def agentless(estate, world):
    estate.scan.facts = facts(has_guest_agent=False).model_dump(mode="json")
    estate.scan.save()
    world.access = Access("offline", PACKAGES)
    return estate


def test_what_is_installed_stands_in_the_plan_and_its_hash(agentless, world):
    plan = plan_make(**agentless.launch())
    (row,) = [row for row in plan.document["changes"] if row["setting"] == "guest.agent"]
    assert (row["current"], row["planned"]) == ("none", "qemu-guest-agent 1:7.2-1, liburing2 2.3-3")
    assert plan.blockers == []
    world.access = Access("offline", PACKAGES[:1])
    assert plan_make(**agentless.launch()).sha256 != plan.sha256


def test_guest_is_asked_to_enforce_what_its_agent_will_set(agentless):
    launch = agentless.launch(overrides={"network": {"bandwidth_mbps": 100}})
    rows = {row["setting"]: row["by"] for row in plan_make(**launch).document["enforcement"]}
    assert rows["network.bandwidth_mbps"] == "guest"


def test_copy_is_prepared_with_the_packages_of_the_plan(agentless, run_all, world):
    run = run_all(pipeline.run_start, **agentless.launch())
    assert run.state == RunState.SUCCEEDED
    assert world.brought == PACKAGES
