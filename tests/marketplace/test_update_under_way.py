"""What runs of an installed persona do when its listing moves on: those under way keep what they started with; a yank
stops none; a deprecation is told in the preview."""

import pytest

from marketplace.models import Listing
from marketplace.services.installing import installation_create, installation_update
from marketplace.services.moderation import listing_deprecate
from marketplace.services.publishing import listing_create, publisher_create, release_publish, release_yank
from migrations_engine.pipeline import run_start
from personas.models import Persona, RunOutcome
from personas.services.personas import persona_update
from tests.factories import make_persona
from tests.marketplace.conftest import WORDS
from tests.migrations_engine.conftest import run_all, world  # noqa: F401  fixtures
from tests.migrations_engine.estate import make_estate
from tests.personas.test_api import client_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def estate(world):  # noqa: F811
    return make_estate(role="admin")


@pytest.fixture
def source(seller):
    return make_persona("Plain", department=seller, packages=["python3"])


@pytest.fixture
def listing(alice, seller, source):
    publisher = publisher_create(by=alice, department=seller, name="DBA team")
    return listing_create(by=alice, publisher=publisher, persona=source, **WORDS)


@pytest.fixture
def first(listing, alice):
    return release_publish(listing=listing, by=alice, version="1.0.0", licence="MIT")


@pytest.fixture
def installed(first, estate):
    return installation_create(release=first, department=estate.department, by=estate.operator)


def test_an_update_changes_no_run_that_is_under_way(
    estate,
    source,
    listing,
    first,
    installed,
    alice,
    run_all,  # noqa: F811
    django_capture_on_commit_callbacks,
):
    with django_capture_on_commit_callbacks() as sent:
        run = run_start(**estate.launch(personas=[installed.persona]))
    planned = run.plan
    persona_update(persona=source, by=alice, packages=["python3-minimal"])
    second = release_publish(
        listing=Listing.objects.get(pk=listing.pk), by=alice, version="1.1.0", licence="MIT"
    )
    installation_update(installation=installed, release=second, by=estate.operator)
    assert Persona.objects.get(pk=installed.persona_id).packages == ["python3-minimal"]
    run_all(lambda: [begin() for begin in sent] and run)
    assert (run.state, run.plan) == ("succeeded", planned)
    assert "python3-minimal" not in str(run.plan)
    assert RunOutcome.objects.get().origin == str(first.pk)  # it counts for what was run


def test_a_yank_stops_no_run_of_what_is_installed(estate, first, installed, alice, run_all):  # noqa: F811
    release_yank(release=first, by=alice, reason="Breaks replication")
    run = run_all(run_start, **estate.launch(personas=[installed.persona]))
    assert run.state == "succeeded"
    assert RunOutcome.objects.get().origin == str(first.pk)


def test_the_preview_of_a_run_names_the_successor(estate, listing, installed, alice, seller):
    better = make_persona("Better database", department=seller)
    better = listing_create(by=alice, publisher=listing.publisher, persona=better, **WORDS)
    listing_deprecate(listing=listing, by=alice, reason="Use the new one", successor=better)
    asked = {"template": estate.template.pk, "vm": estate.vm.pk, "persona": installed.persona_id}
    plan = client_of(estate.operator).post("/api/v1/plans/", asked).json()
    (concern,) = [each for each in plan["concerns"] if each["id"] == "persona.notice"]
    assert concern["severity"] == "Warning" and plan["launchable"]
    assert "is deprecated: Use the new one" in concern["text"]
    assert concern["action"] == "Its successor is dba-team/better-database."
