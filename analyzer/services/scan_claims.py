"""Who holds a scan: a claim is one conditional UPDATE that takes a fence; whoever still has the fence writes, everybody
else has lost and writes nothing."""

import uuid
from collections.abc import Iterable
from datetime import timedelta

from django.conf import settings
from django.db.models import F, QuerySet
from django.utils import timezone

from analyzer.models import Scan
from analyzer.models.scan import ScanState

MAX_ATTEMPTS = 3


class LostClaim(Exception):
    """Another worker has this scan now, because this one was silent for too long."""


def claim(scan_id: uuid.UUID) -> Scan | None:
    """The newly claimed row. Taking over from a dead worker counts as an attempt like any other."""
    now, fence = timezone.now(), uuid.uuid4()
    free = Scan.objects.filter(pk=scan_id, attempt__lt=MAX_ATTEMPTS)
    taken = free.filter(state=ScanState.QUEUED) | free.filter(state=ScanState.RUNNING, lease_until__lt=now)
    count = taken.update(
        state=ScanState.RUNNING,
        fence=fence,
        lease_until=now + timedelta(seconds=settings.LEASE_S),
        attempt=F("attempt") + 1,
        started_at=now,
        progress_percent=0,
        message="",
    )
    return Scan.objects.select_related("vm__source").get(pk=scan_id) if count else None


def held(scan: Scan) -> QuerySet[Scan]:
    """The row as long as its claim holds; else none."""
    return Scan.objects.filter(pk=scan.pk, fence=scan.fence, state=ScanState.RUNNING)


def renew(scan: Scan, percent: int, message: str) -> None:
    """Raises LostClaim."""
    until = timezone.now() + timedelta(seconds=settings.LEASE_S)
    if not held(scan).update(lease_until=until, progress_percent=percent, message=message[:500]):
        raise LostClaim(str(scan.pk))


def renew_all(scans: Iterable[Scan]) -> None:
    """One statement for all that are still asked; those that somebody took over have another fence."""
    until = timezone.now() + timedelta(seconds=settings.LEASE_S)
    Scan.objects.filter(fence__in=[scan.fence for scan in scans], state=ScanState.RUNNING).update(
        lease_until=until
    )


def give_back(scan: Scan, error: BaseException, *, counts: bool) -> None:
    """To the queue, for the sweeper to send at once. An attempt counts unless it was stopped on purpose."""
    held(scan).update(
        state=ScanState.QUEUED,
        fence=None,
        lease_until=timezone.now(),
        attempt=F("attempt") - (0 if counts else 1),
        message=f"{type(error).__name__}: {error}"[:300] if counts else "",
        progress_percent=0,
    )
