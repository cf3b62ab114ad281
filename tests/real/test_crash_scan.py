"""kill -9 of the worker in the middle of a scan: another does it; a disk that kills each of them is given up."""

from datetime import timedelta

import pytest
from django.utils import timezone

from analyzer import tasks
from analyzer.models import Scan
from analyzer.models.scan import ScanState
from analyzer.services.scans import scan_start
from tests.factories import make_member, make_vm
from tests.real import instance

pytestmark = pytest.mark.both


@pytest.fixture
def vm(own_instance, tiny):
    return make_vm(path=tiny.path, format=tiny.format)


def start(vm) -> Scan:
    return scan_start(vm=vm, by=make_member(vm.department, "operator"))


def now(scan) -> Scan:
    return Scan.objects.get(pk=scan.pk)


def kill_in_the_middle(scan, attempt: int) -> None:
    worker = instance.worker("tests.real.slow_scanner")
    with instance.running(worker):
        instance.wait_until(
            lambda: (now(scan).state, now(scan).attempt) == (ScanState.RUNNING, attempt)
            and now(scan).progress_percent > 0,
            f"attempt {attempt} is under way",
            said=worker.said,
        )
    assert instance.left_behind(scan.vm.disks.get().path) == []  # its sandbox died with it


def test_scan_survives_kill_9_of_its_worker(vm):
    scan = start(vm)
    kill_in_the_middle(scan, attempt=1)
    clock, worker = instance.clock(), instance.worker()
    with instance.running(clock, worker):
        instance.wait_until(lambda: now(scan).state == ScanState.COMPLETE, "the scan ends", said=worker.said)
    assert now(scan).attempt == 2
    vm.refresh_from_db()
    assert vm.os_id == "debian"
    assert vm.packages.exists()


def test_a_lost_message_is_sent_again(vm):
    scan = Scan.objects.create(vm=vm, lease_until=timezone.now() - timedelta(seconds=1))  # and never sent
    worker = instance.worker()
    with instance.running(worker):
        tasks.sweep()
        instance.wait_until(lambda: now(scan).state == ScanState.COMPLETE, "the scan ends", said=worker.said)


def test_a_disk_that_kills_three_workers_is_given_up(vm):
    scan = start(vm)
    for attempt in (1, 2, 3):
        kill_in_the_middle(scan, attempt)
        Scan.objects.update(lease_until=timezone.now() - timedelta(seconds=1))  # the lease, without the wait
        tasks.sweep()
    assert now(scan).state == ScanState.UNREADABLE
    assert "died 3 times" in now(scan).message
