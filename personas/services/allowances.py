"""May this persona be run, and what a run takes of its allowance. The engine asks here and knows no more."""

import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F

from personas.errors import Refused
from personas.models import Persona
from personas.models.allowance import RunAllowance, RunSpend


class NotAllowedToRun(Refused):
    """The persona's allowance does not cover this run."""


def allowance_ensure(*, persona: Persona, **columns: Any) -> RunAllowance:
    """The persona's allowance with `columns` (of RunAllowance) written. Call it inside the transaction that decides."""
    if persona.allowance_id is None:
        persona.allowance = RunAllowance.objects.create(**columns)
        Persona.objects.filter(pk=persona.pk).update(allowance=persona.allowance)
    else:
        RunAllowance.objects.filter(pk=persona.allowance_id).update(**columns)
    return RunAllowance.objects.get(pk=persona.allowance_id)


def refusal_of(*, persona: Persona, machine_id: uuid.UUID, now: datetime) -> str:
    """Why this persona does not move this machine; empty where it may."""
    if persona.allowance_id is None:
        return ""
    return _refusal(RunAllowance.objects.get(pk=persona.allowance_id), machine_id, now)


def _refusal(allowance: RunAllowance, machine_id: uuid.UUID, now: datetime) -> str:
    if allowance.refusal:
        return allowance.refusal
    if allowance.expires_at and allowance.expires_at <= now:
        return f"What was bought ended on {allowance.expires_at:%Y-%m-%d}: renew it on the marketplace."
    if allowance.runs_left == 0:
        return "No run of what was bought is left: buy more on the marketplace."
    if allowance.seats is not None and len(_machines(allowance) | {machine_id}) > allowance.seats:
        return f"It was bought for {allowance.seats} machine(s), and others take these places already."
    return ""


def _machines(allowance: RunAllowance) -> set[uuid.UUID]:
    counted = allowance.spends.filter(returned_at__isnull=True)
    return set(counted.values_list("machine_id", flat=True))


@transaction.atomic
def runs_spend(
    *, personas: Iterable[Persona], run_id: uuid.UUID, machine_id: uuid.UUID, now: datetime
) -> None:
    """Counts the run for each persona that has an allowance (once for one that several share); asked again for the
    same run it counts nothing. Raises NotAllowedToRun, and then nothing has been counted."""
    for allowance_id in sorted({each.allowance_id for each in personas if each.allowance_id}, key=str):
        _spend(allowance_id, run_id, machine_id, now)


def _spend(allowance_id, run_id, machine_id, now) -> None:
    spend, is_new = RunSpend.objects.get_or_create(
        allowance_id=allowance_id, run_id=run_id, defaults={"machine_id": machine_id}
    )
    if not is_new and spend.returned_at is None:
        return
    # the condition stands in the UPDATE itself: of two runs that want the last place, one gets it
    taken = RunAllowance.objects.usable(now).filter(pk=allowance_id).update(runs_left=F("runs_left") - 1)
    RunSpend.objects.filter(pk=spend.pk).update(returned_at=None)
    allowance = RunAllowance.objects.get(pk=allowance_id)
    if not taken:
        raise NotAllowedToRun(_refusal(allowance, machine_id, now))
    if allowance.seats is not None and len(_machines(allowance)) > allowance.seats:
        raise NotAllowedToRun(f"It was bought for {allowance.seats} machine(s), and all places are taken.")


@transaction.atomic(savepoint=False)
def runs_return(*, run_id: uuid.UUID, now: datetime) -> None:
    """Gives back what a run that did not succeed had taken; said twice: once."""
    for spend in RunSpend.objects.filter(run_id=run_id, returned_at__isnull=True):
        if RunSpend.objects.filter(pk=spend.pk, returned_at__isnull=True).update(returned_at=now):
            RunAllowance.objects.filter(pk=spend.allowance_id).update(runs_left=F("runs_left") + 1)
