"""Users are written by superusers, in the admin; each write leaves its audit row, none with a password."""

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from migrations_engine.services.waves import wave_create
from personas.errors import NotAllowed
from personas.models import AuditEntry
from personas.services.users import user_create, user_delete, user_password_set, user_update
from tests.factories import PASSWORD, make_department, make_member, make_template, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.once]
NEW = "another horse battery"


@pytest.fixture
def root(client):
    user = make_user("root", superuser=True)
    client.force_login(user)
    return user


def page(name: str, user: User | None = None) -> str:
    return reverse(f"admin:auth_user_{name}", args=[user.pk] if user else [])


def trail() -> list[tuple]:
    found = AuditEntry.objects.order_by("at").values_list("action", "object_name", "before", "after")
    return [entry for entry in found if entry[0].startswith("user.")]


def test_making_a_user_is_audited(client, root):
    client.post(
        page("add"), {"username": "lea", "usable_password": "true", "password1": NEW, "password2": NEW}
    )
    assert User.objects.get(username="lea").check_password(NEW)
    [(action, name, _, after)] = trail()
    assert (action, name) == ("user.create", "lea")
    assert (after["username"], after["is_superuser"]) == ("lea", False)
    assert AuditEntry.objects.get().actor == root


def test_promoting_a_user_is_audited(client, root):
    lea = make_user("lea")
    client.post(
        page("change", lea), {"username": "lea", "is_active": "on", "is_staff": "on", "is_superuser": "on"}
    )
    unset, given = {"is_staff": False, "is_superuser": False}, {"is_staff": True, "is_superuser": True}
    assert trail() == [("user.update", "lea", unset, given)]


def test_saving_a_user_unchanged_leaves_no_trace(client, root):
    lea = make_user("lea")
    assert client.post(page("change", lea), {"username": "lea", "is_active": "on"}).status_code == 302
    assert trail() == []


@pytest.mark.parametrize(
    ("sent", "usable"),
    [
        ({"password1": NEW, "password2": NEW, "set-password": "1", "usable_password": "true"}, True),
        ({"unset-password": "1", "usable_password": "false"}, False),
    ],
)
def test_another_password_for_a_user_is_audited(client, root, sent, usable):
    lea = make_user("lea")
    client.post(reverse("admin:auth_user_password_change", args=[lea.pk]), sent)
    lea.refresh_from_db()
    assert lea.check_password(NEW) == lea.has_usable_password() == usable
    assert trail() == [("user.password", "lea", None, {"usable": usable})]


def test_ones_own_password_in_the_admin_is_audited(client, root):
    url, again = reverse("admin:password_change"), {"new_password1": NEW, "new_password2": NEW}
    assert client.get(url).status_code == 200
    assert client.post(url, again | {"old_password": "wrong"}).status_code == 200
    assert trail() == []
    assert client.post(url, again | {"old_password": PASSWORD}).url == reverse("admin:password_change_done")
    assert trail() == [("user.password", "root", None, {"usable": True})]


def test_no_password_is_in_the_audit_trail(client, root):
    test_making_a_user_is_audited(client, root)
    lea = User.objects.get(username="lea")
    user_password_set(user=lea, by=root)
    user_delete(user=lea, by=root)
    told = str(list(AuditEntry.objects.values()))
    assert NEW not in told
    assert lea.password not in told


def test_deleting_a_user_is_audited_with_the_memberships(client, root):
    department = make_department()
    make_member(department)
    lea = make_member(department, "admin", "lea")
    client.post(page("delete", lea), {"post": "yes"})
    assert not User.objects.filter(username="lea").exists()
    actions = AuditEntry.objects.order_by("at").values_list("action", flat=True)
    assert list(actions) == ["membership.remove", "user.delete"]


def test_the_last_admin_of_a_department_is_not_deleted(client, root):
    lea = make_member(make_department("Lab"), "admin", "lea")
    answer = client.post(page("delete", lea), {"post": "yes"}, follow=True)
    assert "Lea is the last admin of Lab" in answer.content.decode()
    assert lea.memberships.exists()
    assert not AuditEntry.objects.exists()


def test_the_last_admin_of_a_department_is_not_switched_off(client, root):
    lea = make_member(make_department("Lab"), "admin", "lea")
    answer = client.post(page("change", lea), {"username": "lea"}, follow=True)
    assert "Lea is the last admin of Lab" in answer.content.decode()
    lea.refresh_from_db()
    assert lea.is_active
    make_member(lea.departments.get(), "admin")
    client.post(page("change", lea), {"username": "lea"})
    assert trail() == [("user.update", "lea", {"is_active": True}, {"is_active": False})]


def test_a_user_of_whom_history_tells_is_not_deleted(client, root):
    department = make_department()
    make_member(department)
    lea = make_member(department, "operator", "lea")
    wave_create(department=department, name="First", template=make_template(department=department), by=lea)
    answer = client.post(page("delete", lea), {"post": "yes"}, follow=True)
    assert "“lea” is in use by First" in answer.content.decode()
    assert lea.memberships.exists()


def test_nobody_but_a_superuser_writes_users():
    lea, other = make_member(name="lea"), make_user("other")
    for verb in (user_update, user_password_set, user_delete):
        with pytest.raises(NotAllowed):
            verb(user=other, by=lea)
    with pytest.raises(NotAllowed):
        user_create(user=User(username="new", is_superuser=True, password="!"), by=lea)
