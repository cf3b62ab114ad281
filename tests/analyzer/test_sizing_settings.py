"""What a department decides about sizes, by service, page and API, and what comes of it."""

import pytest
from django.core.exceptions import ValidationError
from rest_framework.test import APIClient

from analyzer.models import SizingSettings
from analyzer.services.sizing import sizing_of
from analyzer.services.sizing_settings import policies_of, sizing_settings_set, standard_values
from analyzer.services.usage import usage_store
from personas.errors import BadInput, NotAllowed
from personas.models import AuditEntry
from tests.factories import make_department, make_member, make_vm

pytestmark = pytest.mark.django_db


@pytest.fixture
def department():
    return make_department("Finance")


@pytest.fixture
def admin(department):
    return make_member(department, "admin")


@pytest.fixture
def vm(department):
    vm = make_vm(department, vcpus=8, memory_mib=8192)
    told = [(1_700_006_400 + n * 3600, 20.0 if n % 50 else 60.0) for n in range(24 * 21)]
    usage_store(vm=vm, samples={"cpu_percent": told}, steps={"cpu_percent": 3600})
    return vm


def test_a_department_that_decided_nothing_has_the_standard(department):
    values = standard_values()
    assert policies_of(department)["vcpus"].percentile == values["cpu_percentile"]
    assert policies_of(None) == policies_of(department)


def test_its_machines_are_sized_by_what_it_decided(vm, department, admin):
    before = sizing_of(vm)["vcpus"].size
    sizing_settings_set(department=department, by=admin, cpu_headroom=2.0, minimum_vcpus=7)
    assert policies_of(department)["vcpus"].headroom == 2.0
    assert sizing_of(vm)["vcpus"].size > before and sizing_of(vm)["vcpus"].size >= 7
    assert sizing_of(make_vm(vcpus=8))["vcpus"] is not None  # another department's are untouched
    sizing_settings_set(department=department, by=admin, cpu_headroom=None, minimum_vcpus=None)
    assert sizing_of(vm)["vcpus"].size == before
    told = AuditEntry.objects.filter(action="sizing_settings.update").order_by("at").first()
    assert (told.before["cpu_headroom"], told.after["cpu_headroom"]) == (None, 2.0)


@pytest.mark.parametrize(
    ("name", "value"),
    [("cpu_percentile", 49), ("memory_percentile", 100), ("cpu_headroom", 0.9), ("window_days", 3)],
)
def test_what_makes_no_sense_is_told_beside_its_field(department, admin, name, value):
    with pytest.raises(ValidationError) as refused:
        sizing_settings_set(department=department, by=admin, **{name: value})
    assert list(refused.value.message_dict) == [name]
    with pytest.raises(BadInput):
        sizing_settings_set(department=department, by=admin, colour="red")


def test_a_window_ends_where_peaks_are_no_longer_kept(client, department, admin, vm, settings):
    settings.USAGE_RAW_DAYS = 60
    sizing_settings_set(department=department, by=admin, window_days=60)
    settings.USAGE_RAW_DAYS = 30
    assert {each.window_days for each in policies_of(department).values()} == {30}  # of a row from before
    assert {each.window_days for each in policies_of(None).values()} == {30}
    client.force_login(admin)
    page = client.post(f"/departments/{department.pk}/sizing/", {"window_days": "31"})
    assert "by the hour" in str(page.context["form"].errors["window_days"])
    api = APIClient()
    api.force_authenticate(admin)
    for answer in (
        api.patch(f"/api/v1/departments/{department.pk}/sizing/", {"window_days": 31}),
        api.get(f"/api/v1/machines/{vm.pk}/sizing/", {"window_days": 31}),
    ):
        assert answer.status_code == 400 and "by the hour" in str(answer.json())


def test_only_an_admin_decides(department):
    with pytest.raises(NotAllowed):
        sizing_settings_set(department=department, by=make_member(department, "operator"), cpu_headroom=2)


def test_the_page_shows_the_standard_and_takes_what_differs(client, department, admin, vm):
    client.force_login(admin)
    url = f"/departments/{department.pk}/sizing/"
    assert "Empty: 99" in client.get(url).content.decode()
    assert client.post(url, {"cpu_percentile": "95", "window_days": "14"}).status_code == 302
    row = SizingSettings.objects.get()
    assert (row.cpu_percentile, row.window_days, row.cpu_headroom) == (95, 14, None)
    wrong = client.post(url, {"cpu_percentile": "10"})
    assert wrong.status_code == 200 and wrong.context["form"].errors["cpu_percentile"]
    usage_page = client.get(f"/machines/{vm.pk}/usage/").content.decode()
    assert url in usage_page and "Rhythm" in usage_page


def test_the_api_tells_and_changes_it(department, admin, vm):
    api = APIClient()
    api.force_authenticate(admin)
    url = f"/api/v1/departments/{department.pk}/sizing/"
    assert api.get(url).json()["standard"]["cpu_percentile"] == 99
    assert api.patch(url, {"memory_headroom": 1.5}).json()["memory_headroom"] == 1.5
    assert api.patch(url, {"memory_headroom": 9}).status_code == 400
    assert api.patch(url, {"colour": 1}).status_code == 400
    assert api.get(f"/api/v1/machines/{vm.pk}/rhythm/").json()["cpu_percent"]["words"] is not None
