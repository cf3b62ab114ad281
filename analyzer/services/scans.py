"""Scans: asked for, claimed, done, swept. The database is the truth; a lost message or a killed worker costs time only.

queued ──claim──> running ──settle──> complete | partial | unreadable. A claim is one conditional UPDATE that takes a
fence; whoever still holds the fence writes the outcome, everybody else has lost and writes nothing.
"""

import time
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from datetime import timedelta
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from analyzer.domain.facts import Facts, ScanInfo
from analyzer.models import Disk, Scan, VirtualMachine
from analyzer.models.scan import READABLE, ScanState
from analyzer.scanner.scan import SandboxUnavailable, UnreadableImage, disk_images, scan_disks
from analyzer.services.findings import findings_store
from analyzer.services.hypervisors import disks_for_scan, hypervisor_of
from analyzer.services.messages import EXPIRES_S, send_on_commit
from analyzer.services.ssh_looks import look_prepare
from analyzer.services.workload import with_workload_concerns
from analyzer.sources.base import SourceError
from analyzer.sources.ssh import Denied, Outcome, Unreachable
from personas.domain.canonical import sha256_of
from personas.errors import Refused
from personas.models import Role
from personas.services.access import require
from personas.services.audit import record

Watch = Callable[
    [int, str], None
]  # (percent, what is happening); what it raises stops the scan and is raised again

TASK = "analyzer.scan"
TASK_OF_MANY = "analyzer.scan_running"
MAX_ATTEMPTS = 3
QUEUE_S = EXPIRES_S  # a queued scan that no worker has begun by then is sent again
NO_DISK_HERE = (
    "only an inventory file tells of this machine; a scan needs its disk, from a directory of images"
)
NOTHING_READ = ScanInfo(duration_ms=0, image_format="ssh", virtual_size_bytes=0, allocated_bytes=0)
BEAT_S = 1.0  # how often a running scan looks at its watch

log = structlog.get_logger(__name__)


class LostClaim(Exception):
    """Another worker has this scan now, because this one was silent for too long."""


def nobody_watches(percent: int, message: str) -> None:
    """For a caller that wants the outcome only."""


def disk_fingerprint(vm: VirtualMachine) -> str:
    """Hex digest that changes when a disk of the machine is written, replaced, added or removed; looks at the files'
    size, inode and times, never into them. Empty when a disk is not there. Sources that are not files have none."""
    seen = []
    if vm.source.is_libvirt:
        return ""  # its paths are those of the hypervisor's machine
    for disk in vm.disks.all():
        if not disk.path:
            return ""
        try:
            stat = Path(disk.path).stat()
        except OSError:
            return ""
        seen.append(
            [
                disk.index,
                disk.path,
                disk.format,
                stat.st_size,
                stat.st_ino,
                stat.st_mtime_ns,
                stat.st_ctime_ns,
            ]
        )
    return sha256_of(seen) if seen else ""


@transaction.atomic
def scan_start(*, vm: VirtualMachine, by) -> Scan:
    """A scan for the workers to do; the one that is under way when there is one."""
    require(by=by, department=vm.department, role=Role.OPERATOR)
    if vm.source.is_inventory:
        raise Refused(f"{vm}: {NO_DISK_HERE}")
    scan = _queue(vm, by)
    _send(scan)  # twice does no harm: a scan is claimed once
    record(by=by, action="scan.start", obj=vm, after={"scan": str(scan.pk)})
    return scan


@transaction.atomic
def scan_queue(*, vm: VirtualMachine) -> Scan:
    """As scan_start, by the schedule and not by a person."""
    scan = _queue(vm, None)
    _send(scan)
    record(by=None, action="scan.start", obj=vm, after={"scan": str(scan.pk)})
    return scan


def _send(scan: Scan) -> None:
    """Running machines are looked into a hundred at a time: whoever takes the message takes all of its source."""
    if scan.vm.source.is_ssh:
        send_on_commit(TASK_OF_MANY, scan.vm.source_id)
    else:
        send_on_commit(TASK, scan.pk)


def _queue(vm: VirtualMachine, by) -> Scan:
    due = timezone.now() + timedelta(seconds=QUEUE_S)
    try:
        with transaction.atomic():  # of two that ask at once, the constraint lets one through
            return Scan.objects.create(vm=vm, lease_until=due, requested_by=by)
    except IntegrityError:
        under_way = Scan.objects.active().filter(vm=vm).first()
        if under_way is None:
            return _queue(vm, by)  # it ended between the two looks
        return under_way


def scan_now(*, vm: VirtualMachine, keep_alive: Watch = nobody_watches, by=None) -> Scan:
    """The scan of the disks as they are: the newest readable one if nothing was written since, else a fresh one made
    here, or awaited where a worker is at it. `keep_alive(percent, message)` is called about every second. Returns an
    ended scan, which may be unreadable: look at `state`."""
    known = Scan.objects.readable().filter(vm=vm).first()
    if known and known.disk_fingerprint and known.disk_fingerprint == disk_fingerprint(vm):
        return known
    scan = _queue(vm, by)
    while True:
        scan_work(scan_id=scan.pk, watch=keep_alive)
        scan.refresh_from_db()
        if ScanState(scan.state).ended:
            return scan
        if not _give_up(scan):
            keep_alive(scan.progress_percent, "another worker is scanning this machine")
            time.sleep(BEAT_S)


def scan_work(*, scan_id: uuid.UUID, watch: Watch = nobody_watches) -> bool:
    """Claims the scan and does it; False when it was not there to be claimed (somebody else has it, or it has ended).

    If `watch` raises, the scan goes back to the queue and the exception goes on to the caller."""
    scan = _claim(scan_id)
    if scan is None:
        return False
    guarded = _Guarded(watch)
    try:
        _look(scan, guarded) if scan.vm.source.is_ssh else _scan(scan, guarded)
    except LostClaim:
        log.warning("scan_lost", scan=str(scan_id))
        return False
    except BaseException as error:
        _give_back(scan, error, counts=not guarded.stopped)
        raise
    return True


class _Guarded:
    """A watch that remembers that it was the one who stopped the work."""

    def __init__(self, watch: Watch):
        self.watch, self.stopped = watch, False

    def __call__(self, percent: int, message: str) -> None:
        try:
            self.watch(percent, message)
        except BaseException:
            self.stopped = True
            raise


def _claim(scan_id: uuid.UUID) -> Scan | None:
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


def _held(scan: Scan):
    return Scan.objects.filter(pk=scan.pk, fence=scan.fence, state=ScanState.RUNNING)


def _renew(scan: Scan, percent: int, message: str) -> None:
    until = timezone.now() + timedelta(seconds=settings.LEASE_S)
    if not _held(scan).update(lease_until=until, progress_percent=percent, message=message[:500]):
        raise LostClaim(str(scan.pk))


def _give_back(scan: Scan, error: BaseException, *, counts: bool) -> None:
    """To the queue, for the sweeper to send at once. An attempt counts unless it was stopped on purpose."""
    _held(scan).update(
        state=ScanState.QUEUED,
        fence=None,
        lease_until=timezone.now(),
        attempt=F("attempt") - (0 if counts else 1),
        message=f"{type(error).__name__}: {error}"[:300] if counts else "",
        progress_percent=0,
    )


def _scan(scan: Scan, watch: Watch) -> None:
    disks = list(scan.vm.disks.order_by("index"))
    before = disk_fingerprint(scan.vm)
    try:
        facts = _read(scan, disks, watch)
    except (UnreadableImage, SandboxUnavailable) as error:
        _settle_unreadable(scan, str(error))
        return
    _renew(scan, 80, "storing what was found")
    watch(80, "storing what was found")
    changed = "" if disk_fingerprint(scan.vm) == before else "A disk was written while it was read."
    _settle(scan, facts, before, changed)


def _read(scan: Scan, disks: list[Disk], watch: Watch) -> Facts:
    """Reads in a thread, so that the lease is renewed meanwhile. The reader has its own time limit."""
    if not disks:
        raise UnreadableImage("the machine has no disk")
    if not all(disk.path for disk in disks):
        raise UnreadableImage(NO_DISK_HERE)
    if scan.vm.source.is_libvirt:
        return _read_of_hypervisor(scan, watch)
    if missing := next((disk.path for disk in disks if not Path(disk.path).exists()), None):
        raise UnreadableImage(f"the disk is not there any more: {missing}")
    images = disk_images([(disk.path, disk.format) for disk in disks])
    with ThreadPoolExecutor(max_workers=1) as pool:
        reading = pool.submit(scan_disks, images)
        percent, message = 5, "reading the disk in its sandbox"
        while not _done(reading):
            _renew(scan, percent, message)
            watch(percent, message)
            percent = min(75, percent + 5)
        return reading.result()


def _read_of_hypervisor(scan: Scan, watch: Watch) -> Facts:
    """As `_read`; a machine that runs is read as it is at one moment, and goes on meanwhile."""
    stopped, fetched = Event(), [0.0]

    def followed(percent: float) -> None:
        fetched[0] = percent
        if stopped.is_set():
            raise LostClaim(str(scan.pk))

    def read() -> Facts:
        with disks_for_scan(hypervisor, scan.vm, followed) as files:
            fetched[0] = 100.0
            return scan_disks(disk_images([(file.path, file.format) for file in files]))

    try:
        hypervisor = hypervisor_of(scan.vm.source)
        with ThreadPoolExecutor(max_workers=1) as pool:
            reading = pool.submit(read)
            try:
                while not _done(reading):
                    percent, message = 5 + int(fetched[0] * 0.6), "fetching the disks from the hypervisor"
                    _renew(scan, percent, message)
                    watch(percent, message)
            except BaseException:
                stopped.set()
                raise
            return reading.result()
    except (SourceError, Refused) as error:
        raise UnreadableImage(str(error)) from None


def _look(scan: Scan, watch: Watch) -> None:
    """As `_read`, into a running machine."""
    look = look_prepare(scan.vm.source, [scan.vm])
    answers: dict[VirtualMachine, Outcome] = {}
    with ThreadPoolExecutor(max_workers=1) as pool:
        looking = pool.submit(look.take, answers.__setitem__)
        while not _done(looking):
            _renew(scan, 40, "looking into the running machine")
            watch(40, "looking into the running machine")
        looking.result()
    look.keep(answers)
    scan_settle_look(scan, answers[scan.vm])


def running_scan_work(*, source_id: uuid.UUID) -> int:
    """Claims every queued scan of the running machines of a source and does them at once; returns how many.

    What a machine answers is stored while others are still asked. A worker that dies loses its claims like any other:
    the sweeper sends these scans again."""
    queued = Scan.objects.filter(vm__source_id=source_id, state=ScanState.QUEUED).values_list("pk", flat=True)
    claimed = {scan.vm: scan for scan in map(_claim, list(queued)) if scan}
    if not claimed:
        return 0
    look = look_prepare(next(iter(claimed)).source, list(claimed))
    answers: SimpleQueue[tuple[VirtualMachine, Outcome]] = SimpleQueue()
    outcomes: dict[VirtualMachine, Outcome] = {}
    with ThreadPoolExecutor(max_workers=1) as pool:
        looking = pool.submit(look.take, lambda vm, outcome: answers.put((vm, outcome)))
        renewed = time.monotonic()
        while not (looking.done() and answers.empty()):
            _settle_next(answers, claimed, outcomes)
            if time.monotonic() - renewed > settings.LEASE_S / 4:
                _renew_all(scan for vm, scan in claimed.items() if vm not in outcomes)
                renewed = time.monotonic()
        looking.result()
    look.keep(outcomes)
    return len(claimed)


def _settle_next(answers: SimpleQueue, claimed: dict, outcomes: dict) -> None:
    try:
        vm, outcome = answers.get(timeout=BEAT_S)
    except Empty:
        return
    outcomes[vm] = outcome
    try:
        scan_settle_look(claimed[vm], outcome)
    except LostClaim:
        log.warning("scan_lost", scan=str(claimed[vm].pk))
    except (
        Exception
    ) as error:  # what one machine answers must not cost the others their scan; it stands on its row
        log.exception("scan_failed", scan=str(claimed[vm].pk))
        _give_back(claimed[vm], error, counts=True)


def _renew_all(held: Iterable[Scan]) -> None:
    """One statement for all that are still asked; those that somebody took over have another fence."""
    until = timezone.now() + timedelta(seconds=settings.LEASE_S)
    Scan.objects.filter(fence__in=[scan.fence for scan in held], state=ScanState.RUNNING).update(
        lease_until=until
    )


def scan_settle_look(scan: Scan, outcome: Outcome) -> None:
    """A machine that is off or cannot be reached ends partial, with what was known of it before; one that does not let
    us in is unreadable."""
    if isinstance(outcome, Denied):
        _settle_unreadable(scan, outcome.reason)
    elif isinstance(outcome, Unreachable):
        _settle_unreachable(scan, outcome.reason)
    else:
        _settle(scan, outcome.facts, "", "")


@transaction.atomic
def _settle_unreachable(scan: Scan, reason: str) -> None:
    before = Scan.objects.readable().filter(vm=scan.vm, facts__isnull=False).first()
    facts = before.facts if before else Facts(scan=NOTHING_READ).model_dump(mode="json")
    as_of = f"; what is told is of {before.finished_at:%Y-%m-%d %H:%M} UTC" if before else ""
    message = f"partial: no usage. It cannot be reached: {reason}{as_of}"[:500]
    stars = before.coverage_stars if before else 1
    _end(scan, state=ScanState.PARTIAL, message=message, facts=facts, coverage_stars=stars)
    VirtualMachine.objects.filter(pk=scan.vm_id).update(power_state="unknown")


def _done(reading: Future) -> bool:
    try:
        reading.exception(timeout=BEAT_S)
    except NotYet:
        return False
    return True


@transaction.atomic
def _settle(scan: Scan, facts: Facts, fingerprint: str, changed: str) -> None:
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


@transaction.atomic
def _settle_unreadable(scan: Scan, reason: str) -> None:
    _end(scan, state=ScanState.UNREADABLE, message=f"unreadable: {reason}"[:500])


def _end(scan: Scan, **columns) -> None:
    columns |= {"finished_at": timezone.now(), "progress_percent": 100, "lease_until": None, "fence": None}
    if not _held(scan).update(**columns):
        raise LostClaim(str(scan.pk))
    scan.refresh_from_db()
    after = {"scan": str(scan.pk), "state": scan.state, "message": scan.message}
    record(by=scan.requested_by, action="scan.end", obj=scan.vm, after=after)


# without these a machine cannot be understood; a disk without usage history or /srv is complete all the same
CORE_AREAS = ("os", "kernels", "packages", "services", "filesystems")


def stars_of(facts: Facts) -> int:
    """1..5: how much of what a scan looks for it could read."""
    worth = {"full": 1.0, "partial": 0.5, "none": 0.0}
    areas = [each for each in facts.coverage if each.area != "usage"]
    return max(1, round(5 * sum(worth[each.state] for each in areas) / len(areas))) if areas else 1


def scans_sweep() -> list[uuid.UUID]:
    """Looks after what nobody works on; returns the scans that were sent again. Two sweepers at once do no harm: each
    row is moved by one conditional UPDATE."""
    now = timezone.now()
    due = now + timedelta(seconds=QUEUE_S)
    again = []
    for scan in Scan.objects.overdue(now).select_related("vm__source"):
        queued = {"state": ScanState.QUEUED, "fence": None, "lease_until": due}
        if not _give_up(scan) and Scan.objects.overdue(now).filter(pk=scan.pk).update(**queued):
            _send(scan)
            again.append(scan.pk)
    return again


@transaction.atomic
def _give_up(scan: Scan) -> bool:
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


def newest_readable(vm: VirtualMachine) -> Scan:
    """Raises Refused when the machine was never read."""
    scan = Scan.objects.filter(vm=vm, state__in=READABLE).first()
    if scan is None:
        raise Refused(f"{vm} was not scanned yet, or its disk cannot be read.")
    return scan


def facts_of(scan: Scan | None) -> Facts | None:
    return Facts.model_validate(scan.facts) if scan and scan.facts else None
