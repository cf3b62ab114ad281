"""The admin, as nobody, as members, as staff of another department and as a superuser."""

import re

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from analyzer.models import SuggestionOutcome, UsageSeries, VirtualMachine
from marketplace.models import Movement
from marketplace.services.ledger import account_ensure
from migrations_engine.models import Hypervisor, MigrationRun
from personas.models import Department, Membership, Role
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


@pytest.fixture
def staff(world):
    """Charlie of another department as a member of staff who has every permission of Django's, logged in."""
    charlie = world[1]["charlie"]
    charlie.is_staff = True
    charlie.save()
    charlie.user_permissions.set(Permission.objects.all())
    client = APIClient()
    client.force_login(charlie)
    return client


@pytest.fixture
def ours(world):
    """Model → a row of ours, of everything that the admin knows; all that has a name is called Canary."""
    rows, _ = world
    now = timezone.now()
    outside = account_ensure(kind="external", unit="EUR")
    followed = {
        "recommendation": rows["recommendation"],
        "persona": rows["persona"],
        "run_id": rows["run"].pk,
    }
    moved = {"source": outside, "destination": rows["account"], "unit": "EUR", "amount": 5, "memo": "Canary"}
    rows |= {
        "hypervisor": Hypervisor.objects.create(target=rows["target"], address="qemu+ssh://canary/system"),
        "usage": UsageSeries.objects.create(vm=rows["vm"], metric="cpu", day=now.date(), packed=b""),
        "outcome": SuggestionOutcome.objects.create(
            vm=rows["vm"], kind="succeeded", ended_at=now, **followed
        ),
        "movement": Movement.objects.create(at=now, kind="payment", **moved),
    }
    for kind, row in rows.items():
        if "name" in {field.name for field in row._meta.fields}:
            type(row)._base_manager.filter(pk=row.pk).update(name=f"Canary {kind}")
    by_model = {type(row): row for row in rows.values()}
    return {model: by_model.get(model) or model._base_manager.first() for model in admin.site._registry}


@pytest.mark.once
def test_staff_of_another_department_opens_nothing_of_ours_in_the_admin(ours, staff):
    assert None not in ours.values()
    urls = [
        reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=[row.pk])
        for model, row in ours.items()
        for page in ("change", "delete", "history")
    ]
    agreed([f"{url} opens" for url in urls if staff.get(url).status_code not in (302, 403)])


@pytest.mark.once
def test_staff_of_another_department_finds_nothing_of_ours_in_the_admin(ours, staff):
    told = []
    for model in ours:
        for page in ("changelist", "add"):
            url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}")
            told += [f"{url} tells of {name}" for name in canaries(staff.get(url))]
    agreed(told)


def canaries(response) -> list[str]:
    return re.findall(r'canary[^<"]*', response.content.decode(), re.IGNORECASE)


@pytest.mark.once
def test_staff_of_another_department_is_offered_nothing_of_ours_to_complete_a_field(ours, staff):
    """Django answers for every relation of every model, whether a form completes it or not."""
    told = []
    for field in (field for model in ours for field in model._meta.fields if field.is_relation):
        of = {"app_label": field.model._meta.app_label, "model_name": field.model._meta.model_name}
        answer = staff.get(reverse("admin:autocomplete"), of | {"field_name": field.name})
        told += [f"{field} offers {name}" for name in canaries(answer)]
    agreed(told)


@pytest.mark.once
def test_staff_opens_what_is_of_its_own_department_without_djangos_permissions(ours, staff):
    """The other side of the three before: what is hidden above is there to be seen."""
    user = User.objects.get(username="charlie")
    user.user_permissions.clear()
    Membership.objects.filter(user=user).update(department=ours[Department])
    for model in (VirtualMachine, MigrationRun, Hypervisor):
        url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[ours[model].pk])
        assert "Canary" in staff.get(url).content.decode()


def test_a_superuser_opens_every_page_of_the_admin(world):
    rows, _ = world
    client = APIClient()
    client.force_login(factories.make_user(superuser=True))
    codes = {url: client.get(url).status_code for url in admin_urls(rows)}
    assert {url: code for url, code in codes.items() if code not in (200, 403)} == {}
