"""The admin: the same services, so the same roles, revisions, refusals and audit rows."""

import pytest
from django.urls import reverse

from personas.models import AuditEntry, Department, Persona, ResourceProfile
from personas.services.catalogue import catalogue_install
from personas.services.personas import persona_create
from tests.factories import make_department, make_member, make_persona, make_user

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.once,  # tests/access opens each page of the admin on PostgreSQL too
]


@pytest.fixture
def root(client):
    user = make_user("root", superuser=True)
    client.force_login(user)
    return user


def field_values(form) -> dict:
    shown = {name: form[name].field.prepare_value(form[name].value()) for name in form.fields}
    return {name: "" if value is None else value for name, value in shown.items()}


MODELS = ["persona", "driverset", "resourceprofile", "networkprofile", "script", "department", "auditentry"]


@pytest.mark.parametrize("model", [*MODELS, "membership", "apitoken", "personarevision", "scriptrevision"])
def test_every_list_opens(client, root, model):
    catalogue_install(by=root)
    make_member()
    assert client.get(reverse(f"admin:personas_{model}_changelist"), {"q": "a"}).status_code == 200


def test_a_persona_is_made_changed_and_deleted_through_the_services(client, root):
    sent = client.post(
        reverse("admin:personas_persona_add"),
        {"name": "Web", "packages": "nginx", "monitoring_tags": "role = web"},
    )
    assert sent.status_code == 302, sent.context["errors"]
    persona = Persona.objects.get(name="Web")
    url = reverse("admin:personas_persona_change", args=[persona.pk])
    form = client.get(url).context["adminform"].form
    assert client.post(url, field_values(form) | {"packages": "nginx\ncertbot"}).status_code == 302
    assert persona.revisions.count() == 2
    client.post(reverse("admin:personas_persona_delete", args=[persona.pk]), {"post": "yes"})
    assert not Persona.objects.exists()
    actions = AuditEntry.objects.order_by("at").values_list("action", flat=True)
    assert list(actions) == ["persona.create", "persona.update", "persona.delete"]


def test_what_is_in_use_is_not_deleted(client, root):
    size = ResourceProfile.objects.create(name="Big", slug="big", vcpus=8)
    persona_create(by=root, name="Web", resource_allocation_profile=size)
    client.post(reverse("admin:personas_resourceprofile_delete", args=[size.pk]), {"post": "yes"})
    assert ResourceProfile.objects.filter(pk=size.pk).exists()


def test_the_audit_trail_is_only_read(client, root):
    persona_create(by=root, name="Web")
    entry = AuditEntry.objects.get()
    assert client.get(reverse("admin:personas_auditentry_change", args=[entry.pk])).status_code == 200
    for page in ("change", "delete"):
        assert client.post(reverse(f"admin:personas_auditentry_{page}", args=[entry.pk])).status_code == 403


def test_a_member_of_staff_sees_his_departments_and_changes_what_his_role_allows(client):
    ours, theirs = make_department(), make_department()
    mine, hers = make_persona("Mine", department=ours), make_persona("Hers", department=theirs)
    alice = make_member(ours, "admin")
    alice.is_staff = True
    alice.save()
    client.force_login(alice)
    assert [
        row.name for row in client.get(reverse("admin:personas_persona_changelist")).context["cl"].result_list
    ] == ["Mine"]
    assert client.get(reverse("admin:personas_persona_change", args=[mine.pk])).status_code == 200
    assert (
        client.get(reverse("admin:personas_persona_change", args=[hers.pk])).status_code == 302
    )  # "doesn't exist"
    shared = make_persona("Shared")
    assert (
        client.post(reverse("admin:personas_persona_change", args=[shared.pk]), {"name": "X"}).status_code
        == 403
    )
    assert client.get(reverse("admin:personas_department_add")).status_code == 403
    assert Department.objects.count() == 2
