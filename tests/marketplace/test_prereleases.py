"""A pre-release is there for who asks for it by its number, and offered to nobody else."""

import pytest
from django.urls import reverse

from marketplace.domain.bundle import preference, version_key
from marketplace.models import Listing
from marketplace.services.installing import installation_update
from marketplace.services.publishing import release_publish, release_yank
from marketplace.services.submissions import submission_create, submission_told
from personas.errors import BadInput
from personas.models import Persona
from personas.services.personas import persona_update
from tests.marketplace.shop import APPROVED, buy, grant, install, make_price
from tests.personas.test_api import client_of

IN_ORDER = ["1.0.0", "1.1.0-alpha.2", "1.1.0-beta.1", "1.1.0-rc.2", "1.1.0-rc.10", "1.1.0", "1.10.0"]


def test_a_prerelease_comes_before_its_version():
    assert sorted(sorted(IN_ORDER), key=version_key) == IN_ORDER
    assert max(IN_ORDER[:5], key=preference) == "1.0.0"
    assert max(IN_ORDER[1:5], key=preference) == "1.1.0-rc.10"  # where there is nothing else


@pytest.fixture
def publish(listing, release, alice):
    """After 1.0.0; each version with other packages."""

    def published(version, **about):
        persona_update(
            persona=Persona.objects.get(pk=listing.persona_id), by=alice, packages=[f"nginx-{version}"]
        )
        return release_publish(
            listing=fresh(listing), by=alice, version=version, licence="Apache-2.0", **about
        )

    return published


def fresh(listing) -> Listing:
    return Listing.objects.get(pk=listing.pk)


@pytest.mark.django_db
@pytest.mark.parametrize("wrong", ["1.1.0rc1", "1.1.0-rc1", "1.1.0-rc.01", "1.1.0-x.1", "1.1.0+a", "1.1"])
def test_another_spelling_is_refused_with_the_one_that_is_meant(publish, wrong):
    """Each version has one spelling: two would be two releases of one version."""
    with pytest.raises(BadInput) as refused:
        publish(wrong)
    assert "1.2.3-rc.1" in refused.value.errors["version"][0]


@pytest.mark.django_db
def test_who_is_on_a_stable_version_is_offered_no_prerelease(client, publish, release, listing, buyer, bob):
    installed = install(release, buyer, bob)
    candidate = publish("1.1.0-rc.1", about={"name": "Tuned database, candidate"})
    assert (fresh(listing).newest, fresh(listing).name) == (release, "Tuned database")
    api = client_of(bob)
    told = api.get(f"/api/v1/listings/{listing.pk}/").json()
    assert told["newest_version"] == "1.0.0"
    told = api.get(f"/api/v1/listings/{listing.pk}/releases/").json()
    assert [(each["version"], each["is_prerelease"]) for each in told] == [
        ("1.1.0-rc.1", True),
        ("1.0.0", False),
    ]
    assert api.get(f"/api/v1/installations/{installed.pk}/preview/").json()["version"] == "1.0.0"
    client.force_login(bob)
    page = client.get(listing.get_absolute_url()).content.decode()
    assert "pre-release" in page and "Update to 1.1.0-rc.1" not in page
    update = reverse("marketplace:installation_update", args=[installed.pk])
    assert client.get(update).url == listing.get_absolute_url()  # nothing newer
    assert "1.1.0-rc.1" in client.get(f"{update}?release={candidate.pk}").content.decode()


@pytest.mark.django_db
def test_a_prerelease_is_installed_by_its_number_and_followed_to_its_version(
    client, publish, listing, buyer, bob
):
    installed = install(publish("1.1.0-rc.1"), buyer, bob)
    assert installed.persona.packages == ["nginx-1.1.0-rc.1"]
    client.force_login(bob)
    page = client.get(listing.get_absolute_url()).content.decode()
    assert "Update to 1.0.0" not in page  # that would be back
    second = publish("1.1.0-rc.2")
    assert fresh(listing).offered_to(installed.release) == second
    assert (
        client_of(bob).get(f"/api/v1/installations/{installed.pk}/preview/").json()["version"] == "1.1.0-rc.2"
    )
    final = publish("1.1.0")
    assert "Update to 1.1.0" in client.get(listing.get_absolute_url()).content.decode()
    publish("1.2.0-alpha.1")
    moved = installation_update(
        installation=installed, release=final, by=bob, approved_script_sha256=APPROVED
    )
    assert fresh(listing).offered_to(moved.release) == final == fresh(listing).newest


@pytest.mark.django_db
def test_where_all_is_prerelease_the_highest_is_what_is_sold(publish, release, listing, alice, buyer, bob):
    candidate = publish("1.1.0-rc.1")
    release_yank(release=release, by=alice, reason="Broken")
    assert fresh(listing).newest == candidate
    make_price(listing, alice)
    grant(buyer)
    assert buy(fresh(listing), buyer, bob).state == "paid"
    assert fresh(listing).offered_to(release) is None


@pytest.mark.django_db
def test_who_approves_a_version_reads_what_is_new_since_the_last_stable_one(publish, listing, alice):
    publish("1.1.0-rc.1")
    handed_in = submission_create(listing=fresh(listing), by=alice, version="1.1.0", licence="Apache-2.0")
    assert submission_told(handed_in).before.version == "1.0.0"


@pytest.mark.django_db
def test_after_a_prerelease_its_version_is_proposed(client, publish, listing, alice):
    client.force_login(alice)
    page = reverse("marketplace:release_create", args=[listing.pk])
    assert client.get(page).context["form"].initial["version"] == "1.1.0"
    publish("1.3.0-rc.1")
    assert client.get(page).context["form"].initial["version"] == "1.3.0"
