"""A wave as it is seen: its counts, its rows, its report, and the calendar of windows."""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Prefetch

from migrations_engine.domain.states import StepName
from migrations_engine.domain.waves import WEEK, MemberState
from migrations_engine.models import StepRun, Wave, WaveMember, WaveWindow
from migrations_engine.services.progress import LABELS, run_elapsed_s, run_percent
from migrations_engine.services.waves import summary

SCHEMA_VERSION = 1
REPORT_COLUMNS = (
    "order", "vm", "vm_id", "persona", "standing", "attempt", "run", "mode", "started_at", "finished_at", "seconds",
    "checks_passed", "checks_failed", "error",
)  # fmt: skip


def counts(wave: Wave) -> dict[str, int]:
    started = wave.members.filter(state=MemberState.STARTED).order_by()
    standings: Counter[str] = Counter(dict(started.values_list("run__state").annotate(Count("pk"))))
    others = wave.members.exclude(state=MemberState.STARTED).order_by()
    standings.update(dict(others.values_list("state").annotate(Count("pk"))))
    return summary(wave, standings)


def board_rows(wave: Wave):
    """Members with what one line of the board shows. The plans stay where they are: they are large."""
    steps = Prefetch("run__steps", StepRun.objects.defer("result").order_by("order"))
    rows = wave.members.select_related("vm", "persona", "run", "wave").defer("run__plan")
    return rows.prefetch_related(steps)


def told(member: WaveMember) -> WaveMember:
    """With percent, phase and elapsed_s of its run."""
    run = member.run
    member.percent = run_percent(run) if run else 0.0
    member.elapsed_s = run_elapsed_s(run) if run else None
    member.phase = (
        next((_phase(step) for step in run.steps.all() if step.state == "running"), "") if run else ""
    )
    return member


def _phase(step: StepRun) -> str:
    return f"{LABELS[step.name]}: {step.message}" if step.message else LABELS[step.name]


def report_of(wave: Wave) -> dict[str, Any]:
    """Plain JSON: what became of the wave and of each machine."""
    return {
        "schema_version": SCHEMA_VERSION,
        "wave": {
            "id": str(wave.pk),
            "name": wave.name,
            "department": wave.department.name,
            "state": wave.state,
        },
        "reason": wave.reason,
        "started_by": wave.started_by.get_username() if wave.started_by else None,
        "approved_by": wave.approved_by.get_username() if wave.approved_by else None,
        "started_at": _time(wave.started_at),
        "finished_at": _time(wave.finished_at),
        "counts": counts(wave),
        "machines": list(report_rows(wave)),
    }


def report_rows(wave: Wave) -> Iterator[dict[str, Any]]:
    last = Prefetch("run__steps", StepRun.objects.filter(name=StepName.POST_SCRIPT))
    members = wave.members.select_related("vm", "persona", "run__persona", "wave__persona").defer("run__plan")
    for member in members.prefetch_related(last).iterator(chunk_size=200):
        yield _row(member)


def _row(member: WaveMember) -> dict[str, Any]:
    run = member.run
    verdicts = Counter(row["verdict"] for row in _checks(run))
    persona = (run and run.persona) or member.persona or member.wave.persona
    return {
        "order": member.order,
        "vm": member.vm.name,
        "vm_id": str(member.vm_id),
        "persona": persona.name if persona else "",
        "standing": member.standing,
        "attempt": member.attempt,
        "run": str(run.pk) if run else "",
        "mode": member.wave.mode,
        "started_at": _time(run.started_at) if run else None,
        "finished_at": _time(run.finished_at) if run else None,
        "seconds": run_elapsed_s(run) if run else None,
        "checks_passed": verdicts["pass"],
        "checks_failed": verdicts["fail"] + verdicts["warning"],
        "error": member.error or (run.root_cause if run else ""),
    }


def _checks(run) -> list[dict[str, Any]]:
    results = [(step.result or {}).get("checks", []) for step in run.steps.all()] if run else []
    return results[0] if results else []


def report_csv(rows: Iterable[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, REPORT_COLUMNS, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    """A spreadsheet must not take a machine's name for a formula (OWASP, CSV injection)."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds") if moment else None


def calendar(windows: Iterable[WaveWindow], start: datetime, end: datetime) -> list[dict[str, Any]]:
    """[{"day", "entries": [{"window", "starts_at", "ends_at"}]}] from `start` to `end`, weekly windows repeated."""
    days: dict[Any, list[dict[str, Any]]] = {}
    for row in windows:
        for shift in _shifts(row, start, end):
            entry = {"window": row, "starts_at": row.starts_at + shift, "ends_at": row.ends_at + shift}
            days.setdefault(entry["starts_at"].date(), []).append(entry)
    return [
        {"day": day, "entries": sorted(days[day], key=lambda entry: entry["starts_at"])}
        for day in sorted(days)
    ]


def _shifts(row: WaveWindow, start: datetime, end: datetime) -> list[timedelta]:
    weeks = range(-(-(start - row.ends_at) // WEEK) if row.weekly and row.ends_at < start else 0, 1000)
    shifts = [week * WEEK for week in (weeks if row.weekly else range(1))]
    return [shift for shift in shifts if row.ends_at + shift > start and row.starts_at + shift < end][:60]
