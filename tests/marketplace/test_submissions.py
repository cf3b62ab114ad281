"""Four eyes: what is published are the very bytes that a second person has approved."""

import pytest

from marketplace.models import Listing, Release
from marketplace.services.publishing import publisher_update, release_publish
from marketplace.services.submissions import submission_approve, submission_create, submission_refuse
from personas.errors import NotAllowed, Refused
from personas.models import Persona
from personas.services.personas import persona_update
from tests.factories import make_member
from tests.marketplace.conftest import SCRIPT
from tests.personas.test_api import client_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def anna(seller):
    return make_member(seller, "admin", "anna")


@pytest.fixture
def ask(listing, alice):
    publisher_update(publisher=listing.publisher, by=alice, needs_second_person=True)
    return {"listing": Listing.objects.get(pk=listing.pk), "by": alice, "version": "1.0.0", "licence": "MIT"}


def test_it_is_handed_in_and_published_by_somebody_else(ask, alice, anna, persona):
    with pytest.raises(Refused, match="hand it in"):
        release_publish(**ask)
    submission = submission_create(**ask)
    persona_update(persona=persona, by=alice, packages=["mariadb-server"])
    with pytest.raises(NotAllowed, match="somebody else"):
        submission_approve(submission=submission, by=alice)
    assert not Release.objects.exists()
    release = submission_approve(submission=submission, by=anna)
    assert (release.sha256, release.published_by, release.approved_by) == (submission.sha256, alice, anna)
    with pytest.raises(Refused, match="decided"):
        submission_approve(submission=submission, by=anna)
    with pytest.raises(Refused, match="never changes"):
        submission_create(**{**ask, "listing": Listing.objects.get(pk=ask["listing"].pk)})


def test_a_version_waits_once_and_can_be_refused(ask, anna, bob, seller):
    submission = submission_create(**ask)
    with pytest.raises(Refused, match="waits"):
        submission_create(**ask)
    for stranger in (bob, make_member(seller, "operator")):
        with pytest.raises(NotAllowed):
            submission_refuse(submission=submission, by=stranger, reason="no")
    assert submission_refuse(submission=submission, by=anna, reason="Too big").reason == "Too big"
    assert submission_create(**ask).state == "waiting"


def test_an_author_does_not_give_up_four_eyes(ask, alice):
    with pytest.raises(NotAllowed, match="superuser"):
        publisher_update(publisher=ask["listing"].publisher, by=alice, needs_second_person=False)


def test_four_eyes_by_api(ask, alice, anna, bob):
    releases = f"/api/v1/listings/{ask['listing'].pk}/releases/"
    handed_in = client_of(alice).post(releases, {"version": "1.0.0", "licence": "MIT"})
    assert handed_in.status_code == 202, handed_in.json()
    url = f"/api/v1/submissions/{handed_in.json()['id']}/"
    assert client_of(alice).post(f"{url}approve/").status_code == 403
    assert client_of(bob).get(url).status_code == 404
    published = client_of(anna).post(f"{url}approve/")
    assert (published.status_code, published.json()["approved_by"]) == (200, "anna")


def test_four_eyes_by_page(client, ask, alice, anna):
    client.force_login(alice)
    url = f"/marketplace/listings/{ask['listing'].pk}/release/"
    assert "a second person approves it" in client.post(
        url, {"version": "1.0.0", "licence": "MIT"}, follow=True
    ).content.decode()  # fmt: skip
    submission = ask["listing"].submissions.get()
    page = client.get(submission.get_absolute_url()).content.decode()
    assert "Somebody else of" in page and "Approve and publish" not in page
    client.force_login(anna)
    assert "Tuned database 1.0.0" in client.get("/marketplace/submissions/").content.decode()
    page = client.get(submission.get_absolute_url()).content.decode()
    assert "echo tuned" in page and "Approve and publish" in page
    refuse = client.post(f"{submission.get_absolute_url()}refuse/", {"reason": ""})
    assert "reason" in refuse.context["form"].errors
    client.post(f"{submission.get_absolute_url()}approve/")
    assert Release.objects.get().approved_by == anna


def test_who_approves_by_api_reads_what_is_approved(ask, alice, anna, bob, persona):
    before = submission_approve(submission=submission_create(**ask), by=anna)
    persona_update(persona=Persona.objects.get(pk=persona.pk), by=alice, packages=["mariadb-server"])
    fresh = Listing.objects.get(pk=ask["listing"].pk)
    submission = submission_create(**{**ask, "listing": fresh, "version": "1.1.0", "licence": "Apache-2.0"})
    url = f"/api/v1/submissions/{submission.pk}/"
    told = client_of(anna).get(url).json()
    assert (told["sha256"], told["licence"]) == (submission.sha256, "Apache-2.0")
    assert told["bundle"]["persona"]["settings"]["packages"] == ["mariadb-server"]
    assert told["bundle"]["script"]["body"] == SCRIPT
    assert told["permissions"][0]["text"] == "runs “Tune” as root in the guest (2 lines)"
    assert told["compared_with"] == before.version
    assert [each["text"] for each in told["delta"]["gained"]] == ["asks for the packages mariadb-server"]
    assert [each["level"] for each in told["findings"] if each["place"] == "changelog"] == ["warning"]
    assert "bundle" not in client_of(anna).get("/api/v1/submissions/").json()["results"][0]
    assert client_of(bob).get(url).status_code == 404


def test_a_first_release_by_api_has_nothing_to_compare_with(ask, anna):
    told = client_of(anna).get(f"/api/v1/submissions/{submission_create(**ask).pk}/").json()
    assert (told["compared_with"], told["delta"]) == (None, None)
