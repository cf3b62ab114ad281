"""Whose run is sent to the workers next. A broker's queue knows no departments, so it is kept short: runs wait in the
database, and come in turns, the department with the fewest at work first.
"""

import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Count, Exists, Max, OuterRef

from migrations_engine.domain.states import RUN_AT_WORK, RunState, StepState
from migrations_engine.domain.waves import round_robin
from migrations_engine.models import MigrationRun, StepRun


def next_turns(now: datetime) -> Iterator[uuid.UUID]:
    """The runs to send now, each marked as sent by a conditional UPDATE: of two who ask at once, one sends it. Whoever
    dies before it has sent leaves it to the sweeper, as any message that was lost."""
    queued = MigrationRun.objects.filter(state=RunState.QUEUED, dispatched_at=None)
    if not queued.exists():
        return
    room = settings.RUNS_WAITING - _sent_and_waiting(now)
    if room <= 0:
        return
    for place, department in enumerate(_turns(queued, room)):
        at = now + timedelta(microseconds=place)  # whose turn was earlier is told from this
        oldest = queued.filter(department=department).order_by("created_at", "pk").first()
        if oldest and queued.filter(pk=oldest.pk).update(dispatched_at=at):
            yield oldest.pk


def _turns(queued, room: int) -> list[uuid.UUID]:
    """Departments, one for each free place: the fewest at work first; of equal ones, whose last turn is longer ago."""
    at_work = {row["department"]: row for row in _by_department(_sent(list(RUN_AT_WORK)))}
    counts: dict[tuple[str, uuid.UUID], int] = {}
    loads: dict[tuple[str, uuid.UUID], int] = {}
    for row in _by_department(queued):
        there = at_work.get(row["department"], {"n": 0, "served_at": ""})
        place = (str(there["served_at"]), row["department"])
        counts[place], loads[place] = min(row["n"], room), there["n"]
    return [department for _, department in round_robin(counts, loads)[:room]]


def _by_department(runs):
    rows = runs.order_by().values("department")
    return rows.annotate(n=Count("pk"), served_at=Max("dispatched_at"))


def _sent(states):
    return MigrationRun.objects.filter(state__in=states, dispatched_at__isnull=False)


def _sent_and_waiting(now: datetime) -> int:
    """Runs whose message lies with the broker, as far as one can tell: sent, and no living worker is in them."""
    held = StepRun.objects.filter(run=OuterRef("pk"), state=StepState.RUNNING, lease_until__gte=now)
    return _sent([RunState.QUEUED, RunState.RUNNING]).exclude(Exists(held)).count()
