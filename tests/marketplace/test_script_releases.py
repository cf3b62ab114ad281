"""A persona with several scripts, parameters and secrets is published, installed, updated, forked and taken out."""

import pytest
from django.urls import reverse

from marketplace.domain.envelope import seal
from marketplace.models import Installation, Listing, Publisher
from marketplace.services.forks import fork_create, fork_merge, fork_update
from marketplace.services.importing import bundle_import, trusted_key_create
from marketplace.services.installing import (
    bundle_in,
    installation_create,
    installation_remove,
    installation_update,
)
from marketplace.services.publishing import listing_create, publisher_create, release_publish
from migrations_engine.services.plan import plan_make
from personas.errors import BadInput, InUse
from personas.models import Persona, Script, Secret
from personas.services.approvals import script_approve
from personas.services.personas import persona_update
from personas.services.rows import row_delete
from personas.services.scripts import script_clone, script_create, script_update
from personas.services.secrets import secret_create
from tests.factories import make_member, make_persona, make_target, make_template, make_vm
from tests.marketplace.shop import buy, grant, make_price, superuser
from tests.marketplace.test_feed import refreshed, subscribed, wire
from tests.marketplace.test_signing import KEY_A, A
from tests.personas.test_api import client_of

__all__ = ["subscribed", "wire"]  # fixtures

pytestmark = pytest.mark.django_db
PORT = {"name": "PORT", "kind": "integer", "default": 5432}
CHECK = "#!/usr/bin/env python3\nprint(1)\n"
REPORT = "Write-Output 1\n"


@pytest.fixture
def scripts(alice, seller):
    own = {"by": alice, "department": seller}
    return {
        "check": script_create(name="Check", body=CHECK, interpreter="python3", parameters=[PORT], **own),
        "report": script_create(name="Report", body=REPORT, interpreter="pwsh", **own),
    }


@pytest.fixture
def entries():
    first = {
        "name": "check",
        "phase": "after_checks",
        "order": 5,
        "os": ["debian"],
        "timeout_s": 60,
        "retries": 2,
    }
    first |= {"parameters": {"PORT": 5433}, "secrets": {"PASSWORD": "db-password"}}
    return [first, {"name": "report"}]


@pytest.fixture
def full(persona, scripts, entries, alice):
    """With its own plain script, `tune`, before them."""
    return persona_update(persona=persona, by=alice, script_entries=entries)


@pytest.fixture
def publish(full, publish):
    return publish


@pytest.fixture
def release(publish):
    return publish("1.0.0")


def root_of(release) -> str:
    return bundle_in(release).root_sha256


def install(release, department, by, make=installation_create, **asked) -> Installation:
    asked = {"approved_script_sha256": root_of(release), **asked}
    return make(release=release, department=department, by=by, **asked)


def own(installation) -> Persona:
    return Persona.objects.get(pk=installation.persona_id)


def rows(department) -> dict[str, Script]:
    return {row.slug: row for row in Script.objects.filter(department=department)}


def entry_of(installation, name="check") -> dict:
    (entry,) = [each for each in own(installation).script_entries if each["name"] == name]
    return entry


# --- publish ---------------------------------------------------------------------------------------------------------


def test_a_release_carries_every_script_and_no_value_of_a_secret(release, full, entries, alice, seller):
    secret_create(by=alice, department=seller, name="db-password", slug="db-password", value="hunter2hunter2")
    bundle = bundle_in(release)
    assert {each.slug: (each.interpreter, each.body) for each in bundle.carried} == {
        "check": ("python3", CHECK),
        "report": ("pwsh", REPORT),
        "tune": ("sh", "#!/bin/sh\necho tuned\n"),
    }
    assert bundle.persona.settings["post_migration"]["scripts"] == [{"name": "tune"}, *entries]
    assert [each.model_dump(exclude_defaults=True) for each in bundle.carried[0].parameters] == [PORT]
    assert bundle.secret_names == ["db-password"]
    assert b"hunter2" not in bytes(release.bundle)


def test_the_same_persona_is_the_same_release(release, publish):
    assert publish("1.0.0") == release


def test_what_is_wrong_with_one_of_them_is_told_at_that_one(publish, scripts, alice):
    script_update(script=scripts["check"], by=alice, body="print(\n")
    with pytest.raises(BadInput) as raised:
        publish("1.0.0")
    assert set(raised.value.errors) == {"scripts.check"}


def test_the_page_of_publishing_names_the_script(client, publish, scripts, listing, alice):
    script_update(script=scripts["check"], by=alice, body="print(\n")
    client.force_login(alice)
    asked = {"version": "1.0.0", "licence": "MIT"}
    page = client.post(f"/marketplace/listings/{listing.pk}/release/", asked).content.decode()
    assert "scripts.check: line 1: Python can" in page


def test_scripts_that_are_too_large_together_are_refused(full, entries, alice, seller, publish):
    body = "#!/bin/sh\n" + "# a line that says nothing\n" * 9000
    more = [script_create(by=alice, department=seller, name=f"Large {n}", body=body).slug for n in range(5)]
    with pytest.raises(BadInput, match="larger than 1024 KiB"):
        publish("1.0.0", script_entries=[*entries, *({"name": slug} for slug in more)])


# --- install ---------------------------------------------------------------------------------------------------------


def test_an_installation_has_every_script_under_its_own_name_and_approved(
    release, bob, buyer, secret, entries
):
    Script.objects.create(name="Check", slug="check", department=buyer)
    made = install(release, buyer, bob, secrets={"db-password": "our-password"})
    there = rows(buyer)
    assert set(there) == {"tune", "check", "check-2", "report"}
    assert (there["check-2"].latest.parameters, there["check-2"].latest.interpreter) == ([PORT], "python3")
    assert own(made).post_migration_script == there["tune"]
    renamed = entries[0] | {"name": "check-2", "secrets": {"PASSWORD": "our-password"}}
    assert own(made).script_entries == [renamed, entries[1]]
    for slug in ("tune", "check-2", "report"):
        script = there[slug]
        assert (script.origin, script.is_approved(script.latest.sha256)) == ("marketplace", True)
    assert own(made).origin_revision == own(made).revision


def test_no_hash_no_script(release, bob, buyer):
    for claimed in ("", bundle_in(release).carried[0].sha256):
        with pytest.raises(BadInput, match="3 scripts"):
            install(release, buyer, bob, approved_script_sha256=claimed)
    assert not rows(buyer)


def test_who_published_them_leaves_each_to_somebody_else(release, alice, seller):
    make_member(seller, "admin", "carol")
    made = install(release, seller, alice)
    came = Script.objects.filter(department=seller, origin="marketplace")
    assert came.count() == 3 and not any(row.is_approved(row.latest.sha256) for row in came)
    assert own(made).script_entries[0]["name"] == "check-2"


def test_a_secret_is_not_given_for_what_it_is_called(release, bob, buyer):
    """The department has one of the very name that the publisher uses."""
    secret_create(by=bob, department=buyer, name="Theirs", slug="db-password", value="x8Kq02mzPw")
    made = install(release, buyer, bob)
    (asked,) = entry_of(made)["secrets"].values()
    assert asked.startswith("db-password-") and made.secrets == {}
    template = make_template(department=buyer)
    plan = plan_make(template=template, vm=make_vm(buyer), personas=[own(made)], target=make_target(), by=bob)
    (problem,) = [each["problems"] for each in plan.document["scripts"] if each["problems"]]
    assert problem == [f"The department has no secret {asked}, which it finds in PASSWORD."]
    assert {"script.problems"} <= {each["id"] for each in plan.blockers}
    secret_create(by=bob, department=buyer, name="Given", slug=asked, value="x8Kq02mzPw")
    plan = plan_make(template=template, vm=make_vm(buyer, name="b"), personas=[own(made)], by=bob)
    assert not any(each["problems"] for each in plan.document["scripts"])


def test_a_plan_has_them_in_order_and_none_runs_before_its_very_text_is_approved(release, bob, buyer, secret):
    made = install(release, buyer, bob, secrets={"db-password": "our-password"})
    rows(buyer)["report"].approvals.all().delete()
    asked = {
        "template": make_template(department=buyer),
        "vm": make_vm(buyer),
        "target": make_target(),
        "by": bob,
    }
    plan = plan_make(personas=[own(made)], **asked)
    told = [(each["name"], each["phase"], each["approved"]) for each in plan.document["scripts"]]
    assert told == [
        ("tune", "after_network", True),
        ("report", "after_network", False),
        ("check", "after_checks", True),
    ]
    check = plan.document["scripts"][2]
    assert (check["environment"], check["secrets"]) == ({"PORT": "5433"}, {"PASSWORD": "our-password"})
    assert (check["os"], check["timeout_s"], check["retries"]) == (["debian"], 60, 2)
    assert "script.unapproved" in {each["id"] for each in plan.blockers}
    script_approve(script=rows(buyer)["report"], sha256=rows(buyer)["report"].latest.sha256, by=bob)
    plan = plan_make(personas=[own(made)], **asked)
    assert "script.unapproved" not in {each["id"] for each in plan.blockers}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"other": "our-password"}, "asks for no secret called other"),
        ({"db-password": "x"}, "has no secret x"),
    ],
)
def test_a_secret_that_is_not_asked_for_or_not_there_is_refused(release, bob, buyer, secret, given, told):
    with pytest.raises(BadInput, match=told) as raised:
        install(release, buyer, bob, secrets=given)
    assert set(raised.value.errors) == {"secrets"}
    assert not rows(buyer)


def test_uninstall_takes_every_script_out_but_what_others_use(release, bob, buyer):
    made = install(release, buyer, bob)
    other = make_persona(department=buyer, script_entries=[{"name": "report"}])
    installation_remove(installation=made, by=bob)
    assert set(rows(buyer)) == {"report"}
    assert other.script_entries == [{"name": "report"}]


def test_a_script_that_the_installed_persona_runs_is_in_use(release, bob, buyer):
    install(release, buyer, bob)
    with pytest.raises(InUse):
        row_delete(row=rows(buyer)["check"], by=bob)


# --- update ----------------------------------------------------------------------------------------------------------


def test_an_update_renews_each_where_it_stands_and_keeps_the_secrets(
    release, publish, scripts, bob, buyer, alice, secret
):
    made = install(release, buyer, bob, secrets={"db-password": "our-password"})
    before = {slug: row.pk for slug, row in rows(buyer).items()}
    script_update(script=scripts["report"], by=alice, body="Write-Output 2\n")
    newer = publish("1.1.0")
    with pytest.raises(BadInput) as raised:
        installation_update(installation=made, release=newer, by=bob)
    assert set(raised.value.errors) == {"approved_script_sha256"}
    updated = installation_update(
        installation=made, release=newer, by=bob, approved_script_sha256=root_of(newer)
    )
    assert {slug: row.pk for slug, row in rows(buyer).items()} == before
    report = rows(buyer)["report"]
    assert report.latest.body == "Write-Output 2\n" and report.is_approved(report.latest.sha256)
    assert entry_of(updated)["secrets"] == {"PASSWORD": "our-password"}
    back = installation_update(
        installation=updated, release=release, by=bob, approved_script_sha256=root_of(release)
    )
    assert rows(buyer)["report"].latest.body == REPORT and back.release == release


def test_an_update_that_only_hands_out_another_secret_has_to_be_read(
    release, publish, entries, bob, buyer, secret
):
    made = install(release, buyer, bob, secrets={"db-password": "our-password"})
    newer = publish("1.1.0", script_entries=[entries[0], entries[1] | {"secrets": {"KEY": "db-password"}}])
    with pytest.raises(BadInput, match="runs as root"):
        installation_update(installation=made, release=newer, by=bob)
    assert "secrets" not in entry_of(made, "report")


def test_from_one_plain_script_to_many_and_back(persona, listing, scripts, entries, alice, bob, buyer):
    listing = Listing.objects.get(pk=listing.pk)
    plain = release_publish(listing=listing, by=alice, version="1.0.0", licence="MIT")
    made = install(plain, buyer, bob)
    made.made = [row[:2] for row in made.made]  # as an installation of before has it
    made.save()
    tune = rows(buyer)["tune"].pk
    persona_update(persona=persona, by=alice, script_entries=entries)
    newer = release_publish(
        listing=Listing.objects.get(pk=listing.pk), by=alice, version="2.0.0", licence="MIT"
    )
    made = installation_update(
        installation=made, release=newer, by=bob, approved_script_sha256=root_of(newer)
    )
    assert rows(buyer)["tune"].pk == tune and set(rows(buyer)) == {"tune", "check", "report"}
    made = installation_update(
        installation=made, release=plain, by=bob, approved_script_sha256=root_of(plain)
    )
    assert set(rows(buyer)) == {"tune"} and own(made).script_entries == []


def test_the_update_shows_each_scripts_difference_and_what_it_may_do(
    client, release, publish, scripts, listing, bob, buyer, alice
):
    made = install(release, buyer, bob)
    script_update(script=scripts["check"], by=alice, body="#!/usr/bin/env python3\nprint(2)\n")
    newer = publish("1.1.0")
    told = client_of(bob).get(f"/api/v1/installations/{made.pk}/preview/").json()
    (changed,) = told["scripts"]
    assert (changed["slug"], changed["name"]) == ("check", "Check")
    assert "-print(1)\n+print(2)" in changed["diff"]
    assert [each["kind"] for each in told["permissions"]["gained"]] == ["script"]
    assert "Check" in told["permissions"]["gained"][0]["text"]
    assert [each["path"] for each in told["settings"]] == ["scripts.check.sha256"]
    client.force_login(bob)
    url = client.get(reverse("marketplace:installation_update", args=[made.pk])).url
    page = client.get(url).content.decode()
    assert "+print(2)" in page and "runs “Check” as root" in page and "runs “Report” as root" not in page
    assert client.post(url, {"approved_script_sha256": "on"}).status_code == 302
    assert own(made).installation.release == newer
    make_price(listing, alice)
    hidden = client_of(bob).get(f"/api/v1/installations/{made.pk}/preview/").json()
    assert hidden["scripts"] is None


# --- by page and API -------------------------------------------------------------------------------------------------


def test_installing_by_page_shows_all_that_runs_and_asks_for_the_secret(
    client, release, bob, buyer, secret, alice
):
    client.force_login(bob)
    url = reverse("marketplace:release_install", args=[release.pk])
    page = client.get(url).content.decode()
    for said in (
        "print(1)",
        "Write-Output 1",
        "echo tuned",
        "PORT=5433",
        "db-password",
        "I have read the 3 scripts",
    ):
        assert said in page, said
    asked = {"department": buyer.pk, "name": "Ours", "approved_script_sha256": "on"}
    foreign = secret_create(
        by=superuser(), department=alice.departments.get(), name="F", slug="f", value="12345678"
    )
    assert "secret_0" in client.post(url, asked | {"secret_0": foreign.pk}).context["form"].errors
    assert client.post(url, asked | {"secret_0": secret.pk}).status_code == 302
    made = Installation.objects.get()
    assert made.secrets == {"db-password": "our-password"}
    assert entry_of(made)["secrets"] == {"PASSWORD": "our-password"}


def test_installing_and_updating_by_api(release, publish, entries, bob, buyer, secret):
    client = client_of(bob)
    (told,) = client.get(f"/api/v1/listings/{release.listing_id}/releases/").json()
    assert told["secrets"] == ["db-password"]
    asked = {"release": str(release.pk), "department": str(buyer.pk)}
    asked |= {"approved_script_sha256": told["script_sha256"], "secrets": {"db-password": "our-password"}}
    made = client.post("/api/v1/installations/", asked)
    assert (made.status_code, made.json()["secrets"]) == (201, {"db-password": "our-password"})
    second = secret_create(by=bob, department=buyer, name="Key", slug="our-key", value="x8Kq02mzPw")
    newer = publish("1.1.0", script_entries=[entries[0], entries[1] | {"secrets": {"KEY": "api-key"}}])
    asked = {
        "release": str(newer.pk),
        "approved_script_sha256": root_of(newer),
        "secrets": {"api-key": second.slug},
    }
    answer = client.post(f"/api/v1/installations/{made.json()['id']}/update/", asked)
    assert answer.json()["secrets"] == {"db-password": "our-password", "api-key": "our-key"}


# --- forks -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def fork(release, bob, buyer, secret):
    return install(release, buyer, bob, make=fork_create, secrets={"db-password": "our-password"})


def test_what_a_fork_calls_its_scripts_and_secrets_is_no_change(fork, publish, bob):
    newer = publish("1.1.0", machine="q35")
    merge = fork_merge(installation=fork, release=newer)
    assert (merge.taken, merge.kept, merge.conflicts) == (["persona/settings/machine"], [], [])
    updated = fork_update(installation=fork, release=newer, by=bob)
    assert entry_of(updated)["secrets"] == {"PASSWORD": "our-password"}
    assert own(updated).origin_revision == own(updated).revision


def test_ones_own_text_stays_and_theirs_comes_where_only_they_changed(
    fork, publish, scripts, bob, buyer, alice
):
    script_update(script=rows(buyer)["report"], by=bob, body="Write-Output 9\n")
    script_update(script=scripts["check"], by=alice, body="print(2)\n")
    newer = publish("1.1.0")
    merge = fork_merge(installation=fork, release=newer)
    assert (merge.taken, merge.kept) == (["scripts/check/body"], ["scripts/report/body"])
    with pytest.raises(BadInput, match="runs as root"):
        fork_update(installation=fork, release=newer, by=bob)
    fork_update(installation=fork, release=newer, by=bob, approved_script_sha256=root_of(newer))
    there = rows(buyer)
    assert (there["report"].latest.body, there["check"].latest.body) == ("Write-Output 9\n", "print(2)\n")
    assert there["check"].is_approved(there["check"].latest.sha256)
    assert not there["report"].is_approved(there["report"].latest.sha256)  # nobody has approved that text


def test_a_script_and_a_secret_of_ones_own_stay_ones_own(fork, publish, bob, buyer):
    mine = script_create(by=bob, department=buyer, name="Mine", body="#!/bin/sh\necho mine\n")
    secret_create(by=bob, department=buyer, name="D", slug="db-password", value="x8Kq02mzPw")
    first, second = own(fork).script_entries
    changed = [first | {"secrets": {"PASSWORD": "db-password"}}, second, {"name": "mine"}]
    persona_update(persona=own(fork), by=bob, script_entries=changed)
    fork_update(installation=fork, release=publish("1.1.0", machine="q35"), by=bob)
    assert own(fork).script_entries == changed and own(fork).machine == "q35"
    mine.refresh_from_db()
    assert mine.origin == "" and rows(buyer).keys() == {"tune", "check", "report", "mine"}
    persona_update(persona=own(fork), by=bob, script_entries=[first, second])
    installation_remove(installation=Installation.objects.get(), by=bob)
    assert set(rows(buyer)) == {"mine"}


def test_their_script_of_the_name_of_ones_own_meets_it_nowhere(
    fork, publish, entries, bob, buyer, alice, seller
):
    script_create(by=bob, department=buyer, name="Extra", body="#!/bin/sh\necho ours\n")
    persona_update(persona=own(fork), by=bob, script_entries=[*own(fork).script_entries, {"name": "extra"}])
    script_create(by=alice, department=seller, name="Extra", body="#!/bin/sh\necho theirs\n")
    newer = publish("1.1.0", script_entries=[*entries, {"name": "extra"}])
    path = "persona/settings/post_migration/scripts"
    fork_update(
        installation=fork,
        release=newer,
        by=bob,
        choices={path: "theirs"},
        approved_script_sha256=root_of(newer),
    )
    there = rows(buyer)
    assert there["extra"].latest.body == "#!/bin/sh\necho ours\n"
    assert there["extra-2"].latest.body == "#!/bin/sh\necho theirs\n"
    assert [each["name"] for each in own(fork).script_entries] == ["check", "report", "extra-2"]


# --- elsewhere -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["feed", "file"])
def test_another_instance_takes_it_over_with_every_script(way, release, listing, request, bob, buyer):
    if way == "feed":
        taken = refreshed(request.getfixturevalue("subscribed")).newest
    else:
        trusted_key_create(public_key=KEY_A, name="By telephone", by=superuser())
        taken = bundle_import(content=seal("bundle", bytes(release.bundle), A), by=superuser())
        Publisher.objects.update(held_reason="")  # it is called as one that is here
    assert taken != release and (taken.sha256, bundle_in(taken)) == (release.sha256, bundle_in(release))
    made = install(taken, buyer, bob)
    assert set(rows(buyer)) == {"tune", "check", "report"} and len(own(made).script_entries) == 2


@pytest.mark.parametrize(("licence", "price"), [("CC-BY-ND-4.0", None), ("MIT", 10)])
def test_a_script_that_came_with_another_persona_is_not_passed_on(
    full, listing, alice, bob, buyer, licence, price
):
    listing = Listing.objects.get(pk=listing.pk)
    release = release_publish(listing=listing, by=alice, version="1.0.0", licence=licence)
    if price:
        make_price(listing, alice, unit_amount=price)
        grant(buyer, price)
        buy(listing, buyer, bob)
    install(release, buyer, bob)
    script_create(by=bob, department=buyer, name="Mine", body="#!/bin/sh\necho mine\n")
    publisher = publisher_create(by=bob, department=buyer, name="Web shop")
    said = {"by": bob, "publisher": publisher, "summary": "S", "readme": "R"}
    ours = make_persona("Ours", department=buyer, script_entries=[{"name": "mine"}])
    mine = listing_create(persona=ours, **said)
    persona_update(persona=ours, by=bob, script_entries=[{"name": "mine"}, {"name": "report"}])
    with pytest.raises(BadInput, match=r"Its script Report (was bought with|comes from) Tuned database 1.0.0"):
        release_publish(listing=Listing.objects.get(pk=mine.pk), by=bob, version="1.0.0", licence="MIT")
    copy = script_clone(script=rows(buyer)["report"], by=bob, department=buyer, name="Copy")
    copied = make_persona("Copied", department=buyer, script_entries=[{"name": copy.slug}])
    with pytest.raises(BadInput, match="not known here any more"):
        listing_create(persona=copied, **said)


def test_a_fork_passes_on_what_its_licence_lets_it(fork, bob, buyer):
    publisher = publisher_create(by=bob, department=buyer, name="Web shop")
    said = {"name": "Shop database", "summary": "Ours", "readme": "# Expects"}
    ours = listing_create(by=bob, publisher=publisher, persona=own(fork), **said)
    again = bundle_in(release_publish(listing=ours, by=bob, version="1.0.0", licence="MIT"))
    assert [each.slug for each in again.carried] == ["check", "report", "tune"]
    assert again.secret_names == ["our-password"]


def test_trying_it_asks_for_no_secret_and_leaves_nothing(release, bob, buyer):
    vm, template = make_vm(buyer, vcpus=1, memory_mib=512), make_template(department=buyer)
    make_target()
    asked = {"vm": str(vm.pk), "template": str(template.pk)}
    told = client_of(bob).post(f"/api/v1/listings/{release.listing_id}/forecast/", asked).json()
    assert not [each for each in told["concerns"] if each["subject"] == "post_migration.scripts"], told
    assert not rows(buyer) and not Secret.objects.filter(department=buyer).exists()
