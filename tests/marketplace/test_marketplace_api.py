"""The marketplace by API: the whole way, and what others see of it."""

import hashlib

import pytest
from rest_framework.test import APIClient

from marketplace.models import Listing
from marketplace.models.listing import Visibility
from tests.factories import make_persona
from tests.marketplace.conftest import WORDS

pytestmark = pytest.mark.django_db


def client_of(user):
    client = APIClient()
    client.force_login(user)
    return client


def test_from_publisher_to_installation(alice, bob, seller, buyer, persona):
    sells, buys = client_of(alice), client_of(bob)
    publisher = sells.post("/api/v1/publishers/", {"name": "DBA team"}).json()
    listing = sells.post(
        "/api/v1/listings/", {"publisher": publisher["id"], "persona": str(persona.pk), **WORDS}
    )
    assert listing.status_code == 201, listing.json()
    releases = f"/api/v1/listings/{listing.json()['id']}/releases/"
    body = {"version": "1.0.0", "licence": "MIT", "changelog": [{"kind": "added", "text": "First"}]}
    release = sells.post(releases, body)
    assert release.status_code == 201, release.json()

    found = buys.get("/api/v1/listings/", {"search": "tuned"}).json()["results"]
    assert [(row["newest_version"], row["persona"]) for row in found] == [("1.0.0", None)]
    told = buys.get(releases).json()[0]
    assert told["permissions"][0] == {
        "kind": "script",
        "text": "runs “Tune” as root in the guest (2 lines)",
        "is_grave": True,
    }
    bundle = buys.get(f"/api/v1/releases/{told['id']}/bundle/")
    assert hashlib.sha256(bundle.content).hexdigest() == told["sha256"] == bundle.headers["ETag"].strip('"')

    asked = {"release": told["id"]}
    refused = buys.post("/api/v1/installations/", asked)
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["pointer"] == "#/approved_script_sha256"
    made = buys.post("/api/v1/installations/", {**asked, "approved_script_sha256": told["script_sha256"]})
    assert made.status_code == 201, made.json()
    own = buys.get(f"/api/v1/personas/{made.json()['persona']}/").json()
    assert (own["name"], own["department"]) == ("Tuned database", str(buyer.pk))
    assert (
        buys.post(
            "/api/v1/installations/", {**asked, "approved_script_sha256": told["script_sha256"]}
        ).status_code
        == 409
    )
    assert buys.get("/api/v1/listings/").json()["results"][0]["installed_in"] == 1
    assert buys.delete(f"/api/v1/installations/{made.json()['id']}/").status_code == 204


def test_the_same_version_with_other_bytes_is_a_conflict(alice, release, persona):
    url = f"/api/v1/listings/{release.listing_id}/releases/"
    body = {"version": "1.0.0", "licence": "MIT"}
    assert client_of(alice).post(url, body).status_code == 409
    assert (
        client_of(alice).post(url, {**body, "version": "one"}).json()["errors"][0]["pointer"] == "#/version"
    )


def test_yank_needs_the_publishers_admin(alice, bob, release):
    url = f"/api/v1/releases/{release.pk}/yank/"
    assert client_of(bob).post(url, {"reason": "mine"}).status_code == 403
    assert client_of(alice).post(url, {}).status_code == 400
    assert client_of(alice).post(url, {"reason": "broken"}).json()["yank_reason"] == "broken"


def test_a_departments_own_catalogue_is_not_there_for_others(bob, release):
    Listing.objects.update(visibility=Visibility.DEPARTMENT)
    client = client_of(bob)
    assert client.get("/api/v1/listings/").json()["count"] == 0
    for url in (
        f"listings/{release.listing_id}/",
        f"releases/{release.pk}/",
        f"releases/{release.pk}/bundle/",
    ):
        assert client.get(f"/api/v1/{url}").status_code == 404
    assert client.post("/api/v1/installations/", {"release": str(release.pk)}).status_code == 400


def test_nobody_publishes_for_another_department(bob, listing, persona, buyer):
    client = client_of(bob)
    own = make_persona(department=buyer)
    assert (
        client.post(
            "/api/v1/listings/", {"publisher": str(listing.publisher_id), "persona": str(own.pk)}
        ).status_code
        == 400
    )
    assert (
        client.post(
            f"/api/v1/listings/{listing.pk}/releases/", {"version": "2.0.0", "licence": "MIT"}
        ).status_code
        == 403
    )
    assert client.patch(f"/api/v1/listings/{listing.pk}/", {"name": "Mine"}).status_code == 403


def test_installations_of_other_departments_are_not_there(alice, bob, buyer, release):
    from marketplace.services.installing import bundle_in, installation_create

    approved = bundle_in(release).script.sha256
    made = installation_create(release=release, department=buyer, by=bob, approved_script_sha256=approved)
    assert client_of(alice).get("/api/v1/installations/").json()["count"] == 0
    assert client_of(alice).delete(f"/api/v1/installations/{made.pk}/").status_code == 404
