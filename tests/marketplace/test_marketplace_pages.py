"""The pages of the marketplace as plain requests."""

from datetime import UTC, datetime

import pytest
from django.urls import reverse

from marketplace.models import Installation, Listing, Publisher, Release
from marketplace.models.listing import Visibility
from tests.factories import make_member

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.once,  # tests/access opens each page and sends each form on PostgreSQL too
]


def url(name, row=None):
    return reverse(f"marketplace:{name}", args=[row.pk] if row else [])


@pytest.fixture
def sells(client, alice):
    client.force_login(alice)
    return client


@pytest.fixture
def buys(client, bob):
    client.force_login(bob)
    return client


PUBLISH = {
    "publisher_name": "DBA team",
    "summary": "PostgreSQL, tuned",
    "readme": "Expects PostgreSQL.",
    "icon": "package",
    "category": "database",
    "visibility": "organisation",
    "version": "1.0.0",
    "licence": "Apache-2.0",
    "changelog": "added: everything",
}


def test_publish_makes_publisher_listing_and_release_at_once(sells, persona):
    response = sells.post(url("publish"), {**PUBLISH, "persona": persona.pk})
    listing = Listing.objects.get()
    assert response.url == listing.get_absolute_url()
    assert listing.publisher.slug == "dba-team"
    assert listing.releases.get().changelog == [{"kind": "added", "text": "everything"}]
    page = sells.get(listing.get_absolute_url()).content.decode()
    assert "runs “Tune” as root" in page and "postgresql-15" in page and "New version" in page


def test_the_first_release_of_a_new_publisher_may_ask_for_four_eyes(sells, persona):
    asked = {**PUBLISH, "persona": persona.pk, "needs_second_person": "on"}
    told = sells.post(url("publish"), asked, follow=True).content.decode()
    assert "a second person approves it" in told
    assert Publisher.objects.get().needs_second_person
    assert not Release.objects.exists()
    assert Listing.objects.get().submissions.get().version == "1.0.0"


def test_four_eyes_of_a_publisher_that_is_there_are_not_changed_on_the_way(sells, release, alice, persona):
    publisher = release.listing.publisher
    asked = {**PUBLISH, "persona": persona.pk, "publisher": publisher.pk, "needs_second_person": "on"}
    form = sells.post(url("publish"), asked).context["form"]
    assert "needs_second_person" in form.errors
    assert not Publisher.objects.get().needs_second_person


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"version": "one"}, "version"),
        ({"licence": "mine"}, "licence"),
        ({"changelog": "everything"}, "changelog"),
        ({"publisher_name": ""}, "publisher_name"),
        ({"summary": ""}, "summary"),
    ],
)
def test_publish_tells_what_is_wrong_keeps_what_was_typed_and_stores_nothing(sells, persona, wrong, field):
    response = sells.post(url("publish"), {**PUBLISH, "persona": persona.pk, **wrong})
    assert response.status_code == 200
    assert field in response.context["form"].errors
    assert "PostgreSQL, tuned" in response.content.decode() or field == "summary"
    assert not Listing.objects.exists()


def test_a_new_version_offers_the_next_number(sells, release):
    form = sells.get(url("release_create", release.listing)).context["form"]
    assert (form["version"].value(), form["licence"].value()) == ("1.1.0", "Apache-2.0")
    sells.post(
        url("release_create", release.listing), {"version": "1.1.0", "licence": "MIT", "changelog": ""}
    )
    assert Release.objects.filter(version="1.1.0").exists()
    again = sells.post(url("release_create", release.listing), {"version": "1.1.0", "licence": "Apache-2.0"})
    assert "never changes" in again.content.decode()


def test_install_shows_the_script_and_wants_it_read(buys, release, buyer):
    page = buys.get(url("release_install", release)).content.decode()
    assert "echo tuned" in page
    asked = {"department": buyer.pk, "name": "Our database"}
    assert (
        "approved_script_sha256" in buys.post(url("release_install", release), asked).context["form"].errors
    )
    response = buys.post(url("release_install", release), {**asked, "approved_script_sha256": "on"})
    installed = Installation.objects.get()
    assert response.url == reverse("personas:persona_detail", args=[installed.persona_id])
    assert installed.persona.name == "Our database"
    assert "Our database" in buys.get(url("installation_list")).content.decode()
    assert "Uninstall" in buys.get(release.listing.get_absolute_url()).content.decode()
    assert buys.post(url("installation_delete", installed)).status_code == 302
    assert not Installation.objects.exists()


def test_yank_asks_why(sells, release):
    assert "reason" in sells.post(url("release_yank", release), {"reason": ""}).context["form"].errors
    sells.post(url("release_yank", release), {"reason": "broken"})
    assert "yanked: broken" in sells.get(release.listing.get_absolute_url()).content.decode()


def test_catalogue_is_searched(buys, release):
    assert "Tuned database" in buys.get(url("listing_list"), {"search": "postgresql"}).content.decode()
    assert "Nothing matches" in buys.get(url("listing_list"), {"search": "oracle"}).content.decode()


def test_the_age_of_publisher_and_listing_is_shown(buys, release):
    publisher, listing = release.listing.publisher, release.listing
    Publisher.objects.filter(pk=publisher.pk).update(created_at=datetime(2019, 3, 14, 12, tzinfo=UTC))
    Listing.objects.filter(pk=listing.pk).update(created_at=datetime(2021, 7, 9, 12, tzinfo=UTC))
    page = buys.get(listing.get_absolute_url()).content.decode()
    assert "since 2019-03-14" in page and "2021-07-09" in page
    assert "2019-03-14" in buys.get(publisher.get_absolute_url()).content.decode()
    assert buys.get(f"/api/v1/publishers/{publisher.pk}/").json()["created_at"].startswith("2019-03-14")
    assert buys.get(f"/api/v1/listings/{listing.pk}/").json()["created_at"].startswith("2021-07-09")


def test_what_is_a_departments_own_is_not_found_by_others(buys, release):
    Listing.objects.update(visibility=Visibility.DEPARTMENT)
    assert buys.get(release.listing.get_absolute_url()).status_code == 404
    for name, row in (
        ("release_install", release),
        ("release_yank", release),
        ("release_create", release.listing),
    ):
        assert buys.get(url(name, row)).status_code == 404
        assert buys.post(url(name, row)).status_code == 404


def test_others_neither_publish_nor_yank(buys, release):
    for name, row in (("release_yank", release), ("release_create", release.listing)):
        assert buys.get(url(name, row)).status_code == 403
        assert buys.post(url(name, row), {"reason": "x"}).status_code == 403
    assert "Yank" not in buys.get(release.listing.get_absolute_url()).content.decode()


def test_a_viewer_looks_but_does_not_install(client, release, buyer):
    client.force_login(make_member(buyer, "viewer"))
    page = client.get(release.listing.get_absolute_url()).content.decode()
    assert url("release_install", release) not in page
    assert client.get(url("release_install", release)).status_code == 403
    assert client.get(url("publish")).status_code == 403


def test_an_installation_of_another_department_is_not_found(client, alice, bob, buyer, release):
    client.force_login(bob)
    asked = {"department": buyer.pk, "name": "X", "approved_script_sha256": "on"}
    client.post(url("release_install", release), asked)
    client.force_login(alice)
    assert client.post(url("installation_delete", Installation.objects.get())).status_code == 404
