"""Scans by themselves: of sources that say so, the machines whose last scan is too old."""

from datetime import timedelta
from itertools import islice

from django.db.models import F, Max, Q
from django.utils import timezone

from analyzer.models import Scan, VirtualMachine
from analyzer.models.scan import ACTIVE
from analyzer.models.source import Rescan
from analyzer.services.scan_reading import disk_fingerprint
from analyzer.services.scans import scan_queue

PERIODS = {Rescan.DAILY: timedelta(days=1), Rescan.WEEKLY: timedelta(days=7)}
MOST_AT_ONCE = 500  # of one round; the rest at the next, ten minutes later


def rescans_queue() -> list[VirtualMachine]:
    """The machines that were queued, who waited longest first. One whose disk was not written since needs none."""
    due = Q()
    for rescan, period in PERIODS.items():
        asked_before = Q(last_asked_at__lt=timezone.now() - period) | Q(last_asked_at__isnull=True)
        due |= Q(source__rescan=rescan) & asked_before
    present = VirtualMachine.objects.filter(missing_since__isnull=True).annotate(
        last_asked_at=Max("scans__created_at")
    )
    idle = (
        present.filter(due)
        .exclude(scans__state__in=ACTIVE)
        .order_by(F("last_asked_at").asc(nulls_first=True), "pk")
    )
    with_disks = idle.select_related("source").prefetch_related("disks").iterator(chunk_size=MOST_AT_ONCE)
    written = (vm for vm in with_disks if not _unchanged(vm))
    stale = list(islice(written, MOST_AT_ONCE))
    for vm in stale:
        scan_queue(vm=vm)
    return stale


def _unchanged(vm: VirtualMachine) -> bool:
    known = Scan.objects.readable().filter(vm=vm).values_list("disk_fingerprint", flat=True).first()
    return bool(known and known == disk_fingerprint(vm))
