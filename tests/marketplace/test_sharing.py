"""Publishing and installing: immutable bytes, an own copy with everything, the script only by its hash."""

import hashlib
import json

import pytest
from django.core.exceptions import ValidationError

from marketplace.domain.bundle import UnreadableBundle, pack, unpack
from marketplace.domain.dependencies import dependencies
from marketplace.domain.manifest import manifest
from marketplace.models import Installation, Listing, Release
from marketplace.models.listing import Immutable, Visibility
from marketplace.services.installing import bundle_in, installation_create, installation_remove
from marketplace.services.publishing import listing_create, publisher_create, release_publish, release_yank
from personas.domain.settings import InvalidSettings
from personas.errors import BadInput, InUse, Missing, NotAllowed, Refused
from personas.models import AuditEntry, DriverSet, Persona, Script
from personas.services.parts import part_update
from personas.services.personas import persona_update
from tests.factories import make_member, make_persona, make_template
from tests.marketplace.conftest import SCRIPT
from tests.marketplace.shop import make_price

pytestmark = pytest.mark.django_db
APPROVED = hashlib.sha256(SCRIPT.encode()).hexdigest()


def test_a_release_is_canonical_bytes_with_their_digest(release):
    content = bytes(release.bundle)
    assert hashlib.sha256(content).hexdigest() == release.sha256
    assert content.decode() == json.dumps(
        json.loads(content), sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    assert pack(bundle_in(release)) == content
    assert release.licence == "Apache-2.0"


def test_a_release_never_changes(release, alice, persona, listing):
    before = bytes(release.bundle)
    persona_update(persona=persona, by=alice, packages=["mariadb-server"])
    release.refresh_from_db()
    assert bytes(release.bundle) == before
    release.version = "9.9.9"
    with pytest.raises(Immutable):
        release.save()


def test_the_same_version_is_the_same_release_or_refused(release, alice, persona, listing):
    again = {
        "listing": listing,
        "by": alice,
        "version": "1.0.0",
        "licence": "Apache-2.0",
        "changelog": release.changelog,
    }
    assert release_publish(**again) == release
    persona_update(persona=persona, by=alice, packages=["mariadb-server"])
    listing = Listing.objects.get(pk=listing.pk)
    with pytest.raises(Refused, match="never changes"):
        release_publish(**{**again, "listing": listing})
    assert release_publish(**{**again, "listing": listing, "version": "1.10.0"}).version == "1.10.0"
    assert release_publish(**{**again, "listing": listing, "version": "1.9.0"}).version == "1.9.0"
    assert Listing.objects.get(pk=listing.pk).newest.version == "1.10.0"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"version": "1.0"}, "version"),
        ({"version": "01.0.0"}, "version"),
        ({"licence": "do what you want"}, "licence"),
        ({"changelog": [{"kind": "improved", "text": "x"}]}, "changelog.0.kind"),
    ],
)
def test_a_wrong_release_is_told_by_field(listing, alice, wrong, field):
    with pytest.raises(BadInput) as raised:
        release_publish(**{"listing": listing, "by": alice, "version": "1.0.0", "licence": "MIT", **wrong})
    assert set(raised.value.errors) == {field}
    assert not Release.objects.exists()


def test_an_installation_is_a_persona_of_ones_own_that_says_the_same(release, bob, buyer, persona):
    installed = installation_create(
        release=release, department=buyer, by=bob, approved_script_sha256=APPROVED
    )
    own = installed.persona
    assert own.pk != persona.pk
    parts = [
        own.default_driver_set,
        own.resource_allocation_profile,
        own.network_profile,
        own.post_migration_script,
    ]
    assert {part.department for part in [own, *parts]} == {buyer}
    assert own.document() == persona.document()
    assert own.post_migration_script.latest.body == SCRIPT
    assert own.default_driver_set.drivers == persona.default_driver_set.drivers
    assert own.hints == ["postgresql"]
    assert own.revision == 1
    assert AuditEntry.objects.get(action="installation.create").department == buyer


def test_an_installation_does_not_follow_the_publisher(release, alice, bob, buyer, persona):
    own = installation_create(
        release=release, department=buyer, by=bob, approved_script_sha256=APPROVED
    ).persona
    before = own.document()
    persona_update(persona=persona, by=alice, packages=["mariadb-server"])
    part_update(
        part=persona.default_driver_set, by=alice, drivers=[{"name": "net", "kernel_modules": ["e1000e"]}]
    )
    own = Persona.objects.get(pk=own.pk)
    assert own.document() == before
    assert own.default_driver_set.drivers[0]["kernel_modules"] == ["virtio_net"]


def test_names_that_are_taken_give_way(release, bob, buyer):
    DriverSet.objects.create(name="Fast", slug="fast", department=buyer, drivers=[])
    make_persona(name="Tuned database", slug="tuned-database", department=buyer)
    own = installation_create(
        release=release, department=buyer, by=bob, approved_script_sha256=APPROVED
    ).persona
    assert own.slug == "tuned-database-2"
    assert own.document()["driver_set"] == own.default_driver_set.slug == "fast-2"


def test_a_script_comes_in_only_by_the_hash_that_was_read(release, bob, buyer):
    for claimed in ("", "0" * 64):
        with pytest.raises(BadInput) as raised:
            installation_create(release=release, department=buyer, by=bob, approved_script_sha256=claimed)
        assert set(raised.value.errors) == {"approved_script_sha256"}
    assert not Installation.objects.exists()
    assert not Script.objects.filter(department=buyer).exists()


def test_tampered_bytes_are_refused_before_they_are_parsed(release, bob, buyer):
    Release.objects.filter(pk=release.pk).update(bundle=bytes(release.bundle).replace(b"tuned", b"pwned"))
    release.refresh_from_db()
    with pytest.raises(Refused, match="not those that were published"):
        installation_create(release=release, department=buyer, by=bob, approved_script_sha256=APPROVED)


@pytest.mark.parametrize(
    "content", [b"x" * (1024 * 1024 + 1), b"{", b"[" * 100_000, b"\xff", b"[]", b'{"format": "other"}']
)
def test_a_hostile_bundle_is_told(content):
    with pytest.raises((UnreadableBundle, InvalidSettings)):
        unpack(content, sha256=hashlib.sha256(content).hexdigest())


def test_one_installation_per_department(release, bob, buyer):
    installation_create(release=release, department=buyer, by=bob, approved_script_sha256=APPROVED)
    with pytest.raises(Refused, match="already"):
        installation_create(release=release, department=buyer, by=bob, approved_script_sha256=APPROVED)
    assert Installation.objects.count() == 1


def test_uninstall_removes_what_came_with_it(release, bob, buyer):
    installed = installation_create(
        release=release, department=buyer, by=bob, approved_script_sha256=APPROVED
    )
    installation_remove(installation=installed, by=bob)
    for model in (Persona, DriverSet, Script, Installation):
        assert not model.objects.filter(department=buyer).exists()


def test_uninstall_keeps_a_part_that_something_else_uses(release, bob, buyer):
    installed = installation_create(
        release=release, department=buyer, by=bob, approved_script_sha256=APPROVED
    )
    make_persona(department=buyer, default_driver_set=installed.persona.default_driver_set)
    installation_remove(installation=installed, by=bob)
    assert DriverSet.objects.filter(department=buyer).count() == 1


def test_uninstall_is_refused_while_in_use(release, bob, buyer):
    installed = installation_create(
        release=release, department=buyer, by=bob, approved_script_sha256=APPROVED
    )
    make_template("Uses it", department=buyer, persona=installed.persona)
    with pytest.raises(InUse) as raised:
        installation_remove(installation=installed, by=bob)
    assert [user["name"] for user in raised.value.extra["used_by"]] == ["Uses it"]
    assert Installation.objects.exists()


def test_a_yanked_release_is_not_installed_any_more_but_stays_where_it_is(
    release, alice, bob, buyer, listing
):
    installed = installation_create(
        release=release, department=buyer, by=bob, approved_script_sha256=APPROVED
    )
    yanked = release_yank(release=release, by=alice, reason="Breaks replication")
    assert Persona.objects.filter(pk=installed.persona_id).exists()
    installation_remove(installation=installed, by=bob)
    with pytest.raises(Refused, match="Breaks replication"):
        installation_create(release=yanked, department=buyer, by=bob, approved_script_sha256=APPROVED)
    assert Listing.objects.get(pk=listing.pk).newest is None


def test_what_is_for_one_department_is_not_there_for_others(release, listing, bob, buyer):
    Listing.objects.filter(pk=listing.pk).update(visibility=Visibility.DEPARTMENT)
    assert not Listing.objects.visible_to(bob).exists()
    with pytest.raises(Missing):
        installation_create(release=release, department=buyer, by=bob, approved_script_sha256=APPROVED)


def test_only_an_admin_publishes_and_installs(release, listing, seller, buyer, bob):
    operator, viewer = make_member(seller, "operator"), make_member(buyer, "viewer")
    with pytest.raises(NotAllowed):
        release_publish(listing=listing, by=operator, version="2.0.0", licence="MIT")
    with pytest.raises(NotAllowed):
        release_publish(listing=listing, by=bob, version="2.0.0", licence="MIT")
    with pytest.raises(NotAllowed):
        release_yank(release=release, by=bob, reason="mine now")
    with pytest.raises(NotAllowed):
        installation_create(release=release, department=buyer, by=viewer, approved_script_sha256=APPROVED)
    with pytest.raises(NotAllowed):
        installation_create(release=release, department=seller, by=bob, approved_script_sha256=APPROVED)


def test_a_department_publishes_its_own_personas_only(listing, alice, buyer):
    with pytest.raises(BadInput, match="clone it into yours"):
        listing_create(by=alice, publisher=listing.publisher, persona=make_persona(department=buyer))


def test_a_namespace_belongs_to_one(listing, bob, buyer):
    with pytest.raises(ValidationError) as raised:
        publisher_create(by=bob, department=buyer, name="DBA team")
    assert "name" in raised.value.message_dict


def test_what_it_would_do_is_computed_from_its_content(release):
    told = {permission.text: permission.is_grave for permission in manifest(bundle_in(release))}
    assert told == {
        "runs “Tune” as root in the guest (2 lines)": True,
        "lets in tcp 5432 from 10.0.0.0/8 (db)": False,
        "asks for the packages postgresql-15": False,
        "loads the kernel modules virtio_net": False,
    }


def test_what_comes_with_it_is_told_and_by_kind_only_to_who_has_not_bought(client, release, alice, bob):
    assert dependencies(bundle_in(release)) == [
        ("Driver set", "Fast", "net"),
        ("Resource profile", "Big", "4 vCPUs"),
        ("Network profile", "Inside", "db"),
        ("Script", "Tune", "sh, 2 lines"),
    ]
    client.force_login(bob)
    page = release.listing.get_absolute_url()
    assert "sh, 2 lines" in client.get(page).content.decode()
    make_price(release.listing, alice)
    shown = client.get(page).content.decode()
    assert "What comes with it" in shown and "sh, 2 lines" not in shown and "Fast" not in shown


def test_ports_that_are_open_to_everyone_want_a_second_look(alice, listing, persona):
    rules = [
        {"protocol": "tcp", "port_from": 8000, "port_to": 8080, "cidr": "0.0.0.0/0"},
        {"protocol": "tcp", "port_from": 22, "port_to": 22, "cidr": "10.0.0.0/8"},
        {"protocol": "tcp", "port_from": 22, "port_to": 22, "cidr": "192.168.0.0/16"},
    ]
    part_update(part=persona.network_profile, by=alice, security_groups=[{"name": "web", "rules": rules}])
    listing = Listing.objects.get(pk=listing.pk)
    release = release_publish(listing=listing, by=alice, version="1.0.0", licence="MIT")
    told = {
        permission.text: permission.is_grave
        for permission in manifest(bundle_in(release))
        if permission.kind == "port"
    }
    assert told == {
        "lets in tcp 8000-8080 from everyone (web)": True,
        "lets in tcp 22 from 10.0.0.0/8, 192.168.0.0/16 (web)": False,
    }
