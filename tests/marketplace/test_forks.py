"""A fork goes its own way and still takes over what changes upstream."""

import pytest

from marketplace.domain.licences import allows_derivatives
from marketplace.domain.three_way import three_way
from marketplace.models import Listing
from marketplace.services.forks import fork_create, fork_merge, fork_update
from marketplace.services.installing import installation_update
from marketplace.services.publishing import listing_create, publisher_create, release_publish
from personas.errors import BadInput, NotAllowed, Refused
from personas.models import Persona
from personas.services.parts import part_update
from personas.services.personas import persona_clone, persona_update
from personas.services.scripts import script_update
from tests.factories import make_member, make_persona
from tests.marketplace.conftest import WORDS
from tests.marketplace.shop import install, make_price
from tests.marketplace.test_sharing import APPROVED
from tests.personas.test_api import client_of


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True),
        ("GPL-2.0-or-later WITH Classpath-exception-2.0", True),
        ("CC-BY-ND-4.0", False),
        ("CC-BY-NC-ND-4.0 OR MIT", True),
        ("CC-BY-ND-4.0 AND MIT", False),
        ("(MIT OR CC-BY-ND-4.0) AND Apache-2.0", True),
        ("LicenseRef-Ours", False),
    ],
)
def test_whether_a_licence_lets_one_go_his_own_way(expression, allowed):
    assert allows_derivatives(expression) is allowed


def test_three_ways():
    base = {"a": 1, "b": {"x": 1, "y": 1}, "l": [1], "gone": 1, "both": 1}
    ours = {"a": 2, "b": {"x": 1, "y": 2}, "l": [1], "gone": 1, "both": 2, "own": 1}
    theirs = {"a": 1, "b": {"x": 3, "y": 1}, "l": [1, 2], "both": 3, "new.key": 1}
    merge = three_way(base, ours, theirs)
    assert merge.taken == ["b/x", "gone", "l", "new.key"]
    assert merge.kept == ["a", "b/y", "own"]
    assert [tuple(each) for each in merge.conflicts] == [("both", 1, 2, 3)]
    assert merge.open == ["both"]
    done = three_way(base, ours, theirs, {"both": "theirs"})
    assert done.merged == {"a": 2, "b": {"x": 3, "y": 2}, "l": [1, 2], "both": 3, "own": 1, "new.key": 1}
    assert three_way(base, base, base).merged == base


def test_a_group_that_one_side_says_nothing_of_any_more_is_one_value():
    unsaid, said = {"k": None}, {"k": {"x": 1}}
    merge = three_way({}, unsaid, said)
    assert [tuple(each) for each in merge.conflicts] == [("k", None, None, {"x": 1})]
    assert three_way({}, unsaid, said, {"k": "theirs"}).merged == said
    assert three_way({}, unsaid, said, {"k": "ours"}).merged == unsaid
    assert three_way({}, said, unsaid, {"k": "ours"}).merged == said
    more = {"k": {"x": 1, "y": {"z": 2}}}
    assert three_way(said, unsaid, more).open == ["k"]
    kept, taken = three_way(said, unsaid, said), three_way(said, said, unsaid)
    assert (kept.merged, kept.kept, taken.merged, taken.taken) == (unsaid, ["k"], unsaid, ["k"])
    assert three_way({"k": {}}, {"k": {"y": 2}}, said).merged == {"k": {"x": 1, "y": 2}}


@pytest.fixture
def fork(release, bob, buyer):
    return fork_create(release=release, department=buyer, by=bob, approved_script_sha256=APPROVED)


def own(fork) -> Persona:
    return Persona.objects.get(pk=fork.persona_id)


def test_an_update_is_merged_into_ones_own_edits(fork, publish, bob):
    persona_update(persona=own(fork), by=bob, packages=["postgresql-15", "our-tool"])
    newer = publish("1.1.0", machine="q35", hints=["postgresql", "pgbouncer"])
    with pytest.raises(Refused, match="fork"):
        installation_update(installation=fork, release=newer, by=bob)
    merge = fork_merge(installation=fork, release=newer)
    assert (merge.taken, merge.kept, merge.conflicts) == (
        ["persona/hints", "persona/settings/machine"],
        ["persona/settings/packages"],
        [],
    )
    updated = fork_update(installation=fork, release=newer, by=bob)
    persona = own(fork)
    assert (persona.packages, persona.machine) == (["postgresql-15", "our-tool"], "q35")
    assert persona.hints == ["postgresql", "pgbouncer"]
    assert updated.release == newer and updated.is_fork


def test_an_update_tells_ones_own_edits_from_what_was_published(fork, publish, bob):
    fork_update(installation=fork, release=publish("1.1.0", machine="q35"), by=bob)
    assert own(fork).origin_revision == own(fork).revision
    persona_update(persona=own(fork), by=bob, packages=["ours"])
    fork_update(installation=fork, release=publish("1.2.0", hints=["mysql"]), by=bob)
    assert (own(fork).packages, own(fork).origin_revision) == (["ours"], None)


def test_what_both_changed_is_asked(fork, publish, bob):
    persona_update(persona=own(fork), by=bob, packages=["ours"])
    newer = publish("1.1.0", packages=["theirs"])
    with pytest.raises(BadInput, match="persona/settings/packages"):
        fork_update(installation=fork, release=newer, by=bob)
    fork_update(installation=fork, release=newer, by=bob, choices={"persona/settings/packages": "ours"})
    assert own(fork).packages == ["ours"]


def test_what_was_not_bought_or_is_of_another_listing_is_refused_before_a_conflict_is_told(
    fork, publish, listing, seller, alice, bob
):
    """Else a guess in the fork tells what is in the release: the same value is no conflict."""
    persona_update(persona=own(fork), by=bob, packages=["guess"])
    newer = publish("1.1.0", packages=["theirs"])
    source = make_persona("Other", department=seller, packages=["theirs"])
    other = listing_create(by=alice, publisher=listing.publisher, persona=source, **WORDS)
    strange = release_publish(listing=other, by=alice, version="1.0.0", licence="MIT")
    make_price(listing, alice)
    make_price(other, alice)
    api, url = client_of(bob), f"/api/v1/installations/{fork.pk}/"
    refused = api.post(f"{url}update/", {"release": str(strange.pk)})
    assert refused.status_code == 400
    assert [each["pointer"] for each in refused.json()["errors"]] == ["#/release"]
    unpaid = api.post(f"{url}update/", {"release": str(newer.pk)})
    assert unpaid.status_code == 402 and "order it on its page" in unpaid.json()["detail"]
    assert api.post(f"{url}merge/", {"release": str(newer.pk)}).status_code == 402
    with pytest.raises(NotAllowed):
        fork_update(installation=fork, release=newer, by=make_member(fork.department, "operator"))
    make_price(other, alice, kind="free", unit_amount=0)
    for verb in ("update", "merge"):
        refused = api.post(f"{url}{verb}/", {"release": str(strange.pk)}).json()
        assert [each["pointer"] for each in refused["errors"]] == ["#/release"]


def test_a_script_that_changed_upstream_has_to_be_read(fork, publish, persona, alice, bob):
    script_update(script=persona.post_migration_script, by=alice, body="#!/bin/sh\necho other\n")
    newer = publish("1.1.0", machine="q35")
    with pytest.raises(BadInput) as raised:
        fork_update(installation=fork, release=newer, by=bob)
    assert set(raised.value.errors) == {"approved_script_sha256"}


def test_a_script_of_ones_own_stays(fork, publish, bob):
    script_update(script=own(fork).post_migration_script, by=bob, body="#!/bin/sh\necho ours\n")
    fork_update(installation=fork, release=publish("1.1.0", machine="q35"), by=bob)
    assert own(fork).post_migration_script.latest.body == "#!/bin/sh\necho ours\n"


def test_a_licence_that_forbids_it_is_403_and_a_disabled_button(client, listing, alice, bob):
    release = release_publish(listing=listing, by=alice, version="1.0.0", licence="CC-BY-ND-4.0")
    with pytest.raises(NotAllowed, match="does not allow a fork"):
        fork_create(
            release=release, department=bob.departments.get(), by=bob, approved_script_sha256=APPROVED
        )
    client.force_login(bob)
    assert client.get(f"/marketplace/releases/{release.pk}/fork/").status_code == 403
    page = client.get(listing.get_absolute_url()).content.decode()
    assert 'disabled title="The licence CC-BY-ND-4.0 does not allow a fork."' in page


def test_forking_and_merging_by_page_and_by_api(client, release, publish, bob, buyer):
    client.force_login(bob)
    asked = {"department": buyer.pk, "name": "Ours", "approved_script_sha256": "on"}
    assert client.post(f"/marketplace/releases/{release.pk}/fork/", asked).status_code == 302
    persona = Persona.objects.get(name="Ours")
    fork = persona.installation
    persona_update(persona=persona, by=bob, packages=["ours"])
    newer = publish("1.1.0", packages=["theirs"], machine="q35")
    page = f"/marketplace/installed/{fork.pk}/"
    assert client.get(f"{page}update/").url == f"{page}merge/"
    merging = client.get(f"{page}merge/").url  # the newest, by its name
    shown = client.get(merging).content.decode()
    assert "persona/settings/machine" in shown and "say below whose value holds" in shown
    assert shown.count("<table") == shown.count("table-cards") == 2  # on a phone each setting is a card
    assert (
        '<span class="chip">theirs</span>' in shown and "[&#x27;" not in shown
    )  # values, not our lists of them
    assert client.post(merging, {"conflict_0": ""}).status_code == 200
    told = client_of(bob).post(f"/api/v1/installations/{fork.pk}/merge/", {"release": str(newer.pk)}).json()
    assert [each["path"] for each in told["conflicts"]] == ["persona/settings/packages"]
    assert client.post(merging, {"conflict_0": "theirs"}).status_code == 302
    assert own(fork).packages == ["theirs"]


def test_what_a_fork_says_nothing_of_and_upstream_says_is_asked(client, fork, publish, bob):
    persona_update(persona=own(fork), by=bob, unset=["firmware", "kernel"])
    newer = publish("1.1.0", default_kernel_version=">=6.1")
    api = f"/api/v1/installations/{fork.pk}/"
    page = f"/marketplace/installed/{fork.pk}/merge/?release={newer.pk}"
    told = client_of(bob).post(f"{api}merge/", {"release": str(newer.pk)}).json()
    (asked,) = told["conflicts"]
    assert asked == {
        "path": "persona/settings/kernel", "base": None, "ours": None, "theirs": {"version": ">=6.1"}
    }  # fmt: skip
    refused = client_of(bob).post(f"{api}update/", {"release": str(newer.pk)})
    assert refused.status_code == 400 and "persona/settings/kernel" in refused.content.decode()
    client.force_login(bob)
    shown = client.get(page).content.decode()
    assert "say below whose value holds" in shown and "version: &gt;=6.1" in shown
    assert client.post(page, {"conflict_0": "ours"}).status_code == 302
    assert (set(own(fork).unset), own(fork).default_kernel_version) == ({"firmware", "kernel"}, "")


def test_the_page_of_a_forks_update_tells_what_is_new_what_it_does_and_each_value(
    client, fork, listing, persona, alice, bob
):
    groups = [
        {"name": "ssh", "rules": [{"protocol": "tcp", "port_from": 22, "port_to": 22, "cidr": "0.0.0.0/0"}]}
    ]
    part_update(part=persona.network_profile, by=alice, security_groups=groups)
    persona_update(persona=Persona.objects.get(pk=persona.pk), by=alice, machine="q35")
    persona_update(persona=own(fork), by=bob, packages=["our-tool"])
    changes = [{"kind": "changed", "text": "Opens ssh"}]
    fresh = Listing.objects.get(pk=listing.pk)
    newer = release_publish(listing=fresh, by=alice, version="1.1.0", licence="MIT", changelog=changes)
    client.force_login(bob)
    page = client.get(f"/marketplace/installed/{fork.pk}/merge/", follow=True).content.decode()
    assert "Opens ssh" in page and "lets in tcp 22 from everyone (ssh)" in page and "Apache-2.0 → MIT" in page
    for value in ("q35", "our-tool", "postgresql-15", "tcp 22 from 0.0.0.0/0"):
        assert value in page
    told = client_of(bob).post(f"/api/v1/installations/{fork.pk}/merge/", {"release": str(newer.pk)}).json()
    assert told["taken"][:2] == ["network_profile/security_groups", "persona/settings/machine"]
    assert (told["taken_values"][1]["ours"], told["taken_values"][1]["theirs"]) == (None, "q35")
    assert told["kept_values"][0] | {"path": ""} == {
        "path": "", "base": ["postgresql-15"], "ours": ["our-tool"], "theirs": ["postgresql-15"]
    }  # fmt: skip


@pytest.fixture
def forbidden(listing, alice, bob, buyer):
    """What was installed of a licence that forbids derivatives, changed there."""
    release = release_publish(listing=listing, by=alice, version="1.0.0", licence="CC-BY-ND-4.0")
    persona = install(release, buyer, bob).persona
    return persona_update(persona=persona, by=bob, packages=["ours"])


def test_what_may_not_be_changed_is_not_published_again(client, forbidden, bob, buyer):
    publisher = publisher_create(by=bob, department=buyer, name="Web shop")
    clone = persona_clone(persona=forbidden, by=bob, department=buyer)
    why = "comes from Tuned database 1.0.0, whose licence CC-BY-ND-4.0 does not let it be published again"
    for persona in (forbidden, clone):
        asked = {"publisher": str(publisher.pk), "persona": str(persona.pk), "summary": "Ours"}
        answer = client_of(bob).post("/api/v1/listings/", asked)
        assert answer.status_code == 400 and why in str(answer.json()["errors"])
        client.force_login(bob)
        said = {"category": "other", "icon": "package", "visibility": "organisation", "tests": ""}
        asked = {**said, **asked, "version": "1.0.0", "licence": "MIT"}
        page = client.post("/marketplace/publish/", asked)
        assert why in page.context["form"].errors["persona"][0]
    assert not publisher.listings.exists()


def test_a_listing_of_it_from_before_gets_no_release(forbidden, bob, buyer):
    publisher = publisher_create(by=bob, department=buyer, name="Web shop")
    listing = Listing.objects.create(publisher=publisher, persona=forbidden, slug="ours", name="Ours")
    with pytest.raises(BadInput, match="CC-BY-ND-4"):
        release_publish(listing=listing, by=bob, version="1.0.0", licence="MIT")


def test_what_comes_from_a_catalogue_that_is_gone_is_not_published_again(buyer, bob):
    persona = make_persona("Lost", department=buyer, origin="8f9d9d7e-8a58-4d0e-a3c6-5f3a26c7a6f0")
    publisher = publisher_create(by=bob, department=buyer, name="Web shop")
    with pytest.raises(BadInput, match="not known here any more"):
        listing_create(by=bob, publisher=publisher, persona=persona)


def test_a_fork_may_be_published_and_so_may_ones_own_work(fork, bob, buyer, listing, alice, seller):
    publisher = publisher_create(by=bob, department=buyer, name="Web shop")
    assert listing_create(by=bob, publisher=publisher, persona=own(fork), summary="Ours")
    closed = release_publish(listing=listing, by=alice, version="2.0.0", licence="CC-BY-ND-4.0")
    mine = install(closed, seller, alice).persona
    assert listing_create(by=alice, publisher=listing.publisher, persona=mine, summary="Mine")


def test_a_published_fork_names_what_it_was_forked_from(client, fork, release, listing, bob, buyer):
    publisher = publisher_create(by=bob, department=buyer, name="Web shop")
    said = {"name": "Shop database", "summary": "Ours", "readme": "# Expects"}
    ours = listing_create(by=bob, publisher=publisher, persona=own(fork), **said)
    told = {"address": listing.address, "version": "1.0.0", "sha256": release.sha256}
    for visibility, version, known in (("organisation", "1.0.0", told), ("public", "1.1.0", None)):
        Listing.objects.filter(pk=ours.pk).update(visibility=visibility)
        Listing.objects.filter(pk=listing.pk).update(visibility="organisation")
        release_publish(listing=Listing.objects.get(pk=ours.pk), by=bob, version=version, licence="MIT")
        newest = client_of(bob).get(f"/api/v1/listings/{ours.pk}/releases/").json()[0]
        assert (newest["version"], newest["forked_from"]) == (version, known)
        client.force_login(bob)
        page = client.get(f"/marketplace/listings/{ours.pk}/").content.decode()
        assert ("Forked from" in page) == (known is not None)


def test_who_has_not_bought_a_fork_sees_what_it_was_forked_from(client, fork, listing, bob, buyer, alice):
    publisher = publisher_create(by=bob, department=buyer, name="Web shop")
    ours = listing_create(by=bob, publisher=publisher, persona=own(fork), name="Shop database", **WORDS)
    release_publish(listing=ours, by=bob, version="1.0.0", licence="MIT")
    make_price(ours, bob)
    client.force_login(alice)
    page = client.get(ours.get_absolute_url()).content.decode()
    assert "when bought" in page and f"{listing.address} 1.0.0" in page.partition("Forked from")[2]
