"""Commands of acceptance checks run as root: they are told, checked and let in as scripts are."""

import pytest
from django.urls import reverse

from marketplace.domain.manifest import delta, manifest, manifest_hidden
from marketplace.models import Installation, Listing
from marketplace.services.forks import fork_create, fork_update
from marketplace.services.installing import bundle_in, installation_create, installation_update
from marketplace.services.publishing import release_findings, release_publish
from personas.errors import BadInput
from personas.models import Persona
from personas.services.approvals import script_approve
from personas.services.departments import membership_set
from personas.services.personas import persona_update
from tests.marketplace.test_sharing import APPROVED
from tests.personas.test_api import client_of

pytestmark = pytest.mark.django_db
COMMAND = "pg_isready -q"


def command(text=COMMAND) -> dict:
    return {"kind": "command", "command": text}


@pytest.fixture
def publish(listing, alice):
    def published(version, *checks, **changes):
        persona = Persona.objects.get(pk=listing.persona_id)
        persona_update(persona=persona, by=alice, acceptance_checks=list(checks), **changes)
        fresh = Listing.objects.get(pk=listing.pk)
        return release_publish(listing=fresh, by=alice, version=version, licence="Apache-2.0")

    return published


@pytest.fixture
def commanding(publish):
    return publish("2.0.0", command(), {"kind": "tcp", "port": 5432}, command())


def root_of(release) -> str:
    return bundle_in(release).root_sha256


def own(installation) -> Persona:
    return Persona.objects.get(pk=installation.persona_id)


def refused(error) -> str:
    (told,) = error.value.errors["approved_script_sha256"]
    return told


def test_a_command_is_a_grave_permission_and_hidden_by_kind(release, commanding):
    bundle = bundle_in(commanding)
    told = [each for each in manifest(bundle) if each.kind == "command"]
    assert told == [("command", f"runs “{COMMAND}” as root in the guest, to check it", True)]
    assert [each.kind for each in delta(bundle_in(release), bundle).gained] == ["command"]
    (hidden,) = [each for each in manifest_hidden(bundle) if each.kind == "command"]
    assert hidden.is_grave and COMMAND not in hidden.text


def test_shellcheck_reads_commands_before_they_are_published(publish, listing, alice):
    with pytest.raises(BadInput) as raised:
        publish("2.0.0", command("if true; then"))
    assert any(line.startswith("Command 1 of its checks: ") for line in raised.value.errors["persona"])
    persona = Persona.objects.get(pk=listing.persona_id)
    persona_update(persona=persona, by=alice, acceptance_checks=[command("cd /srv; ls")])
    fresh = Listing.objects.get(pk=listing.pk)
    told = release_findings(listing=fresh, by=alice, version="2.0.0", licence="MIT")
    assert [(each.level, each.place) for each in told if each.check == "shellcheck"] == [
        ("warning", "persona")
    ]


def test_commands_come_in_only_by_the_hash_that_was_read(commanding, bob, buyer):
    assert root_of(commanding) != APPROVED
    for claimed in ("", APPROVED):
        with pytest.raises(BadInput) as raised:
            installation_create(release=commanding, department=buyer, by=bob, approved_script_sha256=claimed)
        assert root_of(commanding) in refused(raised) and "script and commands" in refused(raised)
    made = installation_create(
        release=commanding, department=buyer, by=bob, approved_script_sha256=root_of(commanding)
    )
    assert own(made).post_migration_script.is_approved(APPROVED)


def test_commands_alone_have_to_be_read_too(publish, bob, buyer):
    release = publish("2.0.0", command(), post_migration_script=None)
    with pytest.raises(BadInput):
        installation_create(release=release, department=buyer, by=bob)
    installation_create(release=release, department=buyer, by=bob, approved_script_sha256=root_of(release))


def test_who_published_commands_does_not_let_them_in(release, commanding, alice, bob, buyer):
    membership_set(department=buyer, username="alice", role="admin", by=bob)
    asked = {"department": buyer, "by": alice}
    with pytest.raises(BadInput) as raised:
        installation_create(release=commanding, approved_script_sha256=root_of(commanding), **asked)
    assert "somebody else" in refused(raised)
    made = installation_create(release=release, approved_script_sha256=APPROVED, **asked)
    with pytest.raises(BadInput):
        installation_update(
            installation=made, release=commanding, by=alice, approved_script_sha256=root_of(commanding)
        )
    assert own(made).acceptance_checks == []


def test_an_update_asks_for_what_is_new_and_for_that_once(release, commanding, publish, bob, buyer):
    made = installation_create(release=release, department=buyer, by=bob, approved_script_sha256=APPROVED)
    with pytest.raises(BadInput):
        installation_update(installation=made, release=commanding, by=bob)
    installation_update(
        installation=made, release=commanding, by=bob, approved_script_sha256=root_of(commanding)
    )
    same = publish("2.1.0", command(), {"kind": "tcp", "port": 5433})
    installation_update(installation=made, release=same, by=bob)
    other = publish("2.2.0", command("pg_isready -q -h localhost"))
    with pytest.raises(BadInput):
        installation_update(installation=made, release=other, by=bob)
    assert [each.get("command") for each in own(made).acceptance_checks] == [COMMAND, None]


def test_a_merge_brings_in_no_command_unread(release, commanding, bob, buyer):
    fork = fork_create(release=release, department=buyer, by=bob, approved_script_sha256=APPROVED)
    with pytest.raises(BadInput):
        fork_update(installation=fork, release=commanding, by=bob, approved_script_sha256=APPROVED)
    persona_update(persona=own(fork), by=bob, acceptance_checks=[command("true")])
    asked = {"installation": fork, "release": commanding, "by": bob}
    path = "persona/settings/acceptance_checks"
    with pytest.raises(BadInput):
        fork_update(**asked, choices={path: "theirs"})
    fork_update(**asked, choices={path: "ours"})
    assert own(fork).acceptance_checks == [command("true")]


def test_a_merge_takes_commands_that_were_read(release, commanding, bob, buyer):
    fork = fork_create(release=release, department=buyer, by=bob, approved_script_sha256=APPROVED)
    fork_update(installation=fork, release=commanding, by=bob, approved_script_sha256=root_of(commanding))
    assert own(fork).acceptance_checks[0]["command"] == COMMAND


def test_an_update_approves_no_script_that_nobody_has_read(release, publish, alice, bob, buyer):
    membership_set(department=buyer, username="alice", role="admin", by=bob)
    made = installation_create(release=release, department=buyer, by=alice, approved_script_sha256=APPROVED)
    newer = publish("1.1.0", packages=["x"])
    installation_update(installation=made, release=newer, by=bob)
    script = own(made).post_migration_script
    assert not script.is_approved(APPROVED)
    script_approve(script=script, sha256=APPROVED, by=bob)
    installation_update(installation=made, release=publish("1.2.0", packages=["y"]), by=bob)
    assert own(made).post_migration_script.is_approved(APPROVED)


def test_by_page_and_by_api(client, release, commanding, alice, bob, buyer):
    client.force_login(bob)
    url = reverse("marketplace:release_install", args=[commanding.pk])
    page = client.get(url).content.decode()
    assert "Commands of its checks" in page and COMMAND in page and root_of(commanding) in page
    asked = {"department": buyer.pk, "name": "Ours"}
    assert "approved_script_sha256" in client.post(url, asked).context["form"].errors
    told = client_of(bob).get(f"/api/v1/releases/{commanding.pk}/").json()
    assert told["script_sha256"] == root_of(commanding)
    body = {"release": str(commanding.pk), "department": str(buyer.pk), "approved_script_sha256": APPROVED}
    answer = client_of(bob).post("/api/v1/installations/", body)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == "#/approved_script_sha256"
    assert client.post(url, {**asked, "approved_script_sha256": "on"}).status_code == 302
    assert Installation.objects.get().approved_script_sha256 == root_of(commanding)


def test_an_update_by_page_shows_the_commands(client, release, commanding, bob, buyer):
    made = installation_create(release=release, department=buyer, by=bob, approved_script_sha256=APPROVED)
    client.force_login(bob)
    url = client.get(reverse("marketplace:installation_update", args=[made.pk])).url
    page = client.get(url).content.decode()
    assert "Commands of its checks" in page and "I have read the changed script and commands" in page
    assert client.post(url, {"approved_script_sha256": "on"}).status_code == 302
    assert own(made).acceptance_checks[0]["command"] == COMMAND
