"""Departments, members, tokens, the audit trail."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from personas.errors import BadInput, InUse, Missing, NotAllowed, Refused
from personas.models import ApiToken, AuditEntry, Department, DriverSet
from personas.models.audit import AppendOnly
from personas.services.audit import record
from personas.services.departments import (
    department_create,
    department_delete,
    department_update,
    membership_remove,
    membership_set,
)
from personas.services.tokens import token_create, token_revoke
from tests.factories import make_department, make_member, make_persona, make_script, make_user

pytestmark = pytest.mark.django_db


def test_only_a_superuser_makes_departments():
    with pytest.raises(NotAllowed):
        department_create(by=make_member(role="admin"), name="Mine")
    assert department_create(by=make_user(superuser=True), name="Human Resources").slug == "human-resources"


def test_a_department_in_use_is_not_deleted():
    root, department = make_user(superuser=True), make_department()
    persona = make_persona(department=department)
    with pytest.raises(InUse, match=persona.name):
        department_delete(department=department, by=root)
    persona.delete()
    department_delete(department=department, by=root)
    assert not Department.objects.exists()


def test_defaults_must_be_in_the_vocabulary():
    department = make_department()
    admin = make_member(department)
    department_update(department=department, by=admin, defaults={"resources": {"vcpus": 2}})
    with pytest.raises(Exception, match=r"resources\.vcpus"):
        department_update(department=department, by=admin, defaults={"resources": {"vcpus": "two"}})
    with pytest.raises(Exception, match="no locks"):
        department_update(department=department, by=admin, defaults={"locks": ["machine"]})
    department.refresh_from_db()
    assert department.defaults == {"resources": {"vcpus": 2}}


@pytest.mark.parametrize(
    ("defaults", "told"),
    [
        ({"driver_set": "fast"}, r"driver_set: There is no driver set 'fast' here"),
        (
            {"post_migration": {"scripts": [{"name": "shared"}, {"name": "tune"}]}},
            r"post_migration\.scripts\.1\.name: There is no script 'tune' here",
        ),
    ],
)
def test_defaults_name_only_what_the_department_or_the_organisation_has(defaults, told):
    department, strangers = make_department(), make_department()
    admin = make_member(department)
    DriverSet.objects.create(name="Fast", slug="fast", department=strangers)
    make_script("tune", department=strangers)
    make_script("shared")
    with pytest.raises(ValidationError, match=told) as caught:
        department_update(department=department, by=admin, defaults=defaults)
    assert len(caught.value.error_dict["defaults"]) == 1
    DriverSet.objects.update(department=department)
    make_script("tune", department=department)
    department_update(department=department, by=admin, defaults=defaults)
    assert list(Department.objects.naming(DriverSet.objects.get())) == [department] * ("driver_set" in defaults)


def test_an_admin_makes_members_and_changes_their_role():
    department = make_department()
    admin, newcomer = make_member(department), make_user()
    for role in ("viewer", "operator"):
        membership_set(department=department, username=newcomer.username, role=role, by=admin)
    assert department.memberships.get(user=newcomer).role == "operator"
    entries = AuditEntry.objects.filter(action="membership.set").order_by("at")
    assert [(e.before, e.after["role"]) for e in entries] == [
        (None, "viewer"),
        ({"user": newcomer.username, "role": "viewer"}, "operator"),
    ]


@pytest.mark.parametrize(("username", "role"), [("nobody", "viewer"), ("known", "emperor")])
def test_an_unknown_user_or_role_is_bad_input(username, role):
    department = make_department()
    make_user("known")
    with pytest.raises(BadInput):
        membership_set(department=department, username=username, role=role, by=make_member(department))


def test_an_operator_makes_no_members():
    department = make_department()
    with pytest.raises(NotAllowed):
        membership_set(
            department=department, username="x", role="viewer", by=make_member(department, "operator")
        )


def test_the_last_admin_neither_leaves_nor_steps_down():
    department = make_department()
    admin = make_member(department)
    with pytest.raises(Refused, match="last admin"):
        membership_remove(department=department, user_id=admin.pk, by=admin)
    with pytest.raises(Refused, match="last admin"):
        membership_set(department=department, username=admin.username, role="viewer", by=admin)
    make_member(department)
    membership_remove(department=department, user_id=admin.pk, by=admin)
    assert not department.memberships.filter(user=admin).exists()


def test_a_viewer_may_leave_but_removes_nobody():
    department = make_department()
    make_member(department)
    viewer, other = make_member(department, "viewer"), make_member(department, "viewer")
    with pytest.raises(NotAllowed):
        membership_remove(department=department, user_id=other.pk, by=viewer)
    membership_remove(department=department, user_id=viewer.pk, by=viewer)
    with pytest.raises(Missing):
        membership_remove(department=department, user_id=viewer.pk, by=viewer)


def bearer(client, secret, path="/api/v1/tokens/"):
    return client.get(path, headers={"authorization": f"Bearer {secret}"})


def test_a_token_opens_the_api_until_it_is_revoked(client):
    user = make_member(role="viewer")
    token, secret = token_create(by=user, name="ci", scopes=["read"])
    assert secret.startswith(f"mp_{token.prefix}_")
    assert secret.removeprefix(f"mp_{token.prefix}_") not in str(ApiToken.objects.values())
    assert bearer(client, secret).status_code == 200
    token_revoke(token=token, by=user)
    refused = bearer(client, secret)
    assert (refused.status_code, refused["Content-Type"]) == (401, "application/problem+json")


def test_an_expired_token_opens_nothing(client):
    token, secret = token_create(
        by=make_member(), name="ci", scopes=["read"], expires_at=timezone.now() + timedelta(hours=1)
    )
    assert bearer(client, secret).status_code == 200
    ApiToken.objects.filter(pk=token.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert bearer(client, secret).status_code == 401


def test_the_secret_of_another_token_opens_nothing(client):
    user = make_member()
    one, _ = token_create(by=user, name="one", scopes=["read"])
    _, secret = token_create(by=user, name="two", scopes=["read"])
    mixed = f"mp_{one.prefix}_{secret.split('_', 2)[2]}"
    assert bearer(client, mixed).status_code == 401


def test_a_reading_token_writes_nothing(client):
    admin = make_member()
    _, reading = token_create(by=admin, name="r", scopes=["read"])
    _, writing = token_create(by=admin, name="w", scopes=["write"])
    codes = [
        client.post(
            "/api/v1/resource-profiles/",
            {"name": "Big", "vcpus": 4},
            content_type="application/json",
            headers={"authorization": f"Bearer {secret}"},
        ).status_code
        for secret in (reading, writing)
    ]
    assert codes == [403, 201]


@pytest.mark.parametrize(
    "asked",
    [
        {"scopes": []},
        {"scopes": ["everything"]},
        {"scopes": ["read"], "expires_at": timezone.now() - timedelta(days=1)},
    ],
)
def test_a_senseless_token_is_refused(asked):
    with pytest.raises(BadInput):
        token_create(by=make_user(), name="ci", **asked)


def test_an_audit_entry_neither_changes_nor_goes():
    entry = record(by=make_user(), action="test.write", obj=make_department())
    with pytest.raises(AppendOnly):
        entry.save()
    with pytest.raises(AppendOnly):
        entry.delete()
    for write in (
        lambda: AuditEntry.objects.update(action="forged"),
        lambda: AuditEntry.objects.all()._raw_delete("default"),
        lambda: connection.cursor().execute("UPDATE personas_auditentry SET action = 'forged'"),
    ):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            write()
    assert AuditEntry.objects.get().action == "test.write"


@pytest.mark.django_db(transaction=True)
def test_flushing_all_data_empties_the_audit_trail_and_guards_it_again():
    from django.core.management import call_command

    record(by=make_user(), action="test.write", obj=make_department())
    call_command("flush", interactive=False, verbosity=0)
    assert not AuditEntry.objects.exists()
    record(by=make_user(), action="test.write", obj=make_department())
    with pytest.raises(DatabaseError, match="append-only"):
        AuditEntry.objects.update(action="forged")


def test_the_audit_trail_of_another_department_is_not_seen():
    ours, theirs = make_department(), make_department()
    alice, charlie, root = make_member(ours), make_member(theirs), make_user(superuser=True)
    mine = record(by=alice, action="test.ours", obj=make_persona(department=ours))
    record(by=charlie, action="test.theirs", obj=make_persona(department=theirs))
    record(by=root, action="test.organisation", obj=make_persona())
    assert list(AuditEntry.objects.visible_to(alice)) == [mine]
    assert AuditEntry.objects.visible_to(root).count() == 3


def test_the_audit_trail_tells_a_relation_by_name_and_by_id():
    from personas.services.personas import persona_create, persona_update
    from tests.factories import make_driver_set

    department = make_department()
    admin, drivers = make_member(department), make_driver_set("Virtio", department=department)
    persona = persona_create(by=admin, department=department, name="Web")
    persona_update(persona=persona, by=admin, default_driver_set=drivers)
    entry = AuditEntry.objects.get(action="persona.update")
    assert entry.after == {"default_driver_set": "Virtio", "default_driver_set_id": str(drivers.pk)}


def test_a_token_remembers_when_it_was_used(client):
    token, secret = token_create(by=make_member(), name="ci", scopes=["read"])
    assert token.last_used_at is None
    assert client.get("/api/v1/personas/", headers={"Authorization": f"Bearer {secret}"}).status_code == 200
    token.refresh_from_db()
    assert timezone.now() - token.last_used_at < timedelta(minutes=1)


def test_a_password_is_kept_as_argon2(client, settings):
    from config import settings as product

    settings.PASSWORD_HASHERS = product.PASSWORD_HASHERS
    user = make_user("lea")
    user.set_password("correct-horse-battery")
    user.save()
    assert user.password.startswith("argon2$argon2id$")
    assert client.login(username="lea", password="correct-horse-battery")
