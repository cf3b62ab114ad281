"""What changed between two scans, and scans by themselves."""

from datetime import timedelta

import pytest
from django.utils import timezone

from analyzer.domain.facts import Container, Coverage, Extras, Kernel, Listening, OperatingSystem, Service
from analyzer.domain.scan_diff import changes
from analyzer.models import Scan
from analyzer.models.scan import ScanState
from analyzer.services import rescans
from analyzer.services.rescans import rescans_queue
from analyzer.services.scan_changes import scan_changes
from analyzer.services.scan_reading import disk_fingerprint
from tests.factories import make_facts, make_package, make_scan, make_source, make_vm

BEFORE = make_facts(
    os=OperatingSystem(id="debian", pretty_name="Debian 12"),
    kernels=(Kernel(version="6.1.0-41", default=True),),
    packages=(make_package("nginx"), make_package("openssl", version="3.0.1"), make_package("vim")),
    services=(Service(name="nginx.service", enabled=True),),
    listening=(Listening(port=80, service="nginx"),),
)
AFTER = BEFORE.model_copy(
    update={
        "kernels": (Kernel(version="6.1.0-44", default=True),),
        "packages": (make_package("openssl", version="3.0.2"), make_package("vim"), make_package("redis")),
        "services": (),
        "listening": (Listening(port=6379, service="redis", address="127.0.0.1"),),
        "extras": Extras(containers=(Container(name="web", image="acme/web:2", engine="docker"),)),
    }
)


def test_changes_are_told_in_words():
    assert [str(each) for each in changes(BEFORE, AFTER)] == [
        "started by default 6.1.0-41 → 6.1.0-44",
        "nginx removed",
        "openssl 3.0.1 → 3.0.2",
        "redis 1.0 added",
        "nginx.service removed",
        "6379/tcp added",
        "80/tcp removed",
        "web added",
    ]


def test_nothing_changed_is_nothing_told():
    assert changes(BEFORE, BEFORE) == []


def test_what_could_not_be_read_did_not_change():
    blind = AFTER.model_copy(update={"packages": (), "coverage": (Coverage(area="packages", state="none"),)})
    assert "software" not in {each.area for each in changes(BEFORE, blind)}


@pytest.mark.django_db
def test_a_scan_knows_what_changed_since_the_one_before():
    first = make_scan(facts=BEFORE)
    assert scan_changes(first) == []
    second = make_scan(first.vm, facts=AFTER)
    assert "nginx removed" in map(str, scan_changes(second))


@pytest.mark.django_db
@pytest.mark.parametrize(("rescan", "age_h", "queued"), [
    ("off", 1000, 0), ("daily", 23, 0), ("daily", 25, 1), ("weekly", 25, 0), ("weekly", 24 * 7 + 1, 1),
])  # fmt: skip
def test_only_what_is_stale_is_scanned_again(rescan, age_h, queued):
    vm = make_vm(source=make_source(rescan=rescan))
    scan = make_scan(vm)
    Scan.objects.filter(pk=scan.pk).update(created_at=timezone.now() - timedelta(hours=age_h))
    assert len(rescans_queue()) == queued
    assert len(rescans_queue()) == 0  # what is queued is not queued again
    assert vm.scans.filter(state=ScanState.QUEUED).count() == queued


@pytest.mark.django_db
def test_a_machine_that_was_never_scanned_is_stale_and_a_missing_one_is_not():
    source = make_source(rescan="daily")
    new = make_vm(source=source)
    make_vm(source=source, missing_since=timezone.now())
    assert rescans_queue() == [new]


@pytest.mark.django_db
def test_a_disk_that_was_not_written_since_needs_no_scan(tmp_path):
    disk = tmp_path / "a.raw"
    disk.write_bytes(b"disk")
    vm = make_vm(path=disk, source=make_source(rescan="daily"))
    scan = make_scan(vm, disk_fingerprint=disk_fingerprint(vm))
    Scan.objects.filter(pk=scan.pk).update(created_at=timezone.now() - timedelta(days=9))
    assert rescans_queue() == []
    disk.write_bytes(b"written since")
    assert rescans_queue() == [vm]


@pytest.mark.django_db
def test_disks_that_were_not_written_keep_no_other_waiting(tmp_path, monkeypatch):
    monkeypatch.setattr(rescans, "MOST_AT_ONCE", 1)
    disk = tmp_path / "a.raw"
    disk.write_bytes(b"disk")
    source = make_source(rescan="daily")
    kept, written = make_vm(path=disk, source=source), make_vm(source=source)
    oldest = make_scan(kept, disk_fingerprint=disk_fingerprint(kept))
    Scan.objects.filter(pk=oldest.pk).update(created_at=timezone.now() - timedelta(days=9))
    newer = make_scan(written)
    Scan.objects.filter(pk=newer.pk).update(created_at=timezone.now() - timedelta(days=8))
    assert rescans_queue() == [written]
