"""An installed persona goes to another release: the same row, everything replaced, a changed script only when read."""

import hashlib
import re

import pytest
from django.urls import reverse
from rest_framework.test import APIClient

from marketplace.domain.manifest import delta
from marketplace.models import Installation, Listing
from marketplace.services.installing import bundle_in, installation_create, installation_update
from marketplace.services.publishing import listing_create, release_publish, release_yank
from personas.errors import BadInput, NotAllowed, Refused
from personas.models import DriverSet, Persona, Script
from personas.services.parts import part_update
from personas.services.personas import persona_update
from personas.services.scripts import script_update
from tests.factories import make_member, make_persona
from tests.marketplace.conftest import SCRIPT, WORDS
from tests.marketplace.shop import make_price
from tests.personas.test_api import client_of

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
    listed = client.get(installed.get_absolute_url()).content.decode()
    bare = reverse("marketplace:installation_update", args=[installed.pk])
    url = f"{bare}?release={newer.pk}"
    assert f'href="{url}">' in listed.partition("In your departments")[2] and "Update to 1.1.0" in listed
    page = client.get(url).content.decode()
    assert "postgresql-15" in page and "postgresql-16" in page
    assert client.post(url).status_code == 302
    installed.refresh_from_db()
    assert installed.release == newer
    assert client.get(bare).url == client.get(url).url == installed.get_absolute_url()


def test_update_by_page_wants_a_changed_script_read(client, installed, publish, persona, alice, bob):
    script_update(script=persona.post_migration_script, by=alice, body="#!/bin/sh\necho other\n")
    newer = publish("1.1.0", packages=["x"])
    client.force_login(bob)
    url = client.get(reverse("marketplace:installation_update", args=[installed.pk])).url
    assert "approved_script_sha256" in client.post(url).context["form"].errors
    assert client.post(url, {"approved_script_sha256": "on"}).status_code == 302
    installed.refresh_from_db()
    assert installed.release == newer


@pytest.mark.parametrize("is_fork", [False, True])
def test_what_comes_out_between_the_look_and_the_yes_is_not_taken(
    client, installed, publish, persona, alice, bob, is_fork
):
    Installation.objects.filter(pk=installed.pk).update(is_fork=is_fork)
    script_update(script=persona.post_migration_script, by=alice, body="#!/bin/sh\necho other\n")
    shown = publish("1.1.0", packages=["x"])
    client.force_login(bob)
    bare = reverse("marketplace:installation_update", args=[installed.pk])
    page = client.get(bare, follow=True)
    content, url = page.content.decode(), page.redirect_chain[-1][0]
    assert "echo other" in content
    assert (
        "action=" not in re.search(r'<form class="form-page"[^>]*>', content)[0]
    )  # it is sent to the page's address
    script_update(script=persona.post_migration_script, by=alice, body="#!/bin/sh\necho unseen\n")
    newest = publish("1.2.0", packages=["y"])
    asked = {"approved_script_sha256": "on"}
    bare = url.partition("?")[0]
    assert client.post(bare, asked).url == f"{bare}?release={newest.pk}"  # a yes to nothing that was shown
    installed.refresh_from_db()
    assert installed.release.version == "1.0.0"
    assert client.post(url, asked).status_code == 302
    installed.refresh_from_db()
    assert installed.release == shown
    assert installed.persona.post_migration_script.latest.body == "#!/bin/sh\necho other\n"
    assert installed.approved_script_sha256 == bundle_in(shown).root_sha256


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


@pytest.fixture
def two_releases(listing, release, persona, alice):
    """1.1.0 with another network and script, 1.2.0 under another licence."""
    groups = [
        {"name": "ssh", "rules": [{"protocol": "tcp", "port_from": 22, "port_to": 22, "cidr": "0.0.0.0/0"}]}
    ]
    part_update(part=persona.network_profile, by=alice, security_groups=groups)
    made = []
    for version, licence, text in (("1.1.0", "Apache-2.0", "Opens ssh"), ("1.2.0", "MIT", "Newer packages")):
        persona_update(
            persona=Persona.objects.get(pk=persona.pk), by=alice, packages=[f"postgresql-{version[2]}"]
        )
        changes = [{"kind": "changed", "text": text}]
        fresh = Listing.objects.get(pk=listing.pk)
        made.append(
            release_publish(listing=fresh, by=alice, version=version, licence=licence, changelog=changes)
        )
    return made


def test_the_preview_tells_all_releases_in_between_and_the_licence(client, installed, two_releases, bob):
    client.force_login(bob)
    page = client.get(
        reverse("marketplace:installation_update", args=[installed.pk]), follow=True
    ).content.decode()
    assert page.index("1.2.0</") < page.index("Newer packages") < page.index("Opens ssh")
    assert "First release" not in page
    assert "Apache-2.0 → MIT" in page
    assert "lets in tcp 22 from everyone (ssh)" in page and "network_profile.security_groups" in page


def test_the_preview_by_api(installed, two_releases, alice, bob, buyer):
    newest = two_releases[1]
    url = f"/api/v1/installations/{installed.pk}/preview/"
    told = client_of(bob).get(url).json()
    assert told == client_of(bob).get(url, {"release": str(newest.pk)}).json()
    assert (told["before"], told["version"], told["release"]) == ("1.0.0", "1.2.0", str(newest.pk))
    assert [each["version"] for each in told["changelog"]] == ["1.2.0", "1.1.0"]
    assert told["changelog"][1]["changes"] == [{"kind": "changed", "text": "Opens ssh"}]
    assert told["licence"] == {"before": "Apache-2.0", "after": "MIT"}
    settings = {each.pop("path"): each for each in told["settings"]}
    assert settings["packages"] == {"before": ["postgresql-15"], "after": ["postgresql-2"]}
    assert settings["network_profile.security_groups"]["after"][0]["rules"][0]["cidr"] == "0.0.0.0/0"
    gained = [each["text"] for each in told["permissions"]["gained"]]
    assert "lets in tcp 22 from everyone (ssh)" in gained
    assert told["script_sha256"] == APPROVED
    assert client_of(make_member(buyer, "viewer")).get(url).status_code == 200
    assert client_of(alice).get(url).status_code == 404


def test_the_preview_hides_what_has_not_been_bought(installed, two_releases, listing, alice, bob):
    make_price(listing, alice)
    told = client_of(bob).get(f"/api/v1/installations/{installed.pk}/preview/").json()
    assert (told["settings"], told["script_sha256"]) == (None, "")
    assert [each["version"] for each in told["changelog"]] == ["1.2.0", "1.1.0"]
    assert told["licence"]["after"] == "MIT"
    kinds = {each["kind"]: each["text"] for each in told["permissions"]["gained"]}
    assert set(kinds.values()) <= {"sets security groups", "asks for packages"}


def test_a_group_that_lets_nobody_in_is_told(client, installed, listing, persona, alice, bob):
    """All is dropped that the machine was asked before: a first look must not read as if nothing were set."""
    part_update(part=persona.network_profile, by=alice, security_groups=[{"name": "shut", "rules": []}])
    persona_update(persona=Persona.objects.get(pk=persona.pk), by=alice, packages=[])
    fresh = Listing.objects.get(pk=listing.pk)
    newer = release_publish(listing=fresh, by=alice, version="1.1.0", licence="MIT")
    client.force_login(bob)
    page = client.get(listing.get_absolute_url()).content.decode()
    assert "lets nobody in (shut)" in page
    releases = client_of(bob).get(f"/api/v1/listings/{listing.pk}/releases/").json()
    told = [each for each in releases[0]["permissions"] if each["kind"] == "port"]
    assert told == [{"kind": "port", "text": "lets nobody in (shut)", "is_grave": True}]
    gained = delta(bundle_in(installed.release), bundle_in(newer)).gained
    assert [each.text for each in gained] == ["lets nobody in (shut)"]
    make_price(listing, alice)
    page = client.get(listing.get_absolute_url()).content.decode()
    assert "sets security groups" in page and "shut" not in page


def test_the_preview_wants_a_release_of_this_listing(installed, alice, bob, seller):
    publisher = installed.listing.publisher
    own = make_persona(department=seller, packages=["x"])
    other = listing_create(by=alice, publisher=publisher, persona=own, **WORDS)
    theirs = release_publish(listing=other, by=alice, version="1.0.0", licence="MIT")
    url = f"/api/v1/installations/{installed.pk}/preview/"
    for wrong in (str(theirs.pk), "junk"):
        refused = client_of(bob).get(url, {"release": wrong})
        assert refused.status_code == 400
        assert refused.json()["errors"][0]["pointer"] == "#/release"
    assert client_of(bob).get(url, {"release": str(installed.release_id)}).json()["changelog"] == []


def test_another_than_the_newest_by_page(client, installed, two_releases, buyer, bob):
    middle, newest = two_releases
    client.force_login(bob)
    page = client.get(installed.get_absolute_url()).content.decode()
    update = reverse("marketplace:installation_update", args=[installed.pk])
    assert f"{update}?release={middle.pk}" in page and f"{update}?release={newest.pk}" in page
    assert f"{update}?release={installed.release_id}" not in page
    assert client.get(update, {"release": "junk"}).status_code == 404
    shown = client.get(update, {"release": middle.pk}).content.decode()
    assert "Update to 1.1.0" in shown and "Newer packages" not in shown
    assert client.post(f"{update}?release={middle.pk}").status_code == 302
    installed.refresh_from_db()
    assert installed.release == middle
    back = client.get(update, {"release": two_releases[0].listing.releases.get(version="1.0.0").pk})
    assert "Go back to 1.0.0" in back.content.decode() and "Opens ssh" in back.content.decode()


def test_each_version_that_can_be_installed_offers_it(client, release, publish, listing, alice, bob, seller):
    newer = publish("1.1.0", packages=["x"])
    client.force_login(bob)
    links = [reverse("marketplace:release_install", args=[each.pk]) for each in (release, newer)]
    page = client.get(listing.get_absolute_url()).content.decode()
    assert page.count(links[0]) == 1 and page.count(links[1]) == 2  # the head offers the newest
    release_yank(release=release, by=alice, reason="broken")
    assert links[0] not in client.get(listing.get_absolute_url()).content.decode()
