"""What a scan found that the one before had not."""

from analyzer.domain.scan_diff import Change, changes
from analyzer.models import Scan
from analyzer.services.scans import facts_of


def scan_before(scan: Scan) -> Scan | None:
    """The readable scan of the same machine before this one."""
    earlier = Scan.objects.readable().filter(
        vm=scan.vm_id, created_at__lt=scan.created_at, facts__isnull=False
    )
    return earlier.first()


def scan_changes(scan: Scan) -> list[Change]:
    """Empty for a first scan, and for one that found everything as it was."""
    before = scan_before(scan)
    if before is None or not scan.facts or scan.facts == before.facts:
        return []
    return changes(facts_of(before), facts_of(scan))
