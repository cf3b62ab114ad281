"""The size of a machine of the inventory: from its stored usage, by API and on its page."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from analyzer.domain.sizing import Unsized
from analyzer.services import discovery
from analyzer.services.discovery import source_discover
from analyzer.services.inventory import inventory_import
from analyzer.services.machines import vm_update
from analyzer.services.sizing import sizing_of
from analyzer.services.usage import usage_store
from analyzer.sources.base import Machine
from personas.errors import BadInput
from personas.models import AuditEntry
from tests.factories import make_department, make_member, make_source, make_vm

pytestmark = pytest.mark.django_db

HOUR = 3600


def client_of(user):
    client = APIClient()
    client.force_login(user)
    return client


@pytest.fixture
def department():
    return make_department("Web")


@pytest.fixture
def vm(department):
    return make_vm(department, name="web01", vcpus=8, memory_mib=8192)


@pytest.fixture
def operator(department):
    return make_member(department, "operator")


def store(vm, *, days=20, cpu=10.0, memory=50.0, until=None, step_s=HOUR):
    """Steady use up to now."""
    end = int((until or timezone.now()).timestamp()) // step_s * step_s
    times = range(end - days * 86_400, end, step_s)
    samples = {"cpu_percent": [(at, cpu) for at in times], "memory_percent": [(at, memory) for at in times]}
    usage_store(vm=vm, samples=samples, steps=dict.fromkeys(samples, step_s))


def url(vm, **query):
    return reverse("machine-sizing", args=[vm.pk]), query


def test_sizes_are_whole_vcpus_and_memory_in_its_steps(vm, operator):
    store(vm)
    address, _ = url(vm)
    told = client_of(operator).get(address).json()
    assert (told["vcpus"]["size"], told["vcpus"]["capacity"]) == (5, 8)  # 60 % of 8, upwards
    assert told["vcpus"]["saving"] == pytest.approx(3 / 8)
    assert told["vcpus"]["decided_by"] == "deepest_cut"
    assert told["memory_mib"]["size"] == 5120  # 50 % of 8192, × 1.2, in steps of 256
    assert told["memory_mib"]["above_share"] == 0
    assert told["memory_mib"]["days"] == pytest.approx(20, abs=1)


def test_what_a_reader_tries_changes_the_size(vm, operator):
    store(vm, cpu=50)
    address, query = url(vm, headroom=2, deepest_cut=1)
    assert client_of(operator).get(address, query).json()["vcpus"]["size"] == 8


def test_a_wish_that_makes_no_sense_is_told_beside_its_name(vm, operator):
    address, query = url(vm, percentile=20)
    answer = client_of(operator).get(address, query)
    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json()["errors"]] == ["#/percentile"]
    with pytest.raises(BadInput):
        sizing_of(vm, headroom=0.1)


def test_a_machine_of_unknown_size_gets_none(department):
    vm = make_vm(department)
    store(vm)
    assert "not known how much" in sizing_of(vm)["vcpus"].reason


def test_thin_usage_is_refused_with_its_reason(vm, operator):
    store(vm, days=3)
    told = client_of(operator).get(url(vm)[0]).json()["vcpus"]
    assert told["size"] is None
    assert "3.0 days altogether; 7 are needed" in told["refused"]


def test_usage_from_before_a_resize_is_left_out(vm, operator):
    store(vm, days=30, cpu=90)
    vm_update(vm=vm, by=operator, vcpus=16)
    assert sizing_of(vm_again(vm))["vcpus"] == Unsized("nothing was measured since its last resize")
    assert sizing_of(vm_again(vm))["memory_mib"].size == 5120  # its memory is what it was


def test_a_resize_that_its_source_tells_counts_as_well(department, operator):
    header = "external_id,name,vcpus,memory_mib"
    source = make_source(department, kind="inventory", location="")
    inventory_import(source=source, by=operator, data=f"{header}\n1,web01,,8192".encode())
    inventory_import(source=source, by=operator, data=f"{header}\n1,web01,8,8192".encode())
    vm = source.machines.get()
    store(vm, days=30, cpu=90)
    inventory_import(source=source, by=operator, data=f"{header}\n1,web01,16,8192".encode())
    assert sizing_of(vm_again(vm))["vcpus"] == Unsized("nothing was measured since its last resize")
    assert sizing_of(vm_again(vm))["memory_mib"].size == 5120
    told = AuditEntry.objects.get(action="virtualmachine.update")
    assert (told.before, told.after, told.actor) == ({"vcpus": 8}, {"vcpus": 16}, operator)


@pytest.mark.parametrize("before", [8, None])
def test_a_resize_that_is_discovered_counts_as_well(department, monkeypatch, before):
    vm = make_vm(department, vcpus=before, memory_mib=8192)
    store(vm, days=30, cpu=40)
    seen = Machine(vm.external_id, vm.name, (), vcpus=16)
    monkeypatch.setattr(discovery, "_shown", lambda source: [seen])
    source_discover(source=vm.source, by=make_member(department, "operator"))
    found = sizing_of(vm_again(vm))["vcpus"]
    assert (found == Unsized("nothing was measured since its last resize")) == (before is not None)


def test_the_first_telling_of_a_size_is_no_resize(department, operator):
    vm = make_vm(department, memory_mib=4096)
    store(vm)
    vm_update(vm=vm, by=operator, vcpus=4)
    assert sizing_of(vm_again(vm))["vcpus"].size == 3


def vm_again(vm):
    return type(vm).objects.get(pk=vm.pk)


def test_days_of_different_steps_count_by_time(vm):
    store(vm, days=20, until=timezone.now() - timedelta(days=2))
    store(vm, days=2, step_s=300)
    found = sizing_of(vm)["vcpus"]
    assert found.samples == pytest.approx(22 * 288, abs=300)
    assert found.coverage > 0.99


def test_the_chart_has_the_size_as_a_line(vm, operator):
    store(vm)
    chart = (
        client_of(operator)
        .get(reverse("machine-usage-series", args=[vm.pk]), {"metric": "cpu_percent"})
        .json()
    )
    assert {"label": "size", "value": 62.5} in chart["lines"]


def test_a_chart_of_what_has_no_size_has_no_such_line(vm, operator):
    usage_store(vm=vm, samples={"net_in_mbps": [(1_704_067_200, 5.0)]}, steps={"net_in_mbps": 300})
    chart = (
        client_of(operator)
        .get(reverse("machine-usage-series", args=[vm.pk]), {"metric": "net_in_mbps"})
        .json()
    )
    assert [line["label"] for line in chart["lines"]] == ["p95", "p50"]


def test_the_page_shows_size_risk_saving_and_reason(client, vm, operator):
    store(vm, days=20, cpu=10)
    client.force_login(operator)
    text = client.get(reverse("analyzer:vm_usage", args=[vm.pk])).content.decode()
    for words in ("Right size", "37.5 %", "no deeper cut at once", "5 GiB", "Time above"):
        assert words in text, words


def test_the_page_says_why_there_is_no_size(client, vm, operator):
    store(vm, days=2)
    client.force_login(operator)
    text = client.get(reverse("analyzer:vm_usage", args=[vm.pk])).content.decode()
    assert "No size, because it was measured for 2.0 days" in text


def test_a_stranger_sees_no_size(vm):
    store(vm)
    assert client_of(make_member(make_department("Other"), "admin")).get(url(vm)[0]).status_code == 404
