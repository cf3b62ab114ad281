"""The catalogue is searched by words and narrowed by facets, on both databases."""

import pytest
from django.db import connection

from marketplace.models import Listing
from marketplace.services.keys import signed_by
from marketplace.services.proof import proof_by_admin
from tests.factories import make_user
from tests.personas.test_api import client_of


@pytest.fixture
def found(release, bob):
    client = client_of(bob)

    def names(**asked):
        return [row["name"] for row in client.get("/api/v1/listings/", asked).json()["results"]]

    return names


@pytest.mark.parametrize("words", ["tuned", "postgresql", "dba team", "Debian expects", "DATABASE"])
def test_words_are_found_wherever_they_stand(found, words):
    assert found(search=words) == ["Tuned database"]


@pytest.mark.parametrize("words", ["oracle", "tuned oracle"])
def test_what_is_not_there_is_not_found(found, words):
    assert found(search=words) == []


def test_a_slip_of_the_finger_is_forgiven_by_postgresql(found):
    assert found(search="databse") == (["Tuned database"] if connection.vendor == "postgresql" else [])


def test_facets(found, release):
    assert found(licence="apache") == found(price="free") == found(signed="true") == ["Tuned database"]
    assert (
        found(licence="GPL") == found(price="priced") == found(signed="false") == found(verified="true") == []
    )
    proof_by_admin(publisher=release.listing.publisher, by=make_user("root", superuser=True))
    Listing.objects.update(distribution="debian")
    assert found(verified="true") == found(distribution="Debian") == ["Tuned database"]
    assert signed_by(release) is not None
