"""What a run leaves to show for itself: what was asked, what was done, what was found, with hashes to check it by."""

from typing import Any

from migrations_engine.models import MigrationRun
from personas.domain.canonical import sha256_of

SCHEMA_VERSION = 1


def receipt_of(run: MigrationRun) -> dict[str, Any]:
    """Plain JSON; `sha256` is over all the rest, so that a copy can be compared with the original."""
    results: dict[str, Any] = {}
    for step in run.steps.all():
        results |= step.result or {}
    machine = getattr(run, "migrated_vm", None)
    told = {
        "schema_version": SCHEMA_VERSION,
        "run": str(run.pk),
        "state": run.state,
        "root_cause": run.root_cause,
        "started_at": _time(run.started_at),
        "finished_at": _time(run.finished_at),
        "started_by": run.created_by.get_username(),
        "vm": {key: run.plan["vm"][key] for key in ("id", "name")},
        "template": run.plan["template"],
        "personas": run.plan["personas"],
        "target": run.plan["target"],
        "plan_sha256": run.plan_sha256,
        "settings_sha256": run.plan["merged"]["sha256"],
        "source_sha256": results.get("source_sha256"),
        "sources": results.get("sources", []),
        "migrated_vm": str(machine.pk) if machine else None,
        "verification": machine.verification if machine else results.get("verification", []),
        "scripts": [_script(row) for row in results.get("scripts", [])],
        "checks": results.get("checks", []),
    }
    return told | {"sha256": sha256_of(told)}


def _script(row: dict[str, Any]) -> dict[str, Any]:
    """Without the output, which stands with the step."""
    return {key: row[key] for key in ("name", "revision", "exit_code", "timed_out")} | {
        "duration_ms": round(row["duration_s"] * 1000)
    }


def _time(moment) -> str | None:
    return moment.isoformat(timespec="seconds") if moment else None
