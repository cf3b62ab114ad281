"""A wave is planned, started, approved, paused, resumed, cancelled, and its failed ones are tried again."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from migrations_engine.domain.states import RUN_ALIVE, RUN_AT_WORK, RunState
from migrations_engine.domain.terms import TermsError
from migrations_engine.domain.waves import WAVE_TRANSITIONS, MemberState, WaveState
from migrations_engine.domain.webhooks import Event
from migrations_engine.models import Wave, WavePolicy, WaveWindow
from migrations_engine.services.webhooks import wave_happened
from personas.errors import BadInput, NotAllowed, Refused
from personas.models import Department, Role
from personas.services.access import require
from personas.services.audit import record

COLUMNS = (
    "name", "description", "template", "persona", "target", "after", "mode", "commit", "confirm_minutes",
    "checks_confirm", "on_rollback", "concurrency", "per_source", "per_target", "bandwidth_mbps", "stop_after",
    "minutes_each", "needs_approval",
)  # fmt: skip
FAILED = Q(state=MemberState.REFUSED) | Q(
    state=MemberState.STARTED, run__state__in=[RunState.FAILED, RunState.ROLLED_BACK]
)
TOLD = {
    WaveState.APPROVAL: Event.WAVE_APPROVAL,
    WaveState.STOPPED: Event.WAVE_STOPPED,
    WaveState.FINISHED: Event.WAVE_FINISHED,
}
AGAIN = FAILED | Q(state=MemberState.STARTED, run__state=RunState.CANCELLED)


def wave_create(*, department: Department, by, **columns: Any) -> Wave:
    require(by=by, department=department, role=Role.OPERATOR)
    wave = Wave(department=department, created_by=by, **columns)
    with transaction.atomic():
        _check(wave)
        wave.save()
        record(by=by, action="wave.create", obj=wave, after=_told(wave))
    return wave


def wave_update(*, wave: Wave, by, **columns: Any) -> Wave:
    """Raises Refused while it runs: a limit that changes under a dispatcher is nobody's wish."""
    require(by=by, department=wave.department, role=Role.OPERATOR)
    with transaction.atomic():
        wave = Wave.objects.select_for_update().get(pk=wave.pk)
        if wave.state not in (WaveState.DRAFT, WaveState.PAUSED, WaveState.STOPPED):
            raise Refused(f"The wave is {wave.state}; pause it first.")
        before = _told(wave)
        for name, value in columns.items():
            setattr(wave, name, value)
        _check(wave)
        wave.save()
        record(by=by, action="wave.update", obj=wave, before=before, after=_told(wave))
    return wave


def _check(wave: Wave) -> None:
    wave.full_clean()
    try:
        _ = wave.terms
    except TermsError as error:
        raise BadInput({error.field: [str(error)]}) from error
    if not 1 <= wave.concurrency <= 500:
        raise BadInput({"concurrency": ["Between 1 and 500."]})
    _require_usable(wave)
    seen, before = {wave.pk}, wave.after
    while before is not None:
        if before.pk in seen:
            raise BadInput({"after": ["Waves would wait for each other in a circle."]})
        seen.add(before.pk)
        before = before.after


def _require_usable(wave: Wave) -> None:
    """What a wave names is its department's or the organisation's."""
    for name in ("template", "persona", "target", "after"):
        row = getattr(wave, name)
        if row is not None and row.department_id not in (None, wave.department_id):
            raise BadInput({name: ["Choose one of the same department or of the organisation."]})


def _told(wave: Wave) -> dict[str, Any]:
    plain = {name: getattr(wave, name) for name in COLUMNS}
    return {
        name: value if isinstance(value, str | int | None) else str(value.pk) for name, value in plain.items()
    }


def wave_delete(*, wave: Wave, by) -> None:
    """A draft only: what has started is history."""
    require(by=by, department=wave.department, role=Role.OPERATOR)
    with transaction.atomic():
        wave = Wave.objects.select_for_update().get(pk=wave.pk)
        if (
            wave.state != WaveState.DRAFT
            or wave.members.exclude(run=None).exists()
            or wave.followers.exists()
        ):
            raise Refused(
                "Only a draft that nothing has been started of, and no wave waits for, can be deleted."
            )
        record(by=by, action="wave.delete", obj=wave, before=_told(wave))
        wave.delete()


# --- steering --------------------------------------------------------------------------------------------------------


def _move(wave: Wave, state: WaveState, *, by, action: str, reason: str = "", **columns: Any) -> Wave:
    """The one way from state to state; the caller holds the row."""
    before = wave.state
    if (WaveState(before), state) not in WAVE_TRANSITIONS:
        raise Refused(f"The wave is {before}; it cannot be {state}.")
    wave.state, wave.reason = state, reason[:300]
    for name, value in columns.items():
        setattr(wave, name, value)
    wave.save(update_fields=["state", "reason", *columns])
    record(
        by=by,
        action=f"wave.{action}",
        obj=wave,
        before={"state": before},
        after={"state": state, "reason": reason},
    )
    if event := TOLD.get(state):
        wave_happened(wave, event)
    return wave


def _held(wave: Wave, by) -> Wave:
    require(by=by, department=wave.department, role=Role.OPERATOR)
    return Wave.objects.select_for_update().get(pk=wave.pk)


@transaction.atomic
def wave_start(*, wave: Wave, by) -> Wave:
    """Its runs are started in the name of `by`. Where it has to be approved, it waits for that first."""
    wave = _held(wave, by)
    if wave.state != WaveState.DRAFT:
        raise Refused(f"The wave is {wave.state}; only a draft is started.")
    if not wave.members.exists():
        raise Refused("There is no machine in the wave yet.")
    started = {"started_by": by, "approved_by": None}
    if wave.needs_approval or four_eyes(wave.department):
        return _move(
            wave, WaveState.APPROVAL, by=by, action="start", reason="It waits for approval.", **started
        )
    return _move(wave, WaveState.RUNNING, by=by, action="start", started_at=timezone.now(), **started)


def four_eyes(department: Department) -> bool:
    return WavePolicy.objects.filter(department=department, four_eyes=True).exists()


def may_approve(wave: Wave, by) -> bool:
    return not (four_eyes(wave.department) and wave.started_by_id == by.pk)


@transaction.atomic
def wave_approve(*, wave: Wave, by) -> Wave:
    wave = _held(wave, by)
    if wave.state != WaveState.APPROVAL:
        raise Refused(f"The wave is {wave.state}; there is nothing to approve.")
    if not may_approve(wave, by):
        raise NotAllowed("Your department wants four eyes: somebody else approves what you have started.")
    now = timezone.now()
    return _move(wave, WaveState.RUNNING, by=by, action="approve", approved_by=by, started_at=now)


@transaction.atomic
def wave_send_back(*, wave: Wave, by, reason: str = "") -> Wave:
    return _move(_held(wave, by), WaveState.DRAFT, by=by, action="send_back", reason=reason or "Sent back.")


@transaction.atomic
def wave_pause(*, wave: Wave, by) -> Wave:
    """Runs at work go on; nothing more is started."""
    return _move(
        _held(wave, by), WaveState.PAUSED, by=by, action="pause", reason=f"{by.get_username()} paused it."
    )


@transaction.atomic
def wave_resume(*, wave: Wave, by) -> Wave:
    """Failures until now are looked at: they do not stop the wave again."""
    wave = _held(wave, by)
    if wave.state not in (WaveState.PAUSED, WaveState.STOPPED):
        raise Refused(f"The wave is {wave.state}; there is nothing to resume.")
    return _move(
        wave, WaveState.RUNNING, by=by, action="resume", forgiven=wave.members.filter(FAILED).count()
    )


@transaction.atomic
def wave_cancel(*, wave: Wave, by) -> Wave:
    """Nothing more is started; runs at work go on to their end, each can be cancelled on its own page."""
    wave = _held(wave, by)
    reason = f"{by.get_username()} cancelled it."
    return _move(wave, WaveState.CANCELLED, by=by, action="cancel", reason=reason, finished_at=timezone.now())


@transaction.atomic
def wave_retry_failed(*, wave: Wave, by) -> Wave:
    """Puts the failed, refused, cancelled and rolled back ones in the queue again, and only these."""
    wave = _held(wave, by)
    if wave.state not in (WaveState.PAUSED, WaveState.STOPPED, WaveState.FINISHED, WaveState.RUNNING):
        raise Refused(f"The wave is {wave.state}; nothing of it can be tried again.")
    again = wave.members.filter(AGAIN)
    count = again.count()
    if not count:
        raise Refused("Nothing of this wave has failed.")
    # a failed run goes on at its failed step; of the others a new run is made
    again.filter(state=MemberState.STARTED, run__state=RunState.FAILED, run__steps__state="failed").update(
        state=MemberState.WAITING, error="", claimed_at=None
    )
    again.update(state=MemberState.WAITING, error="", claimed_at=None, run=None, attempt=F("attempt") + 1)
    wave.forgiven = wave.members.filter(FAILED).count()
    if wave.state == WaveState.RUNNING:
        wave.save(update_fields=["forgiven"])
        record(by=by, action="wave.retry_failed", obj=wave, after={"machines": count})
        return wave
    told = {"forgiven": wave.forgiven, "finished_at": None}
    return _move(wave, WaveState.RUNNING, by=by, action="retry_failed", reason="", **told)


@transaction.atomic
def wave_settle(*, wave: Wave, now: datetime) -> Wave:
    """What follows from the runs: stopped after too many failures, finished when nothing is left. For the clock."""
    wave = Wave.objects.select_for_update().get(pk=wave.pk)
    if wave.state != WaveState.RUNNING:
        return wave
    failures = wave.members.filter(FAILED).count() - wave.forgiven
    if wave.stop_after and failures >= wave.stop_after:
        told = f"{failures} of its machines failed, and {wave.stop_after} stop it."
        return _move(wave, WaveState.STOPPED, by=None, action="stop", reason=told)
    open_ones = Q(state__in=[MemberState.WAITING, MemberState.STARTING]) | Q(run__state__in=RUN_ALIVE)
    if not wave.members.filter(open_ones).exists():
        return _move(wave, WaveState.FINISHED, by=None, action="finish", finished_at=now)
    return wave


# --- windows, policy -------------------------------------------------------------------------------------------------


@transaction.atomic
def window_add(*, wave: Wave, starts_at: datetime, ends_at: datetime, weekly: bool = False, by) -> WaveWindow:
    wave = _held(wave, by)
    if ends_at <= starts_at:
        raise BadInput({"ends_at": ["A window ends after it starts."]})
    if weekly and (ends_at - starts_at).days >= 7:
        raise BadInput({"ends_at": ["A window that comes every week is shorter than a week."]})
    window = WaveWindow.objects.create(wave=wave, starts_at=starts_at, ends_at=ends_at, weekly=weekly)
    record(by=by, action="wave.window_add", obj=wave, after={"window": str(window), "weekly": weekly})
    return window


@transaction.atomic
def window_remove(*, window: WaveWindow, by) -> None:
    wave = _held(window.wave, by)
    record(by=by, action="wave.window_remove", obj=wave, before={"window": str(window)})
    window.delete()


@transaction.atomic
def policy_set(*, department: Department, four_eyes: bool, by) -> WavePolicy:
    require(by=by, department=department, role=Role.ADMIN)
    policy, _ = WavePolicy.objects.update_or_create(department=department, defaults={"four_eyes": four_eyes})
    record(by=by, action="wave.policy", obj=department, after={"four_eyes": four_eyes})
    return policy


def summary(wave: Wave, standings: Mapping[str, int]) -> dict[str, int]:
    """Counts for the board, from how many members stand how."""
    at_work = sum(
        n for standing, n in standings.items() if standing in set(RUN_AT_WORK)
    )
    failed = sum(
        standings.get(name, 0) for name in (RunState.FAILED, RunState.ROLLED_BACK, MemberState.REFUSED)
    )
    return {
        "machines": sum(standings.values()),
        "waiting": standings.get(MemberState.WAITING, 0) + standings.get(MemberState.STARTING, 0),
        "at_work": at_work,
        "confirming": standings.get(RunState.CONFIRMING, 0),
        "succeeded": standings.get(RunState.SUCCEEDED, 0),
        "failed": failed,
        "cancelled": standings.get(RunState.CANCELLED, 0),
    }
