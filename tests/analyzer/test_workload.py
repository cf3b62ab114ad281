"""What a scan finds on the way: end of support, kernels, disks that fill, licences, open databases."""

import uuid
from datetime import UTC, date, datetime, timedelta

import pytest
from django.utils import timezone

from analyzer.domain.end_of_life import ENDS, SOURCES, end_of_life
from analyzer.domain.facts import (
    Directory,
    Extras,
    Filesystem,
    Kernel,
    Listening,
    OperatingSystem,
    Running,
)
from analyzer.domain.workload import days_until_full, natural, workload_concerns
from analyzer.models import Scan
from analyzer.services import scan_reading
from analyzer.services.scan_ends import settle_look
from analyzer.services.scans import facts_of, scan_now
from analyzer.services.workload import _used
from analyzer.sources.ssh import Unreachable
from tests.factories import make_facts, make_package, make_scan, make_vm

TODAY = date(2026, 11, 23)
GIB = 2**30


def codes(facts, **told):
    return [each.code for each in workload_concerns(facts, today=TODAY, **told)]


@pytest.mark.parametrize(
    ("os_id", "version", "found"),
    [
        ("debian", "11", ["end_of_life"]),
        ("debian", "12.5", []),
        ("ubuntu", "20.04", ["end_of_life"]),
        ("rhel", "7.9", ["end_of_life"]),
        ("alpine", "3.21.3", ["end_of_life"]),
        ("debian", "sid", []),
        ("plan9", "4", []),
    ],
)
def test_a_distribution_without_updates_is_told(os_id, version, found):
    assert codes(make_facts(os=OperatingSystem(id=os_id, version=version))) == found


def test_the_date_and_who_says_so_are_told_and_the_end_before_it_comes():
    facts = make_facts(os=OperatingSystem(id="debian", version="11", pretty_name="Debian 11"))
    (late,) = workload_concerns(facts, today=TODAY)
    assert "2026-08-31" in late.text and "wiki.debian.org" in late.text and late.severity == "warning"
    (early,) = workload_concerns(facts, today=date(2026, 6, 1))
    assert (early.code, early.severity) == ("end_of_life_soon", "information")
    assert workload_concerns(facts, today=date(2025, 6, 1)) == []


def test_every_date_is_one_and_every_maker_is_named():
    assert set(ENDS) == set(SOURCES)
    for os_id, releases in ENDS.items():
        assert all(end_of_life(os_id, version)[0].year > 2010 for version in releases)


def kernels(*versions, running=""):
    told = {"kernels": tuple(Kernel(version=each, default=each == versions[0]) for each in versions)}
    return make_facts(**told, running=Running(kernel=running) if running else None)


def test_a_kernel_that_waits_for_a_reboot_is_told():
    facts = kernels("6.1.0-44-amd64", "6.1.0-9-amd64", running="6.1.0-9-amd64")
    assert codes(facts) == ["kernel_not_running"]
    assert codes(kernels("6.1.0-44-amd64", "6.1.0-9-amd64", running="6.1.0-44-amd64")) == []


def test_a_kernel_older_than_that_of_its_neighbours_is_told():
    facts = kernels("6.1.0-41-amd64")
    assert codes(facts, kernels_nearby=["6.1.0-44-amd64"]) == ["kernel_outdated"]
    assert codes(facts, kernels_nearby=["6.1.0-9-amd64", "6.1.0-44-cloud-amd64"]) == []


def test_a_disk_that_fills_is_told_with_its_days():
    growing = [(day, (50 + 2 * day) * GIB, 100 * GIB) for day in range(15)]
    assert days_until_full(growing) == pytest.approx(11)
    assert codes(make_facts(), used={"/": growing}) == ["disk_filling"]
    assert codes(make_facts(), used={"/": [(0, 97 * GIB, 100 * GIB)]}) == ["disk_full"]
    assert codes(make_facts(), used={"/": [(0, 90 * GIB, 100 * GIB)]}) == ["disk_nearly_full"]
    once = [(0, 50, 100), (1, 90, 100), (2, 50, 100), (3, 50, 100)]
    assert days_until_full(once) is None and days_until_full(growing[:2]) is None


def test_software_that_is_licensed_by_core_is_told_however_it_was_installed():
    assert codes(make_facts(packages=(make_package("mssql-server"),))) == ["licence"]
    tarball = Extras(directories=(Directory(path="/opt/oracle", entries=3),))
    assert codes(make_facts(extras=tarball)) == ["licence"]
    assert codes(make_facts(running=Running(kernel="6.1", processes=("ora_pmon_ORCL",)))) == ["licence"]
    assert codes(make_facts(packages=(make_package("postgresql-15"), make_package("oracle-java17")))) == []


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("Microsoft SQL Server 2019 (64-bit)", ["licence"]),
        ("Microsoft SQL Server 2008 R2", ["licence"]),
        ("SQL Server 2022 Database Engine Services", ["licence"]),
        ("Microsoft SQL Server 2012 Native Client", []),
        ("Microsoft SQL Server 2008 Setup Support Files", []),
        ("Microsoft SQL Server Management Studio - 19.1", []),
        ("Oracle Database 19c", ["licence"]),
        ("Oracle Database 19c Client", []),
        ("DB2 Server Edition", ["licence"]),
        ("IBM Data Server Client", []),
        ("IBM WebSphere Application Server V9.0", ["licence"]),
        ("Oracle WebLogic Server 14c", ["licence"]),
        ("SAP HANA Database Client", []),
        ("MATLAB R2023b", ["licence"]),
    ],
)
def test_licensed_software_has_its_names_on_windows(name, found):
    assert codes(make_facts(packages=(make_package(name),))) == found


def test_a_database_that_listens_everywhere_is_told():
    assert codes(make_facts(listening=(Listening(port=5432, service="postgresql"),))) == ["open_database"]
    assert (
        codes(make_facts(listening=(Listening(port=5432, service="postgresql", address="127.0.0.1"),))) == []
    )
    assert codes(make_facts(listening=(Listening(port=5432, service="x", protocol="udp"),))) == []


@pytest.mark.django_db
def test_a_scan_keeps_them_with_its_facts(tmp_path, monkeypatch):
    disk = tmp_path / "db01.raw"
    disk.write_bytes(b"disk")
    vm = make_vm(path=disk)
    neighbour = make_facts(packages=(make_package("linux-image-6.1.0-44-amd64"),))
    make_scan(make_vm(vm.department), facts=neighbour)
    root = {"device": "p1", "kind": "ext4", "mount_point": "/", "size_bytes": 100 * GIB}
    for days in (9, 6, 3):
        older = make_facts(filesystems=(Filesystem(**root, used_bytes=(90 - days) * GIB),))
        scan = make_scan(vm, facts=older)
        Scan.objects.filter(pk=scan.pk).update(created_at=timezone.now() - timedelta(days=days))
    found = make_facts(
        filesystems=(Filesystem(**root, used_bytes=90 * GIB),),
        kernels=(Kernel(version="6.1.0-41-amd64", default=True),),
    )
    monkeypatch.setattr(scan_reading, "scan_disks", lambda images: found)
    told = {each.code: each.text for each in facts_of(scan_now(vm=vm)).concerns}
    assert set(told) == {"kernel_outdated", "disk_filling"}
    assert "6.1.0-44-amd64" in told["kernel_outdated"] and "10 days" in told["disk_filling"]


@pytest.mark.django_db
def test_a_machine_that_cannot_be_reached_adds_nothing_to_what_was_seen():
    root = {"device": "p1", "kind": "ext4", "mount_point": "/", "size_bytes": 100 * GIB}
    seen = make_scan(facts=make_facts(filesystems=(Filesystem(**root, used_bytes=50 * GIB),)))
    Scan.objects.filter(pk=seen.pk).update(finished_at=datetime(2026, 1, 2, 3, 4, tzinfo=UTC))
    for _ in range(2):
        scan = make_scan(seen.vm, state="running", fence=uuid.uuid4())
        settle_look(scan, Unreachable("no route"))
        assert scan.state == "partial" and "of 2026-01-02 03:04 UTC" in scan.message
    now = make_scan(seen.vm, state="running")
    assert [used for _, used, _ in _used(now, facts_of(seen))["/"]] == [50 * GIB] * 2  # seen then, and now


def test_versions_sort_whatever_stands_in_them():
    assert sorted(["6.1.0²", "6.1.0-41", "6.1.0-9"], key=natural) == ["6.1.0-9", "6.1.0-41", "6.1.0²"]
