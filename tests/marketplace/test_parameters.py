"""What a publisher leaves to whoever installs it is asked, checked by type, kept, and shown; secrets are taken back."""

import pytest
from django.urls import reverse

from marketplace.domain.script_entries import given, left_open
from marketplace.models import Installation
from marketplace.services.forks import fork_create, fork_merge, fork_update
from marketplace.services.installing import bundle_in, installation_create, installation_update
from marketplace.services.publishing import listing_create, publisher_create, release_publish
from migrations_engine.services.plan import plan_make
from personas.errors import BadInput
from personas.models import Persona, Script
from personas.services.personas import persona_update
from personas.services.scripts import script_create, script_update
from personas.services.secrets import secret_create
from tests.factories import make_target, make_template, make_vm
from tests.marketplace.shop import make_price
from tests.personas.test_api import client_of

pytestmark = pytest.mark.django_db
PORT = {"name": "PORT", "kind": "integer", "description": "Where it listens."}
HOST = {"name": "HOST"}
MODE = {"name": "MODE", "kind": "choice", "choices": ["primary", "replica"]}
TLS = {"name": "TLS", "kind": "boolean"}
SIZE = {"name": "SIZE", "kind": "integer", "default": 8}
NOTE = {"name": "NOTE", "required": False}
VALUES = {"serve.PORT": 5433, "serve.HOST": "db.example", "serve.MODE": "replica", "serve.TLS": False}
GIVEN = {name.removeprefix("serve."): value for name, value in VALUES.items()}
TYPED = {"parameter_0": "5433", "parameter_1": "db.example", "parameter_2": "replica", "parameter_3": "false"}
SECRET = {"PASSWORD": "db-password"}


@pytest.fixture
def serve(alice, seller):
    said = {"body": "#!/bin/sh\necho serving\n", "parameters": [PORT, HOST, MODE, TLS, SIZE, NOTE]}
    return script_create(by=alice, department=seller, name="Serve", **said)


@pytest.fixture
def publish(serve, publish):
    return publish


@pytest.fixture
def release(publish):
    return publish("1.0.0", script_entries=[{"name": "serve", "secrets": SECRET}])


def root_of(release) -> str:
    return bundle_in(release).root_sha256


def install(release, department, by, make=installation_create, **asked) -> Installation:
    asked = {"approved_script_sha256": root_of(release), "parameters": VALUES, **asked}
    return make(release=release, department=department, by=by, **asked)


def update(installation, release, by, move=installation_update, **asked) -> Installation:
    return move(
        installation=installation,
        release=release,
        by=by,
        approved_script_sha256=root_of(release),
        **asked,
    )


def entry_of(installation, name="serve") -> dict:
    persona = Persona.objects.get(pk=installation.persona_id)
    (entry,) = [each for each in persona.script_entries if each["name"] == name]
    return entry


# --- the settings ----------------------------------------------------------------------------------------------------


def test_a_value_goes_only_where_the_variable_is_open_and_comes_out_again():
    entries = [{"name": "a", "parameters": {"P": 1}}, {"name": "a"}, {"name": "b", "secrets": {"P": "s"}}]
    settings = {"machine": "q35", "post_migration": {"scripts": entries}}
    values = {"a.P": 2, "b.P": 3}
    told = given(settings, values)
    assert told["post_migration"]["scripts"] == [
        entries[0],
        {"name": "a", "parameters": {"P": 2}},
        entries[2],
    ]
    assert left_open(told, values) == settings
    assert given({"machine": "q35"}, values) == left_open({"machine": "q35"}, values) == {"machine": "q35"}


def test_what_was_changed_by_hand_since_is_left_as_it_is():
    settings = {"post_migration": {"scripts": [{"name": "a", "parameters": {"P": 9}}]}}
    assert left_open(settings, {"a.P": 2}) == settings


# --- install ---------------------------------------------------------------------------------------------------------


def test_only_what_is_needed_and_open_is_asked(release, publish):
    assert list(bundle_in(release).parameters_asked) == list(VALUES)
    entries = [{"name": "serve", "parameters": {"PORT": 1, "HOST": "h"}, "secrets": {"MODE": "mode"}}]
    newer = publish("1.1.0", script_entries=entries)
    assert list(bundle_in(newer).parameters_asked) == ["serve.TLS"]


def test_what_is_given_reaches_the_persona_and_the_plan_which_names_who_says_it(release, bob, buyer, secret):
    Script.objects.create(name="Serve", slug="serve", department=buyer)  # so that ours is called another way
    made = install(release, buyer, bob, secrets={"db-password": "our-password"})
    assert made.parameters == VALUES and entry_of(made, "serve-2")["parameters"] == GIVEN
    persona = Persona.objects.get(pk=made.persona_id)
    assert persona.origin_revision == persona.revision  # it is as it was published
    template = make_template(department=buyer)
    plan = plan_make(template=template, vm=make_vm(buyer), personas=[persona], target=make_target(), by=bob)
    (script,) = [each for each in plan.document["scripts"] if each["name"] == "serve-2"]
    said = {"PORT": "5433", "HOST": "db.example", "MODE": "replica", "TLS": "false", "SIZE": "8"}
    assert (script["environment"], script["problems"]) == (said, [])
    (row,) = [each for each in plan.document["merged"]["origin"] if each["path"] == "post_migration.scripts"]
    (item,) = [each for each in row["items"] if each["value"]["name"] == "serve-2"]
    assert item["value"]["parameters"] == GIVEN and "Tuned database" in item["layer"]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"serve.PORT": None}, "left this to you"),
        ({"serve.PORT": "5433"}, "must be a whole number"),
        ({"serve.PORT": True}, "must be a whole number"),
        ({"serve.MODE": "third"}, "must be one of primary, replica"),
        ({"serve.TLS": "no"}, "must be true or false"),
        ({"serve.HOST": 7}, "must be text"),
        ({"serve.HOST": "a\0b"}, "without a null"),
        ({"serve.HOST": "a" * 4097}, "at most 4096"),
        ({"serve.SIZE": 9}, "asks for no such parameter"),
    ],
)
def test_what_is_missing_wrong_or_not_asked_for_is_refused_at_its_name(release, bob, buyer, changed, told):
    with pytest.raises(BadInput, match=told) as raised:
        install(release, buyer, bob, parameters={**VALUES, **changed})
    assert set(raised.value.errors) == {f"parameters.{name}" for name in changed}
    assert not Script.objects.filter(department=buyer).exists()


def test_trying_it_asks_for_nothing(release, bob, buyer):
    vm, template = make_vm(buyer, vcpus=1, memory_mib=512), make_template(department=buyer)
    make_target()
    asked = {"vm": str(vm.pk), "template": str(template.pk)}
    told = client_of(bob).post(f"/api/v1/listings/{release.listing_id}/forecast/", asked).json()
    assert not [each for each in told["concerns"] if each["subject"] == "post_migration.scripts"], told
    assert not Installation.objects.exists()


# --- update ----------------------------------------------------------------------------------------------------------


def test_an_update_keeps_the_values_asks_for_new_ones_and_drops_the_others(
    release, publish, serve, bob, buyer, alice
):
    made = install(release, buyer, bob)
    script_update(script=serve, by=alice, parameters=[PORT, HOST, {"name": "USERS", "kind": "integer"}])
    newer = publish("1.1.0")
    with pytest.raises(BadInput) as raised:
        update(made, newer, bob)
    assert set(raised.value.errors) == {"parameters.serve.USERS"}
    made = update(made, newer, bob, parameters={"serve.USERS": 3, "serve.HOST": "other.example"})
    kept = {"serve.PORT": 5433, "serve.HOST": "other.example", "serve.USERS": 3}
    assert made.parameters == kept
    assert entry_of(made)["parameters"] == {"PORT": 5433, "HOST": "other.example", "USERS": 3}


def test_a_value_that_has_another_type_by_now_is_asked_for_again(release, publish, serve, bob, buyer, alice):
    made = install(release, buyer, bob)
    script_update(script=serve, by=alice, parameters=[{"name": "PORT"}])
    with pytest.raises(BadInput, match="must be text") as raised:
        update(made, publish("1.1.0"), bob)
    assert set(raised.value.errors) == {"parameters.serve.PORT"}


def test_what_the_publisher_says_by_now_is_asked_no_more(release, publish, bob, buyer):
    made = install(release, buyer, bob)
    said = {"PORT": 1, "HOST": "theirs", "MODE": "primary", "TLS": True}
    made = update(made, publish("1.1.0", script_entries=[{"name": "serve", "parameters": said}]), bob)
    assert made.parameters == {} and entry_of(made)["parameters"] == said


def test_a_secret_is_changed_and_taken_back(release, publish, bob, buyer, secret):
    made = install(release, buyer, bob, secrets={"db-password": "our-password"})
    other = secret_create(by=bob, department=buyer, name="Other", slug="other", value="x8Kq02mzPw")
    made = update(made, publish("1.1.0", machine="q35"), bob, secrets={"db-password": other.slug})
    assert entry_of(made)["secrets"] == {"PASSWORD": "other"}
    made = update(made, publish("1.2.0", machine="pc"), bob)
    assert made.secrets == {"db-password": "other"}
    made = update(made, release, bob, secrets={"db-password": None})
    assert made.secrets == {} and entry_of(made)["secrets"]["PASSWORD"].startswith("db-password-")


# --- forks and what they publish -------------------------------------------------------------------------------------


def test_what_a_fork_was_given_is_no_change_of_its_own(release, publish, bob, buyer):
    fork = install(release, buyer, bob, make=fork_create)
    newer = publish("1.1.0", script_entries=[{"name": "serve", "secrets": SECRET, "order": 7}])
    merge = fork_merge(installation=fork, release=newer)
    assert (merge.taken, merge.kept, merge.conflicts) == (["persona/settings/post_migration/scripts"], [], [])
    fork = update(fork, newer, bob, move=fork_update)
    assert fork.parameters == VALUES
    assert (entry_of(fork)["parameters"], entry_of(fork)["order"]) == (GIVEN, 7)


def test_a_fork_is_not_asked_for_what_it_says_or_runs_itself(release, publish, bob, buyer):
    fork = install(release, buyer, bob, make=fork_create)
    script_create(by=bob, department=buyer, name="Mine", body="#!/bin/sh\necho mine\n", parameters=[HOST])
    entry = entry_of(fork)
    changed = [entry | {"parameters": {**GIVEN, "PORT": 9}}, {"name": "mine"}]
    persona_update(persona=Persona.objects.get(pk=fork.persona_id), by=bob, script_entries=changed)
    asked = {
        "serve.PORT": 11,
        "serve.HOST": "other.example",
    }  # as the form asks, from what upstream leaves open
    fork = update(fork, publish("1.1.0", machine="q35"), bob, move=fork_update, parameters=asked)
    assert entry_of(fork)["parameters"] == {**GIVEN, "PORT": 9, "HOST": "other.example"}
    kept = {name: value for name, value in VALUES.items() if name != "serve.PORT"}
    assert fork.parameters == {**kept, "serve.HOST": "other.example"}


def test_a_fork_that_is_published_asks_its_own_buyers(release, bob, buyer, seller, alice):
    fork = install(release, buyer, bob, make=fork_create)
    publisher = publisher_create(by=bob, department=buyer, name="Web shop")
    persona = Persona.objects.get(pk=fork.persona_id)
    said = {"name": "Shop database", "summary": "Ours", "readme": "# Expects"}
    ours = listing_create(by=bob, publisher=publisher, persona=persona, **said)
    again = release_publish(listing=ours, by=bob, version="1.0.0", licence="MIT")
    assert list(bundle_in(again).parameters_asked) == list(VALUES)
    assert b"db.example" not in bytes(again.bundle)


# --- by page and API -------------------------------------------------------------------------------------------------


def test_the_page_of_installing_asks_with_the_error_beside_the_field(client, release, bob, buyer, secret):
    client.force_login(bob)
    url = reverse("marketplace:release_install", args=[release.pk])
    page = client.get(url).content.decode()
    for said in ("PORT of “Serve”", "Where it listens.", "MODE of “Serve”", ">replica<"):
        assert said in page, said
    assert "SIZE of" not in page and "NOTE of" not in page
    asked = {"department": buyer.pk, "name": "Ours", "approved_script_sha256": "on"}
    wrong = {"parameter_0": "many", "parameter_1": "", "parameter_2": "third", "parameter_3": ""}
    assert set(client.post(url, asked | wrong).context["form"].errors) == set(wrong)
    refused = client.post(url, asked | TYPED | {"parameter_1": "a" * 4097})
    assert set(refused.context["form"].errors) == {"parameter_1"}
    assert client.post(url, asked | TYPED | {"secret_0": secret.pk}).status_code == 302
    made = Installation.objects.get()
    assert made.parameters == VALUES and entry_of(made)["parameters"] == GIVEN
    page = client.get(made.get_absolute_url()).content.decode()
    assert "Given by Web shop" in page and "<code>serve.PORT</code> 5433" in page
    assert "secret “db-password” from <code>our-password</code>" in page


def test_what_only_the_service_sees_stands_beside_the_field_too(client, release, bob, buyer, monkeypatch):
    def refuse(**_):
        raise BadInput({"parameters.serve.MODE": ["Not that one."]})

    monkeypatch.setattr("marketplace.views.installing.installation_create", refuse)
    client.force_login(bob)
    asked = {"department": buyer.pk, "name": "Ours", "approved_script_sha256": "on", **TYPED}
    answer = client.post(reverse("marketplace:release_install", args=[release.pk]), asked)
    assert dict(answer.context["form"].errors) == {"parameter_2": ["Not that one."]}


def test_the_page_of_updating_shows_what_was_given_changes_it_and_takes_a_secret_back(
    client, release, publish, bob, buyer, secret
):
    made = install(release, buyer, bob, secrets={"db-password": "our-password"})
    publish("1.1.0", machine="q35")
    client.force_login(bob)
    url = client.get(reverse("marketplace:installation_update", args=[made.pk])).url
    form = client.get(url).context["form"]
    assert [form[name].value() for name in TYPED] == [5433, "db.example", "replica", "false"]
    assert form["secret_0"].value() == "our-password"
    assert set(client.post(url, TYPED | {"parameter_0": ""}).context["form"].errors) == {"parameter_0"}
    typed = TYPED | {"parameter_0": "5434", "parameter_3": "true", "secret_0": ""}
    assert client.post(url, typed).status_code == 302
    made.refresh_from_db()
    assert made.parameters == {**VALUES, "serve.PORT": 5434, "serve.TLS": True}
    assert made.secrets == {} and made.release.version == "1.1.0"


def test_the_page_of_a_forks_update_lets_it_be(client, release, publish, bob, buyer):
    fork = install(release, buyer, bob, make=fork_create)
    publish("1.1.0", machine="q35")
    client.force_login(bob)
    url = client.get(reverse("marketplace:fork_update", args=[fork.pk])).url
    assert client.post(url, {}).status_code == 302
    fork.refresh_from_db()
    assert fork.parameters == VALUES and fork.release.version == "1.1.0"


def test_by_api(release, publish, bob, buyer, secret, listing, alice):
    client = client_of(bob)
    (told,) = client.get(f"/api/v1/listings/{listing.pk}/releases/").json()
    assert [each["name"] for each in told["parameters"]] == list(VALUES)
    assert told["parameters"][2] == {
        "name": "serve.MODE",
        "kind": "choice",
        "choices": ["primary", "replica"],
        "description": "",
    }
    asked = {"release": str(release.pk), "department": str(buyer.pk)}
    asked |= {"approved_script_sha256": told["script_sha256"], "secrets": {"db-password": "our-password"}}
    refused = client.post("/api/v1/installations/", asked | {"parameters": {**VALUES, "serve.PORT": 1.5}})
    (error,) = refused.json()["errors"]
    assert (refused.status_code, error["pointer"]) == (400, "#/parameters/serve/PORT")
    made = client.post("/api/v1/installations/", asked | {"parameters": VALUES})
    assert (made.status_code, made.json()["parameters"]) == (201, VALUES)
    changes = {"parameters": {"serve.PORT": 5434}, "secrets": {"db-password": None}}
    newer = publish("1.1.0", machine="q35")
    url = f"/api/v1/installations/{made.json()['id']}/update/"
    answer = client.post(url, {"release": str(newer.pk), **changes}).json()
    assert (answer["parameters"], answer["secrets"]) == ({**VALUES, "serve.PORT": 5434}, {})
    make_price(listing, alice)
    assert client.get(f"/api/v1/releases/{newer.pk}/").json()["parameters"] == []
