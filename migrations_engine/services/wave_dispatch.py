"""Starts the machines of waves: within limits and windows, fairly between departments, and after any crash again.

One dispatcher at a time (a lease, as a step has one); a member is claimed by a conditional UPDATE, and its run carries
the member's key, so that a dispatcher that dies between the two starts nothing twice.
"""

import uuid
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import chain

import structlog
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q, Sum
from django.utils import timezone

from analyzer.services.vm_personas import DEFAULT_USE_CASE, personas_for
from migrations_engine.domain import waves as rules
from migrations_engine.domain.states import RUN_AT_WORK, RunState
from migrations_engine.domain.waves import Load, MemberState, WaveState, Window
from migrations_engine.models import Dispatcher, MigrationRun, Wave, WaveMember
from migrations_engine.services import runs
from migrations_engine.services.targets import default_target
from migrations_engine.services.waves import wave_settle
from personas.domain.settings import InvalidSettings
from personas.errors import Refused

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=60)  # a dispatcher that plans slowly is not dead
MOST_STARTS = 20  # of one round: the next comes in seconds, and others shall see their turn
HISTORY = 200  # runs that forecasts are drawn from

Then = Callable[[uuid.UUID], None]


def dispatch(*, now: datetime, then: Then) -> int:
    """One round. `then` is called with each run's id as soon as it is committed. Returns how many it started."""
    token = _hold(now)
    if token is None:
        return 0
    try:
        for wave in Wave.objects.filter(state=WaveState.RUNNING):
            wave_settle(wave=wave, now=now)
        return _round(now, then, token)
    finally:
        Dispatcher.objects.filter(token=token).update(token=None, held_until=None)


def _hold(now: datetime) -> uuid.UUID | None:
    Dispatcher.objects.get_or_create(pk=1)
    token, free = uuid.uuid4(), Q(held_until=None) | Q(held_until__lt=now)
    held = Dispatcher.objects.filter(free, pk=1).update(token=token, held_until=now + LEASE)
    return token if held else None


def _keep(token: uuid.UUID) -> bool:
    """For the next start, which may wait for a slow target. False where another dispatcher has taken over."""
    return bool(Dispatcher.objects.filter(token=token).update(held_until=timezone.now() + LEASE))


def _round(now: datetime, then: Then, token: uuid.UUID) -> int:
    board = Board.load(now, token)
    queues = {name: sum(len(wave.waiting) for wave in waves) for name, waves in board.by_department.items()}
    started = 0
    for name in rules.round_robin(queues, board.departments_at_work):
        if started >= MOST_STARTS or board.at_work >= settings.WAVE_RUNS_AT_ONCE:
            break
        started += board.start_one(name, now, then)
    return started


@dataclass
class Standing:
    """A running wave as this round sees it: who waits, what is at work, where to."""

    wave: Wave
    waiting: deque[WaveMember]
    at_work: int
    demand_mbps: float
    windows: list[Window]
    target_id: uuid.UUID | None


@dataclass
class Board:
    history: list[tuple[int, float]]
    token: uuid.UUID | None = None
    by_department: dict[str, list[Standing]] = field(default_factory=dict)
    departments_at_work: Counter = field(default_factory=Counter)
    by_source: Counter = field(default_factory=Counter)
    by_target: Counter = field(default_factory=Counter)
    at_work: int = 0

    @classmethod
    def load(cls, now: datetime, token: uuid.UUID) -> "Board":
        board = cls(history(), token)
        board.count()
        for wave in (
            Wave.objects.filter(state=WaveState.RUNNING).select_related("department").order_by("started_at")
        ):
            standing = board.standing(wave, now)
            board.by_department.setdefault(str(wave.department_id), []).append(standing)
        return board

    def count(self) -> None:
        alive = MigrationRun.objects.filter(state__in=RUN_AT_WORK)
        for department, source, target in alive.values_list("department", "vm__source", "target"):
            self.departments_at_work[str(department)] += 1
            self.by_source[source] += 1
            self.by_target[target] += 1
        self.at_work = MigrationRun.objects.filter(state__in=RUN_AT_WORK, wave_member__isnull=False).count()

    def standing(self, wave: Wave, now: datetime) -> Standing:
        abandoned = Q(state=MemberState.STARTING, claimed_at__lt=now - LEASE)
        rows = wave.members.filter(Q(state=MemberState.WAITING) | abandoned)
        if wave.after_id and wave.after.state != WaveState.FINISHED:
            rows = rows.none()
        waiting = deque(_sized(rows)[: MOST_STARTS * 5])
        working = _sized(wave.members.filter(run__state__in=RUN_AT_WORK, state=MemberState.STARTED))
        demand = sum(self.demand(wave, member) for member in working)
        windows = [row.window for row in wave.windows.all()]
        return Standing(wave, waiting, len(working), demand, windows, wave.target_id or _default_target(wave))

    def seconds(self, wave: Wave, member: WaveMember) -> float:
        return (
            wave.minutes_each * 60 if wave.minutes_each else rules.forecast_s(member.size_bytes, self.history)
        )

    def demand(self, wave: Wave, member: WaveMember) -> float:
        return rules.demand_mbps(member.size_bytes, self.seconds(wave, member))

    def start_one(self, department: str, now: datetime, then: Then) -> int:
        """The next machine of that department that may start; 0 where there is none."""
        for standing in self.by_department[department]:
            while standing.waiting:
                member = standing.waiting.popleft()
                if self.why_not(standing, member, now):
                    continue  # another machine of the wave may be smaller, or from another source
                if not _keep(self.token):
                    return 0
                try:
                    started = start(member, now=now, then=then)
                except runs.TargetAway:
                    self._pass_by(standing.target_id)
                    continue
                if started:
                    self._took_place(standing, member)
                    return 1
        return 0

    def _pass_by(self, target_id) -> None:
        """It is away for all of this round, and each machine would wait as long to hear it."""
        for standing in chain.from_iterable(self.by_department.values()):
            if standing.target_id == target_id:
                standing.waiting.clear()

    def why_not(self, standing: Standing, member: WaveMember, now: datetime) -> str:
        """Why this machine does not start now; empty where it may."""
        wave = standing.wave
        if why := rules.window_refuses(standing.windows, now, self.seconds(wave, member)):
            return why
        source, target = self.by_source[member.vm.source_id], self.by_target[standing.target_id]
        load = Load(standing.at_work, source, target, standing.demand_mbps)
        return rules.why_not(wave.limits, load, self.demand(wave, member))

    def _took_place(self, standing: Standing, member: WaveMember) -> None:
        self.at_work += 1
        standing.at_work += 1
        standing.demand_mbps += self.demand(standing.wave, member)
        self.by_source[member.vm.source_id] += 1
        self.by_target[standing.target_id] += 1


def waits_for(wave: Wave, now: datetime) -> str:
    """Why a running wave starts nothing right now, in words; empty where it does, or has nothing left to start."""
    if wave.state != WaveState.RUNNING:
        return ""
    if wave.after_id and wave.after.state != WaveState.FINISHED:
        return f"{wave.after.name} has to be finished first; it is {wave.after.state}"
    board = Board(history())
    board.count()
    standing = board.standing(wave, now)
    return board.why_not(standing, standing.waiting[0], now) if standing.waiting else ""


def history() -> list[tuple[int, float]]:
    """(bytes, seconds) of the newest runs that succeeded."""
    done = MigrationRun.objects.filter(
        state=RunState.SUCCEEDED, started_at__isnull=False, finished_at__isnull=False
    )
    sized = done.annotate(size=Sum("vm__disks__virtual_size_bytes")).order_by("-finished_at")
    rows = sized.values_list("size", "started_at", "finished_at")[:HISTORY]
    return [(size or 0, (ended - began).total_seconds()) for size, began, ended in rows]


def _sized(rows):
    """With `size_bytes`: what its disks hold, or could hold where that is not known."""
    rows = rows.select_related("vm__source", "persona", "run", "wave").order_by("order", "id")
    return rows.annotate(size_bytes=Sum("vm__disks__virtual_size_bytes", default=0))


def _default_target(wave: Wave):
    target = default_target(department=wave.department, by=wave.started_by)
    return target.pk if target else None


def start(member: WaveMember, *, now: datetime, then: Then) -> bool:
    """Claims the member and makes its run, or goes on with the failed one. False where it did not start.

    Raises TargetAway, where its turn comes again.
    """
    free = Q(state=MemberState.WAITING) | Q(state=MemberState.STARTING, claimed_at__lt=now - LEASE)
    claimed = WaveMember.objects.filter(free, pk=member.pk).update(
        state=MemberState.STARTING, claimed_at=max(now, timezone.now())
    )
    if not claimed:
        return False
    try:
        run = _run_again(member, then) if member.run_id else _run_made(member, then)
    except runs.Busy as error:  # somebody migrates it by hand: its turn comes again
        _back(member, MemberState.WAITING, error.message)
        return False
    except runs.TargetAway as error:
        _back(member, MemberState.WAITING, error.message)
        raise
    except (Refused, InvalidSettings, ValidationError) as error:
        _back(member, MemberState.REFUSED, str(error))
        return False
    held = WaveMember.objects.filter(pk=member.pk, state=MemberState.STARTING)
    held.update(state=MemberState.STARTED, run=run, claimed_at=None, error="")
    return True


def _back(member: WaveMember, state: MemberState, error: str) -> None:
    log.warning("wave_member_not_started", member=str(member.pk), state=state, reason=error)
    held = WaveMember.objects.filter(pk=member.pk, state=MemberState.STARTING)
    held.update(state=state, error=error, claimed_at=None)


def _run_made(member: WaveMember, then: Then) -> MigrationRun:
    wave = member.wave
    persona = member.persona or wave.persona
    return runs.run_create(
        template=wave.template,
        vm=member.vm,
        personas=[persona] if persona else personas_for(member.vm, DEFAULT_USE_CASE),
        overrides=member.overrides,
        target=wave.target,
        by=wave.started_by,
        terms=wave.terms,
        idempotency_key=f"wave-{member.pk}-{member.attempt}",
        then=then,
    )


def _run_again(member: WaveMember, then: Then) -> MigrationRun:
    run = member.run
    if run.state != RunState.FAILED:  # a dispatcher before us did it, and died before it could say so
        return run
    with transaction.atomic():
        run = runs.run_retry(run=run, by=member.wave.started_by)
        transaction.on_commit(partial(then, run.pk))
    return run
