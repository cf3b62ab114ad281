"""What a listing says is checked whenever it is said, and with four eyes a second person has read it."""

import pytest
from django.urls import reverse

from marketplace.models import Listing
from marketplace.services.publishing import listing_create, listing_update, publisher_update, release_publish
from marketplace.services.submissions import submission_approve, submission_create
from personas.errors import BadInput
from tests.factories import make_member
from tests.marketplace.conftest import WORDS
from tests.personas.test_api import client_of

pytestmark = pytest.mark.django_db
KEY = "AKIAIOSFODNN7EXAMPLE"


@pytest.fixture
def anna(seller):
    return make_member(seller, "admin", "anna")


@pytest.fixture
def watched(listing, alice, anna):
    """Of a publisher with four eyes, released once."""
    publisher_update(publisher=listing.publisher, by=alice, needs_second_person=True)
    submission = submission_create(listing=fresh(listing), by=alice, version="1.0.0", licence="MIT")
    submission_approve(submission=submission, by=anna)
    return fresh(listing)


def fresh(listing) -> Listing:
    return Listing.objects.get(pk=listing.pk)


def test_a_secret_is_refused_where_it_is_written(listing, release, persona, alice):
    tests = [{"name": "t", "template": {"monitoring_tags": {"api-token": "h8Kd93jf02Lq"}}}]
    for said in ({"readme": f"Use {KEY}"}, {"summary": KEY}, {"tests": tests}):
        with pytest.raises(BadInput) as raised:
            listing_update(listing=listing, by=alice, **said)
        assert set(raised.value.errors) == set(said) and KEY not in str(raised.value.errors)
    with pytest.raises(BadInput) as raised:
        listing_create(
            by=alice, publisher=listing.publisher, persona=persona, slug="other", **{**WORDS, "readme": KEY}
        )
    assert set(raised.value.errors) == {"readme"}
    assert fresh(listing).readme == WORDS["readme"]


def test_what_is_published_keeps_its_words(listing, release, alice):
    with pytest.raises(BadInput) as raised:
        listing_update(listing=listing, by=alice, readme="", summary="")
    assert set(raised.value.errors) == {"readme", "summary"}


def test_the_same_by_page_and_by_api(client, listing, release, alice):
    answer = client_of(alice).patch(f"/api/v1/listings/{listing.pk}/", {"readme": f"Use {KEY}"})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "#/readme")
    client.force_login(alice)
    said = {"name": "T", "summary": "S", "readme": KEY, "category": "data", "icon": "package"}
    edit = reverse("marketplace:listing_edit", args=[listing.pk])
    page = client.post(edit, {**said, "visibility": "public", "tests": ""})
    assert set(page.context["form"].errors) == {"readme"}


def test_with_four_eyes_nobody_changes_the_words_alone(watched, alice, anna):
    for who in (alice, anna):
        with pytest.raises(BadInput) as raised:
            listing_update(listing=watched, by=who, readme="Other", category="web")
        assert set(raised.value.errors) == {"readme", "category"}
        assert "next version" in raised.value.errors["readme"][0]
    assert fresh(watched).readme == WORDS["readme"]
    listing_update(listing=watched, by=alice, tests=[{"name": "t"}], **WORDS)


def test_with_four_eyes_words_come_with_a_version(watched, alice, anna):
    asked = {"version": "1.1.0", "licence": "MIT", "about": {"readme": "Other", "category": "web"}}
    submission = submission_create(listing=watched, by=alice, **asked)
    assert fresh(watched).readme == WORDS["readme"]
    submission_approve(submission=submission, by=anna)
    row = fresh(watched)
    assert (row.readme, row.category, row.summary) == ("Other", "web", WORDS["summary"])
    assert "Other" in row.search_text


def test_an_older_version_does_not_bring_older_words_back(listing, release, alice):
    release_publish(listing=listing, by=alice, version="2.0.0", licence="MIT", about={"readme": "New"})
    asked = {"version": "1.0.1", "licence": "MIT", "about": {"readme": "Old"}}
    release_publish(listing=fresh(listing), by=alice, **asked)
    assert fresh(listing).readme == "New"


def test_with_four_eyes_the_author_does_not_widen_who_sees_it(watched, alice, anna):
    narrow = listing_update(listing=watched, by=alice, visibility="department")
    with pytest.raises(BadInput) as raised:
        listing_update(listing=narrow, by=alice, visibility="public")
    assert "somebody else" in raised.value.errors["visibility"][0]
    assert listing_update(listing=narrow, by=anna, visibility="public").visibility == "public"


def test_four_eyes_by_page_and_by_api(client, watched, alice, anna):
    told = client_of(anna).patch(f"/api/v1/listings/{watched.pk}/", {"readme": "Other"})
    assert (told.status_code, told.json()["errors"][0]["pointer"]) == (400, "#/readme")
    client.force_login(alice)
    edit = client.get(reverse("marketplace:listing_edit", args=[watched.pk])).content.decode()
    assert "Said with the next version" in edit
    url = reverse("marketplace:release_create", args=[watched.pk])
    form = client.get(url).context["form"]
    said = {
        name: form.initial[name] for name in ("version", "licence", "name", "summary", "category", "icon")
    }
    assert client.post(url, {**said, "changelog": "", "readme": KEY}).context["form"].errors.keys() == {
        "readme"
    }
    assert client.post(url, {**said, "changelog": "", "readme": "By page"}).status_code == 302
    submission = watched.submissions.get(version="1.1.0")
    client.force_login(anna)
    assert "By page" in client.get(submission.get_absolute_url()).content.decode()
    client.post(reverse("marketplace:submission_approve", args=[submission.pk]))
    assert fresh(watched).readme == "By page"
    body = {"version": "1.2.0", "licence": "MIT", "about": {"readme": "By API"}}
    handed_in = client_of(alice).post(f"/api/v1/listings/{watched.pk}/releases/", body, format="json")
    assert handed_in.status_code == 202, handed_in.json()
    client.post(reverse("marketplace:submission_approve", args=[handed_in.json()["id"]]))
    assert fresh(watched).readme == "By API"
