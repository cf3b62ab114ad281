"""The track record of a persona: the engine writes what became of a run, everybody else reads."""

import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from personas.domain.track_record import Run, TrackRecord, track_record
from personas.models import Department, Persona
from personas.models.track_record import Outcome, RunOutcome


def outcomes_write(
    *,
    run_id: uuid.UUID,
    machine_id: uuid.UUID,
    department: Department,
    personas: Iterable[Mapping[str, Any]],
    outcome: Outcome,
    ended_at: datetime,
    **columns: Any,
) -> None:
    """One row for each persona of the run (`personas`: {"id", "origin", "is_changed"}); a retried run replaces its row.
    A success in another size tells that the machine's earlier ones had to be resized."""
    there = set(Persona.objects.filter(pk__in=[each["id"] for each in personas]).values_list("pk", flat=True))
    told = {"department": department, "machine_id": machine_id, "outcome": outcome, "ended_at": ended_at, **columns}
    rows = {  # one for each: a statement must not write a row twice
        each["id"]: RunOutcome(
            run_id=run_id,
            persona_id=each["id"],
            origin=each.get("origin", ""),
            is_changed=each.get("is_changed", False),
            **told,
        )
        for each in personas
        if uuid.UUID(str(each["id"])) in there
    }
    RunOutcome.objects.bulk_create(
        rows.values(),
        update_conflicts=True,
        unique_fields=["run_id", "persona"],
        update_fields=["origin", "is_changed", *told],
    )
    if outcome == Outcome.SUCCEEDED:
        _earlier_resized(run_id, machine_id, columns.get("vcpus"), columns.get("memory_mib"))


def _earlier_resized(run_id, machine_id, vcpus, memory_mib) -> None:
    earlier = RunOutcome.objects.filter(machine_id=machine_id, outcome=Outcome.SUCCEEDED).exclude(
        run_id=run_id
    )
    other = ~Q(vcpus=vcpus) | ~Q(memory_mib=memory_mib)
    earlier.filter(other, vcpus__isnull=False, memory_mib__isnull=False).update(resized=True)


def record_of(outcomes: QuerySet[RunOutcome]) -> TrackRecord:
    columns = ("outcome", "script_failed", "rolled_back", "resized", "duration_s")
    return track_record([_run(*row) for row in outcomes.order_by().values_list(*columns)])


def records_by(outcomes: QuerySet[RunOutcome], key: Callable[[str, Any], Any]) -> dict[Any, TrackRecord]:
    """{key(origin, id of the department): the record of its runs}, in one question; what has the key None is left
    out."""
    runs: dict[Any, list[Run]] = {}
    columns = ("origin", "department", "outcome", "script_failed", "rolled_back", "resized", "duration_s")
    for origin, department, *row in outcomes.order_by().values_list(*columns):
        if (found := key(origin, department)) is not None:
            runs.setdefault(found, []).append(_run(*row))
    return {found: track_record(each) for found, each in runs.items()}


def _run(outcome, script_failed, rolled_back, resized, duration_s) -> Run:
    finished = outcome != Outcome.CANCELLED
    return Run(outcome == Outcome.SUCCEEDED, finished, script_failed, rolled_back, resized, duration_s)
