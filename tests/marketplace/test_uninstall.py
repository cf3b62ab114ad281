"""Uninstalling what has been run: history keeps the persona, archived; what still needs it is named."""

import pytest

from marketplace.models import Installation
from marketplace.services.installing import installation_create
from marketplace.services.outcomes import listing_record
from marketplace.services.publishing import listing_create, publisher_create, release_publish
from migrations_engine.models import MigrationRun, Wave
from migrations_engine.pipeline import run_start
from personas.models import Persona, RunOutcome
from tests.factories import make_persona
from tests.marketplace.conftest import WORDS
from tests.migrations_engine.conftest import run_all, world  # noqa: F401  fixtures
from tests.migrations_engine.estate import make_estate
from tests.personas.test_api import client_of


@pytest.fixture
def estate(db, world):  # noqa: F811
    return make_estate(role="admin")


@pytest.fixture
def free(alice, seller):
    publisher = publisher_create(by=alice, department=seller, name="DBA team")
    persona = make_persona("Plain", department=seller, packages=["python3"])
    listing = listing_create(by=alice, publisher=publisher, persona=persona, **WORDS)
    return release_publish(listing=listing, by=alice, version="1.0.0", licence="MIT")


@pytest.fixture
def ran(estate, free, run_all):  # noqa: F811
    """An installation that has a run behind it."""
    installed = installation_create(release=free, department=estate.department, by=estate.operator)
    run = run_all(run_start, **estate.launch(personas=[installed.persona]))
    assert run.state == "succeeded"
    return installed


def uninstalled(installed, estate):
    return client_of(estate.operator).delete(f"/api/v1/installations/{installed.pk}/")


def test_history_keeps_the_persona_archived_and_counts_on(ran, estate, free):
    answer = uninstalled(ran, estate)
    persona = Persona.objects.get(pk=ran.persona_id)
    assert (answer.status_code, answer.json()["persona"]) == (200, str(persona.pk))
    assert persona.archived_at and not Installation.objects.exists()
    assert MigrationRun.objects.get().persona == persona
    assert listing_record(free.listing).runs == 1
    again = installation_create(release=free, department=estate.department, by=estate.operator)
    assert again.persona != persona
    assert uninstalled(again, estate).status_code == 204
    assert not Persona.objects.filter(pk=again.persona_id).exists()


def test_the_page_says_so(ran, estate, client):
    client.force_login(estate.operator)
    page = client.post(f"/marketplace/installed/{ran.pk}/uninstall/", follow=True).content.decode()
    assert "Its persona is archived: the runs that are behind it keep it." in page


@pytest.mark.parametrize("state", ["running", "confirming"])
def test_a_run_under_way_still_needs_it(ran, estate, state):
    MigrationRun.objects.update(state=state)
    answer = uninstalled(ran, estate)
    assert answer.status_code == 409
    assert [user["id"] for user in answer.json()["used_by"]] == [str(MigrationRun.objects.get().pk)]
    assert Installation.objects.exists()


@pytest.mark.parametrize(("state", "status"), [("draft", 409), ("finished", 200)])
def test_a_wave_needs_it_until_it_is_over(ran, estate, state, status):
    wave = Wave.objects.create(
        department=estate.department, name="w", template=estate.template, persona=ran.persona,
        created_by=estate.operator, state=state,
    )  # fmt: skip
    wave.members.create(vm=estate.vm, persona=ran.persona)
    assert uninstalled(ran, estate).status_code == status


def test_an_outcome_outlives_its_persona(ran, free):
    MigrationRun.objects.update(persona=None)
    ran.delete()
    ran.persona.delete()
    outcome = RunOutcome.objects.get()
    assert (outcome.persona, str(outcome)) == (None, "gone: succeeded")
    assert listing_record(free.listing).runs == 1
