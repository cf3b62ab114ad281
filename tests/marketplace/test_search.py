"""The catalogue is searched by words and narrowed by facets, on both databases."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from marketplace.models import Listing
from marketplace.services import search
from marketplace.services.keys import signed_by
from marketplace.services.proof import proof_by_admin
from marketplace.services.publishing import listing_create, publisher_create
from tests.factories import make_persona, make_user
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


@pytest.mark.parametrize("words", ["postgres", "tun postgre", "Datab", "tuned data"])
def test_the_beginning_of_a_word_is_enough(found, words):
    assert found(search=words) == ["Tuned database"]


@pytest.mark.parametrize("words", ["oracle", "tuned oracle"])
def test_what_is_not_there_is_not_found(found, words):
    assert found(search=words) == []


@pytest.mark.parametrize("words", ["databse", "tunned database", "Postgresql databaes"])
def test_a_slip_of_the_finger_is_forgiven_by_postgresql(found, words):
    assert found(search=words) == (["Tuned database"] if connection.vendor == "postgresql" else [])


@pytest.mark.parametrize("words", ["xylophone", "''", "!& |", "postgre -tun"])
def test_what_cannot_be_meant_finds_nothing_and_breaks_nothing(found, words):
    assert found(search=words) == []


def test_a_publisher_is_named_by_id_by_namespace_or_by_a_part_of_the_name(found, release):
    publisher = release.listing.publisher
    for named in (publisher.pk, publisher.slug, publisher.name[1:-1].upper()):
        assert found(publisher=str(named)) == ["Tuned database"]
    assert found(publisher="somebody else") == []


def test_a_search_longer_than_a_sentence_is_refused(client, release, bob):
    """SQLite would end at the thousandth condition."""
    words = "a " * 1500
    assert client_of(bob).get("/api/v1/listings/", {"search": words}).status_code == 400
    assert client_of(bob).get("/api/v1/listings/", {"search": words[:199]}).status_code == 200
    client.force_login(bob)
    assert client.get("/marketplace/", {"search": words}).status_code == 200


@pytest.mark.parametrize("few", [0, 5_000])
def test_it_finds_the_same_however_many_there_are(found, few, monkeypatch):
    monkeypatch.setattr(search, "FEW", few)
    assert found(search="postgresql", ordering="-released_at") == ["Tuned database"]


def test_what_is_called_so_comes_before_what_mentions_it(found, release, alice):
    persona = make_persona("Always first", department=release.department)
    said = {"summary": "Beside any database", "readme": "# Expects"}
    listing_create(by=alice, publisher=release.listing.publisher, persona=persona, **said)
    wanted = ["Tuned database", "Always first"]
    assert found(search="database") == (wanted if connection.vendor == "postgresql" else wanted[::-1])
    assert found(search="database", ordering="name") == wanted[::-1]
    assert found(search="database", licence="") == found(search="database")
    pages = [found(search="database", page=page, page_size=1) for page in (1, 2)]
    assert pages == [[name] for name in found(search="database")]


def test_what_a_stranger_may_not_see_does_not_help_to_guess(found, release):
    Listing.objects.update(visibility="department")
    assert found(search="databse") == found(search="database") == []


def test_what_a_stranger_may_not_see_does_not_stop_a_correction(found, release, alice):
    before = found(search="databse")
    persona = make_persona("Databse", department=release.department)
    listing_create(by=alice, publisher=release.listing.publisher, persona=persona, visibility="department")
    assert found(search="databse") == before


@pytest.mark.parametrize("column", ["name", "publisher_name", "released_at", "installed_in"])
def test_the_page_sorts_by_each_of_its_columns(client, release, bob, column):
    client.force_login(bob)
    for ordering in (column, f"-{column}"):
        page = client.get("/marketplace/", {"ordering": ordering, "search": "database"})
        assert [row.name for row in page.context["page_obj"]] == ["Tuned database"]


def test_the_api_asks_no_more_for_a_longer_page(release, bob, alice, django_assert_num_queries):
    stranger, persona = client_of(bob), make_persona(department=release.department)
    stranger.get("/api/v1/listings/")  # what is remembered from then on
    with CaptureQueriesContext(connection) as short:
        stranger.get("/api/v1/listings/")
    for n in range(3):
        listing_create(by=alice, publisher=release.listing.publisher, persona=persona, slug=f"l-{n}")
    with django_assert_num_queries(len(short)):
        rows = stranger.get("/api/v1/listings/").json()["results"]
    assert [row["persona"] for row in rows] == [None] * 4
    own = client_of(alice).get("/api/v1/listings/").json()["results"]
    assert {row["persona"] for row in own} == {str(persona.pk), str(release.listing.persona_id)}


def options(page, name) -> dict[str, str]:
    """{value: words} of a facet, as its box offers them."""
    control = re.search(rf'<select name="{name}".*?</select>', page, re.DOTALL).group()
    return dict(re.findall(r'<option value="([^"]*)"[^>]*>\s*([^<]*?)\s*</option>', control))


def test_facets_offer_what_there_is_with_counts(client, release, alice, bob):
    said = [("MIT", "debian"), ("MIT OR Apache-2.0", "debian"), ("", ""), ("LicenseRef-Ours", "rocky")]
    persona = make_persona(department=release.department)
    for n, (licence, distribution) in enumerate(said):
        row = listing_create(by=alice, publisher=release.listing.publisher, persona=persona, slug=f"l-{n}")
        Listing.objects.filter(pk=row.pk).update(licence=licence, distribution=distribution)
    Listing.objects.filter(slug="l-3").update(visibility="department")
    client.force_login(bob)
    page = client.get("/marketplace/").content.decode()
    assert options(page, "distribution") == {"": "Any", "debian": "debian (2)"}
    offered = options(page, "licence")
    # as many as the choice will show: a licence is found wherever it stands in the expression
    assert offered == {
        "": "Any", "Apache-2.0": "Apache-2.0 (2)", "MIT": "MIT (2)", "MIT OR Apache-2.0": "MIT OR Apache-2.0 (1)"
    }  # fmt: skip
    for licence in ("Apache-2.0", "MIT", "MIT OR Apache-2.0"):
        count = client.get("/marketplace/", {"licence": licence}).context["page_obj"].paginator.count
        assert offered[licence] == f"{licence} ({count})"
    typed = client.get("/marketplace/", {"licence": "apache"})
    assert typed.context["page_obj"].paginator.count == 2
    assert 'value="apache" selected' in typed.content.decode()
    client.force_login(alice)
    assert "rocky (1)" in client.get("/marketplace/").content.decode()
    with CaptureQueriesContext(connection) as asked:
        client.get("/marketplace/")
    counted = [each for each in asked if each["sql"].startswith('SELECT "marketplace_listing"."category"')]
    assert len(counted) == 1


def test_each_choice_tells_how_many_it_shows(client, release, alice, bob):
    own = {"by": alice, "persona": make_persona(department=release.department)}
    others = publisher_create(by=alice, department=release.department, name="Web masters")
    listing_create(publisher=release.listing.publisher, slug="l-1", category="database", **own)
    listing_create(publisher=others, slug="l-2", category="web", **own)
    listing_create(publisher=others, slug="l-3", category="web", visibility="department", **own)
    proof_by_admin(publisher=others, by=make_user("root", superuser=True))
    client.force_login(bob)
    page = client.get("/marketplace/").content.decode()
    assert options(page, "verified") == {"unknown": "Any", "true": "Yes (1)", "false": "No (2)"}
    offered = options(page, "category")
    assert offered["data"] == "Data and analysis (0)"
    for name, value in (
        ("verified", "true"),
        ("verified", "false"),
        ("category", "web"),
        ("category", "data"),
    ):
        answer = client.get("/marketplace/", {name: value})
        count = answer.context["page_obj"].paginator.count
        assert options(page, name)[value].endswith(f" ({count})")
        assert f'value="{value}" selected' in answer.content.decode()
    junk = client.get("/marketplace/", {"verified": "unknown", "category": "junk"}).content.decode()
    assert options(junk, "verified").keys() == {"unknown", "true", "false"}
    assert "junk" not in options(junk, "category")


def test_facets(found, release):
    assert found(licence="apache") == found(price="free") == found(signed="true") == ["Tuned database"]
    assert (
        found(licence="GPL") == found(price="priced") == found(signed="false") == found(verified="true") == []
    )
    proof_by_admin(publisher=release.listing.publisher, by=make_user("root", superuser=True))
    Listing.objects.update(distribution="debian")
    assert found(verified="true") == found(distribution="Debian") == ["Tuned database"]
    assert signed_by(release) is not None
