"""The admin, as nobody, as members, as staff of another department and as a superuser."""

import uuid

import pytest
from django.contrib import admin
from django.urls import reverse
from rest_framework.test import APIClient

from personas.models import Role
from tests import factories
from tests.access.routes import agreed

ADMIN_PAGES = {"changelist": False, "add": False, "change": True, "delete": True, "history": True}


def admin_urls(world_rows) -> list[str]:
    by_model = {type(row): row for row in world_rows.values()}
    found = [reverse("admin:index")]
    for model in admin.site._registry:
        label = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        row = by_model.get(model) or model._base_manager.first()
        for page, of_row in ADMIN_PAGES.items():
            if not of_row or row is not None:
                found.append(reverse(f"{label}_{page}", args=[row.pk] if of_row else []))
    return found


@pytest.mark.once  # who is let in does not depend on the database
@pytest.mark.parametrize("who", [None, *Role.values, "charlie"])
def test_the_admin_is_closed_to_who_is_not_staff(world, who):
    rows, people = world
    client = APIClient()
    if who:
        client.force_login(people[who])
    for url in admin_urls(rows):
        for method in ("get", "post"):
            response = getattr(client, method)(url)
            assert (response.status_code, response.url.split("?")[0]) == (302, reverse("admin:login")), url


@pytest.mark.once
def test_staff_of_another_department_sees_nothing_of_ours_in_the_admin(world):
    rows, people = world
    charlie = people["charlie"]
    charlie.is_staff = True
    charlie.save()
    client = APIClient()
    client.force_login(charlie)
    ids = {str(row.pk): kind for kind, row in rows.items() if isinstance(row.pk, uuid.UUID)}
    wrong = []
    for url in sorted(
        admin_urls(rows), key=lambda url: any(pk in url for pk in ids)
    ):  # these leave a message behind
        response = client.get(url)
        asked = next((kind for pk, kind in ids.items() if pk in url), None)
        if asked and response.status_code == 200:
            wrong.append(f"{url} opens the {asked}")
        if not asked and response.status_code == 200:
            wrong += [
                f"{url} shows the {kind}" for pk, kind in ids.items() if pk in response.content.decode()
            ]
    agreed(wrong)


def test_a_superuser_opens_every_page_of_the_admin(world):
    rows, _ = world
    client = APIClient()
    client.force_login(factories.make_user(superuser=True))
    codes = {url: client.get(url).status_code for url in admin_urls(rows)}
    assert {url: code for url, code in codes.items() if code not in (200, 403)} == {}
