"""Scans asked for, claimed, killed, swept, settled. The reader of disks is faked at its contract."""

import threading
import time
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from kombu.exceptions import OperationalError

from analyzer.domain.facts import Coverage, Service, UsageSeries
from analyzer.models import Package, Recommendation, Scan
from analyzer.models.scan import ScanState
from analyzer.scanner.scan import UnreadableImage
from analyzer.services import messages, scan_reading, scans
from analyzer.services.scans import scan_now, scan_start, scan_work, scans_sweep
from personas.errors import NotAllowed
from personas.models import AuditEntry
from tests.factories import (
    make_department,
    make_facts,
    make_member,
    make_package,
    make_persona,
    make_scan,
    make_vm,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def vm(tmp_path):
    disk = tmp_path / "web01.raw"
    disk.write_bytes(b"disk")
    return make_vm(path=disk)


@pytest.fixture
def operator(vm):
    return make_member(vm.department, "operator")


@pytest.fixture
def reads(monkeypatch):
    """What the reader answers; `reads.calls` counts how often it was asked."""

    class Reads:
        calls = 0
        answer = make_facts(packages=(make_package("nginx", section="httpd"),))

        def __call__(self, disks):
            self.calls += 1
            self.disks = disks
            answer = self.answer() if callable(self.answer) else self.answer
            if isinstance(answer, Exception):
                raise answer
            return answer

    reads = Reads()
    monkeypatch.setattr(scan_reading, "scan_disks", reads)
    for module in (scan_reading, scans):
        monkeypatch.setattr(module, "BEAT_S", 0.02)
    return reads


def expire(scan):
    Scan.objects.filter(pk=scan.pk).update(lease_until=timezone.now() - timedelta(seconds=1))


def test_a_scan_fills_the_machine_and_suggests_a_persona(vm, operator, reads):
    persona = make_persona("WebDev", hints=["nginx"])
    reads.answer = make_facts(
        packages=(make_package("nginx", section="httpd"),),
        services=(Service(name="nginx.service", enabled=True),),
        boot_mode="uefi",
    )
    scan = scan_start(vm=vm, by=operator)
    assert (scan.state, scan.requested_by) == (ScanState.QUEUED, operator)
    assert scan_work(scan_id=scan.pk)
    scan.refresh_from_db()
    vm.refresh_from_db()
    assert (scan.state, scan.progress_percent, scan.coverage_stars) == (ScanState.COMPLETE, 100, 5)
    assert (vm.os_id, vm.os_version, vm.hostname, vm.firmware) == ("debian", "12", "web01", "uefi")
    assert list(vm.packages.values_list("name", "section")) == [("nginx", "httpd")]
    assert list(vm.services.values_list("name", "enabled")) == [("nginx.service", True)]
    assert vm.recommendations.get().persona == persona


def test_a_second_scan_replaces_what_the_first_found(vm, operator, reads):
    make_scan(vm, facts=make_facts(packages=(make_package("apache2"),)))
    scan_work(scan_id=scan_start(vm=vm, by=operator).pk)
    assert list(vm.packages.values_list("name", flat=True)) == ["nginx"]


def test_usage_found_on_the_disk_is_kept_in_our_units(vm, operator, reads):
    series = UsageSeries(
        metric="network_receive_bytes_per_s", step_s=600, source="sysstat", samples=((1_700_000_400, 1e6),)
    )
    reads.answer = make_facts(usage=(series,))
    scan_work(scan_id=scan_start(vm=vm, by=operator).pk)
    stored = vm.usage.get()
    assert (stored.metric, stored.step_s) == ("net_in_mbps", 600)
    assert [value for value in stored.values if value is not None] == [8.0]


def test_what_could_not_be_read_makes_it_partial_with_the_reason(vm, operator, reads):
    reads.answer = make_facts(coverage=(Coverage(area="packages", state="none", reason="LUKS"),))
    scan = scan_start(vm=vm, by=operator)
    scan_work(scan_id=scan.pk)
    scan.refresh_from_db()
    assert (scan.state, scan.message, scan.coverage_stars) == (ScanState.PARTIAL, "packages: LUKS", 1)


def test_an_unreadable_disk_ends_with_its_reason_and_keeps_what_was_known(vm, operator, reads):
    make_scan(vm, facts=make_facts(packages=(make_package("apache2"),)))
    reads.answer = UnreadableImage("the image has a backing file")
    scan = scan_start(vm=vm, by=operator)
    scan_work(scan_id=scan.pk)
    scan.refresh_from_db()
    assert (scan.state, scan.message) == (ScanState.UNREADABLE, "unreadable: the image has a backing file")
    assert vm.packages.count() == 1


def test_a_disk_that_has_gone_is_unreadable(vm, operator, reads):
    vm.disks.update(path="/nowhere/at/all.raw")
    scan = scan_start(vm=vm, by=operator)
    scan_work(scan_id=scan.pk)
    scan.refresh_from_db()
    assert "not there any more" in scan.message
    assert reads.calls == 0


def test_hostile_names_are_stored_as_they_are_told(vm, operator, reads):
    name = "x" * 256
    reads.answer = make_facts(
        hostname="<script>alert(1)</script>", packages=(make_package(name), make_package("'; DROP TABLE--"))
    )
    scan_work(scan_id=scan_start(vm=vm, by=operator).pk)
    vm.refresh_from_db()
    assert vm.hostname == "<script>alert(1)</script>"
    assert set(vm.packages.values_list("name", flat=True)) == {name, "'; DROP TABLE--"}


def test_twenty_thousand_packages_are_stored(vm, operator, reads):
    reads.answer = make_facts(packages=tuple(make_package(f"p{n}") for n in range(20_000)))
    scan_work(scan_id=scan_start(vm=vm, by=operator).pk)
    assert vm.packages.count() == 20_000


def test_asking_twice_gives_the_scan_that_is_under_way(vm, operator):
    assert scan_start(vm=vm, by=operator) == scan_start(vm=vm, by=operator)
    assert Scan.objects.count() == 1


def test_a_viewer_may_not_scan(vm):
    with pytest.raises(NotAllowed):
        scan_start(vm=vm, by=make_member(vm.department, "viewer"))
    with pytest.raises(NotAllowed):
        scan_start(vm=vm, by=make_member(make_department(), "admin"))


def test_start_and_end_are_audited(vm, operator, reads):
    scan_work(scan_id=scan_start(vm=vm, by=operator).pk)
    told = AuditEntry.objects.filter(object_id=str(vm.pk)).order_by("at")
    assert list(told.values_list("action", flat=True)) == ["scan.start", "scan.end"]


def test_a_claimed_scan_is_not_claimed_again(vm, operator, reads):
    scan = scan_start(vm=vm, by=operator)
    Scan.objects.filter(pk=scan.pk).update(
        state=ScanState.RUNNING, lease_until=timezone.now() + timedelta(seconds=30), attempt=1
    )
    assert not scan_work(scan_id=scan.pk)
    assert reads.calls == 0


def test_an_ended_scan_is_not_done_again(vm, reads):
    scan = make_scan(vm)
    assert not scan_work(scan_id=scan.pk)


def test_a_scan_whose_worker_died_is_sent_again_and_done(vm, operator, reads):
    scan = scan_start(vm=vm, by=operator)
    Scan.objects.filter(pk=scan.pk).update(state=ScanState.RUNNING, attempt=1)
    expire(scan)
    assert scans_sweep() == [scan.pk]
    assert scans_sweep() == []
    assert scan_work(scan_id=scan.pk)
    scan.refresh_from_db()
    assert (scan.state, scan.attempt) == (ScanState.COMPLETE, 2)


def test_a_lost_message_is_sent_again(vm, operator):
    scan = scan_start(vm=vm, by=operator)
    assert scans_sweep() == []
    expire(scan)
    assert scans_sweep() == [scan.pk]


def test_a_broker_that_is_away_stops_nobody(vm, operator, monkeypatch, django_capture_on_commit_callbacks):
    def away(*args, **options):
        raise OperationalError("connection refused")

    monkeypatch.setattr(messages.current_app, "send_task", away)
    with django_capture_on_commit_callbacks(execute=True) as sent:
        scan = scan_start(vm=vm, by=operator)
    assert len(sent) == 1
    expire(scan)
    assert scans_sweep() == [scan.pk]


def test_a_disk_that_kills_three_scanners_is_given_up(vm, operator):
    scan = scan_start(vm=vm, by=operator)
    for attempt in (1, 2):
        Scan.objects.filter(pk=scan.pk).update(state=ScanState.RUNNING, attempt=attempt)
        expire(scan)
        assert scans_sweep() == [scan.pk]
    Scan.objects.filter(pk=scan.pk).update(state=ScanState.RUNNING, attempt=3)
    expire(scan)
    assert scans_sweep() == []
    scan.refresh_from_db()
    assert scan.state == ScanState.UNREADABLE
    assert "died 3 times" in scan.message
    assert not scan_work(scan_id=scan.pk)


def test_an_unforeseen_error_is_told_and_tried_again_three_times(vm, operator, reads):
    reads.answer = ZeroDivisionError("surprise")
    scan = scan_start(vm=vm, by=operator)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            scan_work(scan_id=scan.pk)
        scans_sweep()
    scan.refresh_from_db()
    assert scan.state == ScanState.UNREADABLE
    assert "ZeroDivisionError: surprise" in scan.message


def test_a_worker_that_lost_its_claim_writes_nothing(vm, operator, reads):
    scan = scan_start(vm=vm, by=operator)

    def steal():
        time.sleep(0.2)
        return make_facts(packages=(make_package("late"),))

    def watch(percent, message):
        Scan.objects.filter(pk=scan.pk).update(fence=None)

    reads.answer = steal
    assert not scan_work(scan_id=scan.pk, watch=watch)
    scan.refresh_from_db()
    assert scan.state == ScanState.RUNNING
    assert not Package.objects.exists()
    assert not Recommendation.objects.exists()


def test_a_stopped_scan_goes_back_to_the_queue_without_counting(vm, operator, reads):
    class Cancelled(Exception):
        pass

    def watch(percent, message):
        raise Cancelled

    def slow():
        time.sleep(0.2)
        return make_facts()

    reads.answer = slow
    scan = scan_start(vm=vm, by=operator)
    with pytest.raises(Cancelled):
        scan_work(scan_id=scan.pk, watch=watch)
    scan.refresh_from_db()
    assert (scan.state, scan.attempt) == (ScanState.QUEUED, 0)


def test_scan_now_reuses_the_scan_of_the_same_disk(vm, operator, reads):
    first = scan_now(vm=vm, by=operator)
    assert first.state == ScanState.COMPLETE
    assert scan_now(vm=vm) == first
    assert reads.calls == 1


def test_scan_now_reads_again_when_the_disk_was_written(vm, reads):
    first = scan_now(vm=vm)
    with open(vm.disks.get().path, "ab") as disk:
        disk.write(b"more")
    assert scan_now(vm=vm) != first
    assert reads.calls == 2


def test_a_disk_written_while_it_was_read_is_partial_and_never_reused(vm, reads):
    path = vm.disks.get().path

    def write_meanwhile():
        with open(path, "ab") as disk:
            disk.write(b"more")
        return make_facts()

    reads.answer = write_meanwhile
    scan = scan_now(vm=vm)
    assert (scan.state, scan.disk_fingerprint) == (ScanState.PARTIAL, "")
    reads.answer = make_facts()
    assert scan_now(vm=vm) != scan


def test_scan_now_takes_over_a_queued_scan_and_tells_its_progress(vm, operator, reads):
    def slow():
        time.sleep(0.2)
        return make_facts()

    reads.answer = slow
    queued, told = scan_start(vm=vm, by=operator), []
    assert scan_now(vm=vm, keep_alive=lambda percent, message: told.append(percent)) == queued
    assert told == sorted(told)
    assert told[-1] == 80


def test_scan_now_waits_for_the_worker_that_has_it(vm, operator, reads):
    scan = scan_start(vm=vm, by=operator)
    Scan.objects.filter(pk=scan.pk).update(
        state=ScanState.RUNNING, lease_until=timezone.now() + timedelta(seconds=60), attempt=1
    )
    waited = []

    def keep_alive(percent, message):
        waited.append(message)
        if len(waited) == 3:
            Scan.objects.filter(pk=scan.pk).update(state=ScanState.COMPLETE)

    assert scan_now(vm=vm, keep_alive=keep_alive) == scan
    assert set(waited) == {"another worker is scanning this machine"}


def test_the_newest_suggestion_replaces_the_open_one(vm, reads):
    make_persona("WebDev", hints=["nginx"])
    scan_now(vm=vm)
    with open(vm.disks.get().path, "ab") as disk:
        disk.write(b"more")
    scan_now(vm=vm)
    assert vm.recommendations.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_workers_one_does_the_scan(vm, operator, reads):
    def slow():
        time.sleep(0.1)
        return make_facts()

    reads.answer = slow
    scan, done = scan_start(vm=vm, by=operator), []

    def work():
        done.append(scan_work(scan_id=scan.pk))
        connection.close()

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(done) == [False, False, True]
    assert reads.calls == 1


def test_all_disks_of_a_machine_are_read_together(vm, tmp_path, reads):
    second = tmp_path / "data.qcow2"
    second.write_bytes(b"data")
    vm.disks.create(index=1, path=str(second), format="qcow2", virtual_size_bytes=2**30)
    assert scan_now(vm=vm).state == ScanState.COMPLETE
    assert [(each.path.name, each.format) for each in reads.disks] == [
        ("web01.raw", "raw"),
        ("data.qcow2", "qcow2"),
    ]
    second.unlink()
    assert scan_now(vm=vm).message == f"unreadable: the disk is not there any more: {second}"
