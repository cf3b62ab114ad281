"""A run that is under way keeps what it started with, whatever its persona becomes meanwhile."""

import pytest

from marketplace.models import Listing
from marketplace.services.installing import installation_create, installation_update
from marketplace.services.publishing import listing_create, publisher_create, release_publish
from migrations_engine.pipeline import run_start
from personas.models import Persona, RunOutcome
from personas.services.personas import persona_update
from tests.factories import make_persona
from tests.marketplace.conftest import WORDS
from tests.migrations_engine.conftest import run_all, world  # noqa: F401  fixtures
from tests.migrations_engine.estate import make_estate


@pytest.mark.django_db
def test_an_update_changes_no_run_that_is_under_way(
    world,  # noqa: F811
    run_all,  # noqa: F811
    django_capture_on_commit_callbacks,
    alice,
    seller,
):
    estate = make_estate(role="admin")
    source = make_persona("Plain", department=seller, packages=["python3"])
    publisher = publisher_create(by=alice, department=seller, name="DBA team")
    listing = listing_create(by=alice, publisher=publisher, persona=source, **WORDS)
    first = release_publish(listing=listing, by=alice, version="1.0.0", licence="MIT")
    installed = installation_create(release=first, department=estate.department, by=estate.operator)
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
