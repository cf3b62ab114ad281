"""Scans: asked for, claimed, done, swept. The database is the truth; a lost message or a killed worker costs time only.

queued ──claim──> running ──settle──> complete | partial | unreadable (scan_claims.py, scan_reading.py, scan_ends.py).
"""

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from queue import Empty, SimpleQueue

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from pydantic import ValidationError

from analyzer.domain.facts import Facts
from analyzer.models import Scan, VirtualMachine
from analyzer.models.scan import READABLE, ScanState
from analyzer.scanner.scan import SandboxUnavailable, UnreadableImage
from analyzer.services.messages import EXPIRES_S, send_on_commit
from analyzer.services.scan_claims import LostClaim, claim, give_back, renew, renew_all
from analyzer.services.scan_ends import give_up, settle, settle_look, settle_unreadable
from analyzer.services.scan_reading import (
    BEAT_S,
    NO_DISK_HERE,
    Watch,
    disk_fingerprint,
    is_done,
    read_disks,
)
from analyzer.services.ssh_looks import look_prepare
from analyzer.sources.ssh import Outcome
from personas.errors import Refused
from personas.models import Role
from personas.services.access import require
from personas.services.audit import record

TASK = "analyzer.scan"
TASK_OF_MANY = "analyzer.scan_running"
QUEUE_S = EXPIRES_S  # a queued scan that no worker has begun by then is sent again

log = structlog.get_logger(__name__)


def nobody_watches(percent: int, message: str) -> None:
    """For a caller that wants the outcome only."""


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
        if not give_up(scan):
            keep_alive(scan.progress_percent, "another worker is scanning this machine")
            time.sleep(BEAT_S)


def scan_work(*, scan_id: uuid.UUID, watch: Watch = nobody_watches) -> bool:
    """Claims the scan and does it; False when it was not there to be claimed (somebody else has it, or it has ended).

    If `watch` raises, the scan goes back to the queue and the exception goes on to the caller."""
    scan = claim(scan_id)
    if scan is None:
        return False
    guarded = _Guarded(watch)
    try:
        _look(scan, guarded) if scan.vm.source.is_ssh else _scan(scan, guarded)
    except LostClaim:
        log.warning("scan_lost", scan=str(scan_id))
        return False
    except BaseException as error:
        give_back(scan, error, counts=not guarded.stopped)
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


def _scan(scan: Scan, watch: Watch) -> None:
    disks = list(scan.vm.disks.order_by("index"))
    before = disk_fingerprint(scan.vm)
    try:
        facts = read_disks(scan, disks, watch)
    except (UnreadableImage, SandboxUnavailable) as error:
        settle_unreadable(scan, str(error))
        return
    renew(scan, 80, "storing what was found")
    watch(80, "storing what was found")
    changed = "" if disk_fingerprint(scan.vm) == before else "A disk was written while it was read."
    settle(scan, facts, before, changed)


def _look(scan: Scan, watch: Watch) -> None:
    """As `_read`, into a running machine."""
    look = look_prepare(scan.vm.source, [scan.vm])
    answers: dict[VirtualMachine, Outcome] = {}
    with ThreadPoolExecutor(max_workers=1) as pool:
        looking = pool.submit(look.take, answers.__setitem__)
        while not is_done(looking):
            renew(scan, 40, "looking into the running machine")
            watch(40, "looking into the running machine")
        looking.result()
    look.keep(answers)
    settle_look(scan, answers[scan.vm])


def running_scan_work(*, source_id: uuid.UUID) -> int:
    """Claims every queued scan of the running machines of a source and does them at once; returns how many.

    What a machine answers is stored while others are still asked. A worker that dies loses its claims like any other:
    the sweeper sends these scans again."""
    queued = Scan.objects.filter(vm__source_id=source_id, state=ScanState.QUEUED).values_list("pk", flat=True)
    claimed = {scan.vm: scan for scan in map(claim, list(queued)) if scan}
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
                renew_all(scan for vm, scan in claimed.items() if vm not in outcomes)
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
        settle_look(claimed[vm], outcome)
    except LostClaim:
        log.warning("scan_lost", scan=str(claimed[vm].pk))
    except (
        Exception
    ) as error:  # what one machine answers must not cost the others their scan; it stands on its row
        log.exception("scan_failed", scan=str(claimed[vm].pk))
        give_back(claimed[vm], error, counts=True)


def scans_sweep() -> list[uuid.UUID]:
    """Looks after what nobody works on; returns the scans that were sent again. Two sweepers at once do no harm: each
    row is moved by one conditional UPDATE."""
    now = timezone.now()
    due = now + timedelta(seconds=QUEUE_S)
    again = []
    for scan in Scan.objects.overdue(now).select_related("vm__source"):
        queued = {"state": ScanState.QUEUED, "fence": None, "lease_until": due}
        if not give_up(scan) and Scan.objects.overdue(now).filter(pk=scan.pk).update(**queued):
            _send(scan)
            again.append(scan.pk)
    return again


def newest_readable(vm: VirtualMachine) -> Scan:
    """Raises Refused when the machine was never read."""
    scan = Scan.objects.filter(vm=vm, state__in=READABLE).first()
    if scan is None:
        raise Refused(f"{vm} was not scanned yet, or its disk cannot be read.")
    return scan


def facts_of(scan: Scan | None) -> Facts | None:
    return Facts.model_validate(scan.facts) if scan and scan.facts else None


def facts_understood(scan: Scan) -> Facts | None:
    """For tasks that go on with the next machine: None where the scan has none, or they are of an older form."""
    try:
        return facts_of(scan)
    except ValidationError:
        return None
