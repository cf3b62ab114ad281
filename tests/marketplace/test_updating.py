"""An installed persona goes to another release: the same row, everything replaced, a changed script only when read."""

import hashlib

import pytest
from django.urls import reverse
from rest_framework.test import APIClient

from marketplace.domain.manifest import delta
from marketplace.models import Listing
from marketplace.services.installing import bundle_in, installation_create, installation_update
from marketplace.services.publishing import release_publish, release_yank
from personas.errors import BadInput, NotAllowed, Refused
from personas.models import DriverSet, Persona, Script
from personas.services.parts import part_update
from personas.services.personas import persona_update
from personas.services.scripts import script_update
from tests.factories import make_member, make_persona
from tests.marketplace.conftest import SCRIPT

pytestmark = pytest.mark.django_db
APPROVED = hashlib.sha256(SCRIPT.encode()).hexdigest()


@pytest.fixture
def installed(release, bob, buyer):
    return installation_create(release=release, department=buyer, by=bob, approved_script_sha256=APPROVED)


@pytest.fixture
def publish(listing, alice):
    def published(version, **changes):
        persona = Persona.objects.get(pk=listing.persona_id)
        persona_update(persona=persona, by=alice, **changes)
        fresh = Listing.objects.get(pk=listing.pk)
        return release_publish(listing=fresh, by=alice, version=version, licence="Apache-2.0")

    return published


def test_the_persona_stays_the_same_row_and_says_what_the_release_says(
    installed, publish, persona, alice, bob
):
    part_update(
        part=persona.default_driver_set, by=alice, drivers=[{"name": "net", "kernel_modules": ["e1000e"]}]
    )
    newer = publish("1.1.0", packages=["postgresql-16"], hints=[], unset=[], machine="q35")
    updated = installation_update(installation=installed, release=newer, by=bob)
    own = Persona.objects.get(pk=installed.persona_id)
    assert own.document() == Persona.objects.get(pk=persona.pk).document()
    assert own.default_driver_set.drivers == [{"name": "net", "kernel_modules": ["e1000e"]}]
    assert (own.hints, own.unset, own.revision) == ([], [], 2)
    assert updated.release == newer


def test_parts_are_renewed_where_they_stand(installed, publish, bob, buyer):
    before = set(DriverSet.objects.filter(department=buyer).values_list("pk", "slug"))
    installation_update(installation=installed, release=publish("1.1.0", packages=["x"]), by=bob)
    assert set(DriverSet.objects.filter(department=buyer).values_list("pk", "slug")) == before
    assert Script.objects.filter(department=buyer).count() == 1


def test_a_part_that_others_use_is_left_alone(installed, publish, persona, alice, bob, buyer):
    theirs = make_persona(department=buyer, default_driver_set=installed.persona.default_driver_set)
    part_update(
        part=persona.default_driver_set, by=alice, drivers=[{"name": "net", "kernel_modules": ["e1000e"]}]
    )
    installation_update(installation=installed, release=publish("1.1.0", packages=["x"]), by=bob)
    theirs.default_driver_set.refresh_from_db()
    assert theirs.default_driver_set.drivers[0]["kernel_modules"] == ["virtio_net"]
    assert DriverSet.objects.filter(department=buyer).count() == 2


def test_a_part_that_the_release_no_longer_has_goes(installed, publish, bob, buyer):
    release = publish("2.0.0", default_driver_set=None, post_migration_script=None)
    updated = installation_update(installation=installed, release=release, by=bob)
    assert not DriverSet.objects.filter(department=buyer).exists()
    assert not Script.objects.filter(department=buyer).exists()
    assert updated.approved_script_sha256 == ""


def test_a_changed_script_is_let_in_only_when_it_was_read(installed, publish, persona, alice, bob):
    script_update(script=persona.post_migration_script, by=alice, body="#!/bin/sh\necho other\n")
    newer = publish("1.1.0", packages=["x"])
    with pytest.raises(BadInput) as raised:
        installation_update(installation=installed, release=newer, by=bob)
    assert set(raised.value.errors) == {"approved_script_sha256"}
    digest = bundle_in(newer).script.sha256
    updated = installation_update(
        installation=installed, release=newer, by=bob, approved_script_sha256=digest
    )
    assert updated.persona.post_migration_script.latest.body == "#!/bin/sh\necho other\n"
    assert updated.approved_script_sha256 == digest


def test_what_it_would_do_more_or_less_is_told(release, publish, persona, alice):
    script_update(script=persona.post_migration_script, by=alice, body="#!/bin/sh\necho other\n")
    newer = publish("1.1.0", packages=[], network_profile=None)
    told = delta(bundle_in(release), bundle_in(newer))
    assert [each.kind for each in told.gained] == ["script"]
    assert [each.kind for each in told.dropped] == ["port", "packages"]
    assert delta(bundle_in(release), bundle_in(release)) == ([], [])


def test_only_a_usable_release_of_the_same_listing(installed, publish, listing, alice, bob, buyer, release):
    newer = publish("1.1.0", packages=["x"])
    with pytest.raises(NotAllowed):
        installation_update(installation=installed, release=newer, by=make_member(buyer, "operator"))
    release_yank(release=newer, by=alice, reason="broken")
    newer.refresh_from_db()
    with pytest.raises(Refused, match="broken"):
        installation_update(installation=installed, release=newer, by=bob)


def test_update_by_page_shows_the_changes_first(client, installed, publish, bob):
    newer = publish("1.1.0", packages=["postgresql-16"])
    client.force_login(bob)
    assert "Update to 1.1.0" in client.get(installed.get_absolute_url()).content.decode()
    url = reverse("marketplace:installation_update", args=[installed.pk])
    page = client.get(url).content.decode()
    assert "postgresql-15" in page and "postgresql-16" in page
    assert client.post(url).status_code == 302
    installed.refresh_from_db()
    assert installed.release == newer
    assert client.get(url).url == installed.get_absolute_url()


def test_update_by_page_wants_a_changed_script_read(client, installed, publish, persona, alice, bob):
    script_update(script=persona.post_migration_script, by=alice, body="#!/bin/sh\necho other\n")
    newer = publish("1.1.0", packages=["x"])
    client.force_login(bob)
    url = reverse("marketplace:installation_update", args=[installed.pk])
    assert "approved_script_sha256" in client.post(url).context["form"].errors
    assert client.post(url, {"approved_script_sha256": "on"}).status_code == 302
    installed.refresh_from_db()
    assert installed.release == newer


def test_update_by_api(installed, publish, alice, bob):
    newer = publish("1.1.0", packages=["x"])
    client = APIClient()
    client.force_login(bob)
    response = client.post(f"/api/v1/installations/{installed.pk}/update/", {"release": str(newer.pk)})
    assert (response.status_code, response.json()["version"]) == (200, "1.1.0")
    client.force_login(alice)
    assert (
        client.post(f"/api/v1/installations/{installed.pk}/update/", {"release": str(newer.pk)}).status_code
        == 404
    )
