"""The pages: what they show, what they refuse, and that what was typed stays."""

import pytest
from django.contrib.messages import get_messages
from django.urls import reverse

from personas.models import ApiToken, Department, DriverSet, NetworkProfile, Persona, ResourceProfile, Script
from personas.services.catalogue import catalogue_install
from personas.services.personas import persona_create
from personas.services.scripts import script_create, script_update
from tests.factories import make_department, make_member, make_template, make_user

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.once,  # tests/access opens each page and sends each form on PostgreSQL too
]


@pytest.fixture
def sales():
    return make_department("Sales")


@pytest.fixture
def alice(sales):
    return make_member(sales, "admin", "alice")


@pytest.fixture
def as_alice(client, alice):
    client.force_login(alice)
    return client


@pytest.fixture
def catalogue():
    catalogue_install(by=make_user("root", superuser=True))


def text(response) -> str:
    assert response.status_code == 200, response
    return response.content.decode()


def field_of(form, name) -> str:
    value = form[name].field.prepare_value(form[name].value())
    return "" if value is None else value


ENTITIES = ["persona", "driverset", "resourceprofile", "networkprofile", "script"]


@pytest.mark.parametrize("entity", ENTITIES)
def test_every_list_detail_and_form_of_the_catalogue_opens(as_alice, catalogue, entity):
    page = as_alice.get(reverse(f"personas:{entity}_list"))
    rows = page.context["page_obj"].object_list
    assert rows
    for row in rows:
        assert row.name in text(page)
        assert row.name in text(as_alice.get(reverse(f"personas:{entity}_detail", args=[row.pk])))
        assert row.name in text(as_alice.get(reverse(f"personas:{entity}_clone", args=[row.pk])))
    text(as_alice.get(reverse(f"personas:{entity}_create")))


@pytest.mark.parametrize("entity", ENTITIES)
def test_a_superuser_edits_what_the_organisation_has_and_saving_unchanged_changes_nothing(
    client, catalogue, entity
):
    from personas.models import AuditEntry

    client.force_login(make_user(superuser=True))
    before = AuditEntry.objects.count()
    for row in client.get(reverse(f"personas:{entity}_list")).context["page_obj"].object_list:
        url = reverse(f"personas:{entity}_edit", args=[row.pk])
        form = client.get(url).context["form"]
        sent = client.post(url, {name: field_of(form, name) for name in form.fields})
        assert sent.status_code == 302, sent.context["form"].errors
    assert AuditEntry.objects.count() == before


@pytest.mark.parametrize("entity", [*ENTITIES, "department", "token", "audit"])
def test_an_empty_list_says_what_would_be_there(client, entity):
    client.force_login(make_user())
    assert "empty-title" in text(client.get(reverse(f"personas:{entity}_list")))


def test_a_persona_is_made_with_everything_on_the_page(as_alice, sales, catalogue):
    parts = {
        "default_driver_set": DriverSet.objects.get(slug="virtio").pk,
        "resource_allocation_profile": ResourceProfile.objects.get(slug="standard").pk,
        "network_profile": NetworkProfile.objects.get(slug="web-public").pk,
        "post_migration_script": Script.objects.get(slug="tune-nginx").pk,
    }
    sent = as_alice.post(
        reverse("personas:persona_create"),
        {
            "department": sales.pk,
            "name": "Shop",
            "default_kernel_version": ">=6.1",
            "packages": "nginx\r\n\r\ncertbot\r\n",
            "monitoring_tags": "cost-centre = 4711\n-alert",
            "acceptance_checks": "- {kind: http, port: 80}",
            "list_modes": "packages = replace",
            "unset": "resources.vcpus",
            **parts,
        },
    )
    assert sent.status_code == 302, sent.context["form"].errors
    document = Persona.objects.get(name="Shop").document()
    assert document["packages"] == ["nginx", "certbot"]
    assert document["monitoring_tags"] == {"cost-centre": "4711", "alert": None}
    assert document["acceptance_checks"] == [{"kind": "http", "port": 80}]
    assert document["list_modes"] == {"packages": "replace"}
    assert document["resources"]["vcpus"] is None
    assert "Shop" in text(as_alice.get(sent.url))


def test_each_error_is_beside_its_field_and_what_was_typed_stays(as_alice, sales):
    typed = {
        "department": sales.pk,
        "name": "Shop",
        "packages": "not a package",
        "monitoring_tags": "no equals sign",
        "acceptance_checks": "- {kind: tcp, port: 0",
        "default_kernel_version": "newest",
    }
    page = as_alice.post(reverse("personas:persona_create"), typed)
    form = page.context["form"]
    assert set(form.errors) == {"packages", "monitoring_tags", "acceptance_checks", "default_kernel_version"}
    assert "Line 1" in form.errors["monitoring_tags"][0]
    html = text(page)
    for kept in ("not a package", "no equals sign", "- {kind: tcp, port: 0", "newest"):
        assert kept in html
    assert not Persona.objects.exists()


def test_a_stale_form_is_told_so_keeps_what_was_typed_and_may_be_saved_again(as_alice, alice, sales):
    persona = persona_create(by=alice, department=sales, name="Shop")
    url = reverse("personas:persona_edit", args=[persona.pk])
    form = as_alice.get(url).context["form"]
    mine = {name: field_of(form, name) for name in form.fields} | {"description": "mine"}
    bob = make_member(sales, "admin", "bob")
    as_alice.force_login(bob)
    as_alice.post(url, mine | {"description": "his"})
    as_alice.force_login(alice)
    page = as_alice.post(url, mine)
    assert "bob has changed it" in text(page)
    assert page.context["form"]["description"].value() == "mine"
    persona.refresh_from_db()
    assert persona.description == "his"
    again = page.context["form"]
    assert as_alice.post(url, {name: field_of(again, name) for name in again.fields}).status_code == 302
    persona.refresh_from_db()
    assert persona.description == "mine"


def test_a_driver_set_with_a_wrong_driver_says_where(as_alice, sales):
    wrong = "- name: disk\n  devices: {disk: floppy}\n"
    page = as_alice.post(
        reverse("personas:driverset_create"), {"department": sales.pk, "name": "Mine", "drivers": wrong}
    )
    assert "0.devices.disk" in page.context["form"].errors["drivers"][0]
    page = as_alice.post(
        reverse("personas:driverset_create"),
        {"department": sales.pk, "name": "Mine", "drivers": "- name: a\n  name: b"},
    )
    assert "Line 2" in page.context["form"].errors["drivers"][0]


def test_a_network_profile_is_written_in_lines(as_alice, sales):
    url = reverse("personas:networkprofile_create")
    groups = "[web]\ntcp 80\ntcp 8000-8100 from 10.0.0.0/8\nicmp\n"
    as_alice.post(url, {"department": sales.pk, "name": "Mine", "security_groups": groups})
    stored = NetworkProfile.objects.get(name="Mine").security_groups
    assert [rule.get("port_to") for rule in stored[0]["rules"]] == [80, 8100, None]
    page = as_alice.post(url, {"department": sales.pk, "name": "Two", "security_groups": "[web]\ntcp eighty"})
    assert "Line 2" in page.context["form"].errors["security_groups"][0]
    page = as_alice.post(
        url, {"department": sales.pk, "name": "Two", "security_groups": "[web]\ntcp 80 from 10.0.0.1/8"}
    )
    assert "host bits" in page.context["form"].errors["security_groups"][0]


def test_a_script_shows_what_changed_between_its_revisions(as_alice, alice, sales):
    script = script_create(by=alice, department=sales, name="Tune", body="echo one\n")
    script_update(script=script, by=alice, body="echo two\n")
    html = text(as_alice.get(reverse("personas:script_detail", args=[script.pk])))
    assert "-echo one" in html
    assert "+echo two" in html


def test_deleting_asks_first_and_is_refused_while_in_use(as_alice, alice, sales):
    from personas.services.parts import part_create

    size = part_create(model=ResourceProfile, by=alice, department=sales, name="Big", vcpus=8)
    persona = persona_create(by=alice, department=sales, name="Shop", resource_allocation_profile=size)
    url = reverse("personas:resourceprofile_delete", args=[size.pk])
    asked = text(as_alice.get(url))
    assert "Shop" in asked and 'type="submit">Delete' not in asked
    refused = as_alice.post(url)
    assert refused.status_code == 409
    assert "is in use by Shop" in refused.content.decode()
    as_alice.post(reverse("personas:persona_delete", args=[persona.pk]))
    assert 'type="submit">Delete' in text(as_alice.get(url))
    assert as_alice.post(url).status_code == 302
    assert not ResourceProfile.objects.filter(pk=size.pk).exists()


def test_who_may_not_delete_what_is_in_use_is_offered_to_archive_it(as_alice, alice, sales):
    persona = persona_create(by=alice, department=sales, name="Shop")
    make_template("Move", department=sales, persona=persona)
    asked = text(as_alice.get(reverse("personas:persona_delete", args=[persona.pk])))
    assert f'formaction="{reverse("personas:persona_archive", args=[persona.pk])}"' in asked


def test_archive_and_restore_say_so_and_hide_it_from_the_list(as_alice, alice, sales):
    persona = persona_create(by=alice, department=sales, name="Shop")
    answer = as_alice.post(reverse("personas:persona_archive", args=[persona.pk]))
    assert "Archived" in str(next(iter(get_messages(answer.wsgi_request))))
    listed = lambda **query: list(as_alice.get(reverse("personas:persona_list"), query).context["page_obj"])  # noqa: E731
    assert listed() == []
    assert listed(archived="true") == [persona]
    as_alice.post(reverse("personas:persona_restore", args=[persona.pk]))
    assert listed() == [persona]


def test_the_downloaded_document_can_be_imported(as_alice, alice, sales):
    persona = persona_create(by=alice, department=sales, name="Shop", packages=["nginx"])
    download = as_alice.get(reverse("personas:persona_document", args=[persona.pk]))
    document = download.content.decode().replace("slug: shop", "slug: shop-two")
    url = reverse("personas:persona_import")
    assert as_alice.post(url, {"department": sales.pk, "document": document}).status_code == 302
    assert Persona.objects.get(slug="shop-two").document() == persona.document()
    page = as_alice.post(
        url, {"department": sales.pk, "document": "name: X\nsettings: {firmware: punch-cards}"}
    )
    assert "settings.firmware" in page.context["form"].errors["document"][0]


def test_a_viewer_sees_no_buttons_and_is_refused(client, alice, sales):
    persona = persona_create(by=alice, department=sales, name="Shop")
    client.force_login(make_member(sales, "viewer"))
    html = text(client.get(reverse("personas:persona_detail", args=[persona.pk])))
    for page in ("edit", "delete", "clone", "archive"):
        url = reverse(f"personas:persona_{page}", args=[persona.pk])
        assert url not in html
        assert client.post(url).status_code == 403
    assert reverse("personas:persona_create") not in text(client.get(reverse("personas:persona_list")))
    assert client.get(reverse("personas:persona_create")).status_code == 403


def test_a_member_is_added_promoted_and_removed(as_alice, sales):
    bob = make_user("bob")
    url = reverse("personas:department_detail", args=[sales.pk])
    as_alice.post(url, {"username": "bob", "role": "viewer"})
    as_alice.post(url, {"username": "bob", "role": "operator"})
    assert sales.memberships.get(user=bob).role == "operator"
    page = as_alice.post(url, {"username": "nobody", "role": "viewer"})
    assert "no active user" in page.context["form"].errors["username"][0]
    as_alice.post(reverse("personas:member_remove", args=[sales.pk, bob.pk]))
    assert not sales.memberships.filter(user=bob).exists()


def test_the_last_admin_who_leaves_is_told_why_not(as_alice, alice, sales):
    answer = as_alice.post(reverse("personas:member_remove", args=[sales.pk, alice.pk]))
    assert answer.status_code == 409
    assert "last admin" in answer.content.decode()


def test_the_defaults_of_a_department_are_checked(as_alice, sales):
    url = reverse("personas:department_edit", args=[sales.pk])
    form = as_alice.get(url).context["form"]
    sent = {"name": "Sales", "slug": "sales", "version": field_of(form, "version")}
    page = as_alice.post(url, sent | {"defaults": "resources: {vcpus: many}"})
    assert "resources.vcpus" in page.context["form"].errors["defaults"][0]
    page = as_alice.post(url, sent | {"defaults": "driver_set: fast"})
    assert "no driver set 'fast' here" in page.context["form"].errors["defaults"][0]
    assert as_alice.post(url, sent | {"defaults": "resources: {vcpus: 2}"}).status_code == 302
    assert Department.objects.get().defaults == {"resources": {"vcpus": 2}}


def test_deleting_what_the_defaults_of_a_department_name_shows_the_department(as_alice, alice, sales):
    script = script_create(by=alice, department=sales, name="Tune", body="true")
    Department.objects.update(defaults={"post_migration": {"scripts": [{"name": "tune"}]}})
    url = reverse("personas:script_delete", args=[script.pk])
    assert reverse("personas:department_detail", args=[sales.pk]) in as_alice.get(url).content.decode()
    assert as_alice.post(url).status_code == 409


def test_a_token_is_shown_once(as_alice, alice):
    page = as_alice.post(reverse("personas:token_create"), {"name": "ci", "scopes": ["read"]})
    secret = page.context["secret"]
    assert secret in text(page)
    assert page["Cache-Control"] == "no-store"
    assert secret not in text(as_alice.get(reverse("personas:token_list")))
    token = ApiToken.objects.get(user=alice)
    as_alice.post(reverse("personas:token_revoke", args=[token.pk]))
    token.refresh_from_db()
    assert token.revoked_at


def test_the_audit_page_shows_before_and_after(as_alice, alice, sales):
    from personas.services.personas import persona_update

    persona = persona_create(by=alice, department=sales, name="Shop", description="old words")
    persona_update(persona=persona, by=alice, description="new words")
    html = text(as_alice.get(reverse("personas:audit_list"), {"action": "persona.update"}))
    assert "old words" in html
    assert "new words" in html
    assert "persona.create" not in html
