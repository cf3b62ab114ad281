"""How a scan ends: complete, partial, unreadable, or given up."""

from django.db import transaction
from django.utils import timezone

from analyzer.domain.facts import Facts, ScanInfo
from analyzer.models import Scan, VirtualMachine
from analyzer.models.scan import NO_USAGE, ScanState
from analyzer.services.findings import findings_store
from analyzer.services.scan_claims import MAX_ATTEMPTS, LostClaim, held
from analyzer.services.workload import with_workload_concerns
from analyzer.sources.ssh import Denied, Outcome, Unreachable
from personas.services.audit import record

NOTHING_READ = ScanInfo(duration_ms=0, image_format="ssh", virtual_size_bytes=0, allocated_bytes=0)

# without these a machine cannot be understood; a disk without usage history or /srv is complete all the same
CORE_AREAS = ("os", "kernels", "packages", "services", "filesystems")


@transaction.atomic
def settle(scan: Scan, facts: Facts, fingerprint: str, changed: str) -> None:
    """With what was found; `changed` says what is doubtful about it, or nothing. Raises LostClaim, as all of these."""
    partial = [each for each in facts.coverage if each.state != "full" and each.area in CORE_AREAS]
    told = "; ".join(f"{each.area}: {each.reason}" for each in partial)
    facts = with_workload_concerns(scan, facts)
    _end(
        scan,
        state=ScanState.PARTIAL if partial or changed else ScanState.COMPLETE,
        message=f"{changed} {told}".strip()[:500],
        facts=facts.model_dump(mode="json"),
        coverage_stars=stars_of(facts),
        disk_fingerprint="" if changed else fingerprint,
    )
    findings_store(scan=scan, facts=facts)


def stars_of(facts: Facts) -> int:
    """1..5: how much of what a scan looks for it could read."""
    worth = {"full": 1.0, "partial": 0.5, "none": 0.0}
    areas = [each for each in facts.coverage if each.area != "usage"]
    return max(1, round(5 * sum(worth[each.state] for each in areas) / len(areas))) if areas else 1


@transaction.atomic
def settle_unreadable(scan: Scan, reason: str) -> None:
    _end(scan, state=ScanState.UNREADABLE, message=f"unreadable: {reason}"[:500])


def settle_look(scan: Scan, outcome: Outcome) -> None:
    """A machine that is off or cannot be reached ends partial, with what was known of it before; one that does not let
    us in is unreadable."""
    if isinstance(outcome, Denied):
        settle_unreadable(scan, outcome.reason)
    elif isinstance(outcome, Unreachable):
        settle_unreachable(scan, outcome.reason)
    else:
        settle(scan, outcome.facts, "", "")


@transaction.atomic
def settle_unreachable(scan: Scan, reason: str) -> None:
    before = Scan.objects.looked().filter(vm=scan.vm, facts__isnull=False).first()
    facts = before.facts if before else Facts(scan=NOTHING_READ).model_dump(mode="json")
    as_of = f"; what is told is of {before.finished_at:%Y-%m-%d %H:%M} UTC" if before else ""
    message = f"{NO_USAGE} It cannot be reached: {reason}{as_of}"[:500]
    stars = before.coverage_stars if before else 1
    _end(scan, state=ScanState.PARTIAL, message=message, facts=facts, coverage_stars=stars)
    VirtualMachine.objects.filter(pk=scan.vm_id).update(power_state="unknown")


@transaction.atomic
def give_up(scan: Scan) -> bool:
    """True when this disk has killed enough scanners and the scan is ended for that."""
    now = timezone.now()
    row = Scan.objects.overdue(now).filter(pk=scan.pk, attempt__gte=MAX_ATTEMPTS)
    message = f"unreadable: the scanner died {MAX_ATTEMPTS} times on this disk. {scan.message}".strip()[:500]
    ended = {
        "state": ScanState.UNREADABLE,
        "message": message,
        "finished_at": now,
        "lease_until": None,
        "fence": None,
    }
    if not row.update(**ended):
        return False
    record(by=None, action="scan.end", obj=scan.vm, after={"scan": str(scan.pk), "message": message})
    return True


def _end(scan: Scan, **columns) -> None:
    columns |= {"finished_at": timezone.now(), "progress_percent": 100, "lease_until": None, "fence": None}
    if not held(scan).update(**columns):
        raise LostClaim(str(scan.pk))
    scan.refresh_from_db()
    after = {"scan": str(scan.pk), "state": scan.state, "message": scan.message}
    record(by=scan.requested_by, action="scan.end", obj=scan.vm, after=after)
