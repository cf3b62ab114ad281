"""Usage from Prometheus: a real server with two hours of known history, a real node exporter, and answers that lie."""

import json
import re
import subprocess
import tempfile
import time
import urllib.request
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone
from rest_framework.test import APIClient

from analyzer.domain.prometheus import BadAnswer, Named, machines_by_label, parse_range, queries
from analyzer.models import UsageProvider, UsageSeries
from analyzer.services import prometheus
from analyzer.services.prometheus import (
    usage_collect_all,
    usage_collect_now,
    usage_provider_remove,
    usage_provider_set,
)
from analyzer.services.usage import usage_summary
from personas.errors import NotAllowed, Refused
from tests.factories import make_department, make_member, make_source, make_vm
from tests.servers import Server, free_port, running

MIB = 2**20
HOURS = 2
WITH_US = ["setpriv", "--pdeathsig", "KILL"]  # a server ends when the tests do, however they do


def counters(at_s: int, web: float, instance: str) -> list[str]:
    """Counters of a machine of two CPUs, of which `web` of each second is busy."""
    told = [
        f'node_cpu_seconds_total{{instance="{instance}",cpu="{cpu}",mode="idle"}} {at_s * (1 - web)}'
        for cpu in "01"
    ]
    told += [
        f'node_cpu_seconds_total{{instance="{instance}",cpu="{cpu}",mode="user"}} {at_s * web}'
        for cpu in "01"
    ]
    told += [
        f'node_memory_MemTotal_bytes{{instance="{instance}"}} 1000',
        f'node_memory_MemAvailable_bytes{{instance="{instance}"}} 250',
        f'node_network_receive_bytes_total{{instance="{instance}",device="eth0"}} {at_s * 1e6}',
        f'node_network_receive_bytes_total{{instance="{instance}",device="lo"}} {at_s * 9e6}',
        f'node_disk_read_bytes_total{{instance="{instance}",device="sda"}} {at_s * MIB}',
        f'node_disk_read_bytes_total{{instance="{instance}",device="sda1"}} {at_s * MIB}',
        f'libvirt_domain_info_cpu_time_seconds_total{{domain="{instance}"}} {at_s * 1.5}',
        f'libvirt_domain_info_virtual_cpus{{domain="{instance}"}} 2',
    ]
    return [f"{line} {at_s}" for line in told]


def history(end_s: int) -> str:
    """OpenMetrics wants each metric's samples together, each series by time."""
    lines = []
    for at_s in range(end_s - HOURS * 3600, end_s, 60):
        lines += counters(at_s, 0.25, "web01.example.org:9100") + counters(at_s, 0.5, "unknown:9100")
    lines.sort(key=lambda line: (line.partition(" ")[0], int(line.rpartition(" ")[2])))
    return "\n".join([*lines, "# EOF", ""])


@pytest.fixture(scope="module")
def server():
    with tempfile.TemporaryDirectory(prefix="personas-prometheus-") as top:
        folder = Path(top) / "data"
        folder.mkdir()
        (folder / "history").write_text(history(int(time.time()) // 300 * 300 - 600))
        (folder / "config.yml").write_text("scrape_configs: []\n")
        command = [
            "promtool",
            "tsdb",
            "create-blocks-from",
            "openmetrics",
            str(folder / "history"),
            str(folder),
        ]
        subprocess.run(command, check=True, capture_output=True)
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        options = ["--config.file", f"{folder}/config.yml", "--storage.tsdb.path", str(folder)]
        made = Server(
            name="prometheus",
            command=[*WITH_US, "prometheus", *options, "--web.listen-address", f"127.0.0.1:{port}"],
            folder=folder,
            port=port,
            url=url,
            answers=lambda: answers(f"{url}/-/ready"),
        )
        with running(made):
            yield made


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status == 200
    except OSError:
        return False


@pytest.fixture
def admin():
    return make_member(make_department(), "admin")


@pytest.fixture
def source(admin, settings, monkeypatch):
    monkeypatch.setattr(prometheus, "LOOK_BACK", timedelta(hours=HOURS + 1))
    settings.OUTBOUND_PRIVATE_NETWORKS = [ip_network("127.0.0.0/8")]
    return make_source(admin.memberships.get().department)


@pytest.mark.django_db
def test_what_prometheus_knows_becomes_the_usage_of_the_machine(server, source, admin):
    vm = make_vm(source=source, name="web01.example.org")
    usage_provider_set(source=source, by=admin, url=server.url + "/")
    report = usage_collect_now(source=source, by=admin)
    assert (report["machines"], report["left_out"]) == (1, ["unknown:9100"])
    found = usage_summary(vm)
    assert found["cpu_percent"].p50 == pytest.approx(25, abs=0.1)
    assert found["memory_percent"].p50 == 75
    assert found["net_in_mbps"].p50 == pytest.approx(8, rel=0.01)  # lo is left out
    assert found["disk_read_mibs"].p50 == pytest.approx(1, rel=0.01)  # sda1 is a part of sda
    assert HOURS * 12 - 2 <= found["cpu_percent"].samples <= HOURS * 12 + 1
    assert found["cpu_percent"].last_s < time.time() - 300
    rows = list(UsageSeries.objects.order_by("pk").values_list("packed", flat=True))
    assert usage_collect_now(source=source, by=admin)["values"] == 0  # only what is new
    UsageProvider.objects.update(collected_until=timezone.now() - timedelta(hours=1))
    usage_collect_now(source=source, by=admin)
    assert list(UsageSeries.objects.order_by("pk").values_list("packed", flat=True)) == rows  # twice is once


@pytest.mark.django_db
def test_a_hypervisor_knows_its_guests_by_their_domain(server, source, admin):
    vm = make_vm(source=source, name="web01")
    usage_provider_set(source=source, by=admin, url=server.url, exporter="libvirt", part="name")
    usage_collect_now(source=source, by=admin)
    assert usage_summary(vm)["cpu_percent"].p50 == pytest.approx(75, abs=0.1)


def test_the_names_that_are_asked_for_are_those_of_the_real_exporter():
    port = free_port()
    url = f"http://127.0.0.1:{port}/metrics"
    with tempfile.TemporaryDirectory() as top:
        folder = Path(top) / "data"
        command = [*WITH_US, "prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{port}"]
        exporter = Server("node exporter", command, folder, port, url, answers=lambda: answers(url))
        with running(exporter), urllib.request.urlopen(url, timeout=30) as response:
            shown = set(re.findall(r"^(node_\w+)", response.read().decode(), re.MULTILINE))
    asked = {
        name for query in queries("node", "instance").values() for name in re.findall(r"node_\w+", query)
    }
    assert len(asked) == 7 and asked <= shown


@pytest.mark.django_db
def test_an_address_of_our_own_network_is_asked_only_where_the_operator_allows_it(
    server, source, admin, settings
):
    settings.OUTBOUND_PRIVATE_NETWORKS = []
    usage_provider_set(source=source, by=admin, url=server.url)
    with pytest.raises(Refused, match="private address"):
        usage_collect_now(source=source, by=admin)
    provider = UsageProvider.objects.get()
    assert "private address" in provider.error and provider.lease_until is None


@pytest.mark.django_db
def test_one_that_lies_stops_none_of_the_others(source, admin, monkeypatch):
    other = make_source(source.department)
    for each in (source, other):
        usage_provider_set(source=each, by=admin, url="http://127.0.0.1:9/")
    rubbish = iter([b"<html>", *[json.dumps({"status": "error", "error": "bad query"}).encode()] * 2])
    monkeypatch.setattr(prometheus, "fetch", lambda url, **limits: next(rubbish))
    assert usage_collect_all() == 2
    told = set(UsageProvider.objects.values_list("error", flat=True))
    assert told == {"Prometheus: it is no JSON", "Prometheus: bad query"}


@pytest.mark.django_db
def test_times_that_were_not_asked_for_are_left_out(source, admin, monkeypatch):
    """One of them would be the last thirty days of its machine for ever."""
    vm = make_vm(source=source, name="web01")
    usage_provider_set(source=source, by=admin, url="http://127.0.0.1:9/")
    now = int(time.time()) // 300 * 300
    values = [[at, "7"] for at in (0, now - 40 * 86400, now, now + 300, now + 9 * 86400, 1e15)]
    rows = [{"metric": {"instance": name}, "values": values} for name in ("web01", "a\0b\ud800")]
    told = json.dumps({"status": "success", "data": {"resultType": "matrix", "result": rows}}).encode()
    monkeypatch.setattr(prometheus, "fetch", lambda url, **limits: told)
    report = usage_collect_now(source=source, by=admin)
    assert report["left_out"] == [r"a\x00b\ud800"]
    assert usage_summary(vm)["cpu_percent"].samples == 1
    assert usage_summary(vm)["cpu_percent"].last_s == now


@pytest.mark.parametrize("document", [
    None, [], {}, {"status": "success"}, {"status": "success", "data": {"resultType": "vector", "result": []}},
    {"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {"i": "a"}, "values": [[1]]}]}},
    {"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {"i": "a"}, "values": [["x", "1"]]}]}},
    {"status": "success", "data": {"resultType": "matrix", "result": [
        {"metric": {"i": "a"}, "values": [[float("inf"), "1"]]}]}},
])  # fmt: skip
def test_an_answer_of_another_form_is_told(document):
    with pytest.raises(BadAnswer):
        parse_range(document, "i")


def test_values_that_are_none_are_left_out():
    row = {"metric": {"i": "a"}, "values": [[600, "NaN"], [900, "+Inf"], [1200, "-0.1"], [1500, "7"]]}
    told = {
        "status": "success",
        "data": {"resultType": "matrix", "result": [row, {"metric": {}, "values": []}]},
    }
    assert parse_range(told, "i") == {"a": [(900, 0.0), (1200, 7.0)]}


MACHINES = [
    Named("1", ("Web01", "web01.example.org")),
    Named("2", ("db", "10.0.0.5")),
    Named("3", ("twin",)),
    Named("4", ("twin",)),
]


@pytest.mark.parametrize(
    ("label", "part", "found"),
    [
        ("web01.example.org:9100", "host", "1"),
        ("web01.other.org:9100", "host", None),
        ("web01.other.org:9100", "name", "1"),
        ("10.0.0.5:9100", "name", "2"),
        ("WEB01", "whole", "1"),
        ("web01:9100", "whole", None),
        ("twin:9100", "host", None),
        ("nobody", "host", None),
    ],
)
def test_a_label_means_one_machine_or_none(label, part, found):
    by_label, left_out = machines_by_label([label], MACHINES, part)
    assert by_label.get(label) == found and left_out == ([] if found else [label])


@pytest.mark.django_db
def test_who_may_say_which_prometheus_and_what_is_wrong_with_it(source, admin):
    with pytest.raises(NotAllowed):
        usage_provider_set(source=source, by=make_member(source.department, "operator"), url="http://p:9090")
    for told, field in (
        ({"url": "file:///etc/passwd"}, "url"),
        ({"url": "http://p", "label": "a) or up"}, "label"),
    ):
        with pytest.raises(ValidationError) as refused:
            usage_provider_set(source=source, by=admin, **told)
        assert list(refused.value.message_dict) == [field]
    usage_provider_set(source=source, by=admin, url="http://p:9090")
    usage_provider_remove(source=source, by=admin)
    with pytest.raises(Refused, match="no Prometheus"):
        usage_collect_now(source=source, by=admin)


@pytest.mark.django_db
def test_it_is_told_by_page_and_api(client, source, admin, server):
    client.force_login(admin)
    url = f"/sources/{source.pk}/prometheus/"
    assert client.get(url).status_code == 200
    told = {"url": server.url, "exporter": "node", "label": "", "part": "host"}
    assert client.post(url, told).status_code == 302
    assert client.post(url, told | {"url": "ftp://x"}).context["form"].errors["url"]
    assert client.post(f"/sources/{source.pk}/prometheus/collect/").status_code == 302
    shown = client.get(f"/sources/{source.pk}/").content.decode()
    assert server.url in shown and "unknown:9100" in shown
    api = APIClient()
    api.force_authenticate(admin)
    url = f"/api/v1/sources/{source.pk}/prometheus/"
    assert api.get(url).json()["label"] == "instance"
    assert api.put(url, told | {"part": "name"}).json()["part"] == "name"
    assert api.post(f"{url}collect/").json()["values"] == 0
    assert api.delete(url).status_code == 204 and api.get(url).status_code == 404
