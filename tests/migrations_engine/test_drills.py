"""Faults that an admin switches on: told everywhere, met once, and real after a retry (of a shutdown: test_cutover)."""

import pytest

from migrations_engine import pipeline
from migrations_engine.domain.drills import SIMULATED, Fault, mode_of
from migrations_engine.domain.states import RunState
from migrations_engine.domain.terms import Mode, terms_of
from migrations_engine.models import MigrationRun
from migrations_engine.services.receipt import receipt_of
from personas.errors import BadInput, NotAllowed
from personas.models import AuditEntry
from tests import factories

TEST = terms_of({"mode": "test"})


@pytest.fixture
def admin(estate, monkeypatch):
    monkeypatch.setattr("migrations_engine.steps.base.PATIENCE_S", 0)
    estate.persona.post_migration_script = factories.make_script("tune", body="echo tune")
    estate.persona.save()
    return factories.make_member(estate.department, "admin")


@pytest.mark.parametrize("fault", [fault for fault in Fault if mode_of(fault) == Mode.TEST])
def test_fault_fails_the_run_as_the_real_one_would_and_a_retry_is_real(
    estate, admin, world, run_all, client, fault
):
    run = run_all(pipeline.run_start, **estate.launch(by=admin, terms=TEST, drill=fault))
    assert run.state == RunState.FAILED
    assert SIMULATED in run.root_cause
    assert receipt_of(run)["drill"] == fault
    assert AuditEntry.objects.get(action="migration.start").after["drill"] == fault
    client.force_login(admin)
    assert "A drill:" in client.get(f"/migrations/{run.pk}/").content.decode()
    assert client.get(f"/api/v1/migrations/{run.pk}/").json()["drill"] == fault
    run = run_all(pipeline.run_retry, run=run, by=admin)
    assert run.state == RunState.SUCCEEDED, run.root_cause
    assert [row["exit_code"] for row in run.steps.get(name="post_script").result["scripts"]] == [0]


def test_run_without_a_drill_says_nothing_of_one(estate, admin, run_all):
    run = run_all(pipeline.run_start, **estate.launch(by=admin, terms=TEST))
    assert run.state == RunState.SUCCEEDED
    assert "drill" not in receipt_of(run)


def test_drill_is_an_admins(estate, admin):
    with pytest.raises(NotAllowed):
        pipeline.run_start(**estate.launch(terms=TEST, drill="disk_full"))
    assert not MigrationRun.objects.exists()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"drill": "disk_full"}, "test migrations only"),
        ({"drill": "shutdown_refused", "terms": TEST}, "cutovers only"),
        ({"drill": "earthquake", "terms": TEST}, "no drill"),
        ({"drill": "script_fails", "terms": TEST, "personas": []}, "no script"),
    ],
)
def test_drill_that_makes_no_sense_is_refused(estate, admin, change, told):
    with pytest.raises(BadInput, match=told):
        pipeline.run_start(**estate.launch(by=admin, **change))


def test_page_offers_it_to_admins_only(estate, admin, client):
    query = f"?vm={estate.vm.pk}&persona={estate.persona.pk}&template={estate.template.pk}"
    client.force_login(estate.operator)
    assert "a fault to simulate" not in client.get(f"/migrations/new/{query}").content.decode()
    client.force_login(admin)
    page = client.get(f"/migrations/new/{query}").content.decode()
    assert "a fault to simulate" in page
    asked = {"target": estate.target.pk, "overrides": "", "drill": "disk_full", "action": "start"}
    refused = client.post(f"/migrations/new/{query}", asked)
    assert "simulated in test migrations only" in refused.content.decode()
    assert client.post(f"/migrations/new/{query}", asked | {"mode": "test"}).status_code == 302
    assert MigrationRun.objects.get().drill == "disk_full"
