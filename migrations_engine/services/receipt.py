"""What a run leaves to show for itself: what was asked, by whom, what was done and found; hashed and signed."""

from typing import Any

from django.conf import settings
from django.db.models import Q

from migrations_engine.domain.seal import key_from, public_pem, sealed
from migrations_engine.models import Cutover, MigrationRun, WarmCopy
from personas.domain.canonical import sha256_of
from personas.models import AuditEntry

SCHEMA_VERSION = 3  # 3: decisions, the scripts' sha256
DECISIONS = ("decide", "cancel", "retry", "confirm", "rollback", "finalize")


def receipt_of(run: MigrationRun) -> dict[str, Any]:
    """Plain JSON; `sha256` is over all the rest but the signature, `signature` over all the rest."""
    results: dict[str, Any] = {}
    for step in run.steps.all():
        results |= step.result or {}
    machine = getattr(run, "migrated_vm", None)
    told = {
        "schema_version": SCHEMA_VERSION,
        "run": str(run.pk),
        "state": run.state,
        "root_cause": run.root_cause,
        "created_at": _time(run.created_at),
        "started_at": _time(run.started_at),
        "finished_at": _time(run.finished_at),
        "finalized_at": _time(run.finalized_at),
        "started_by": run.created_by.get_username(),
        "department": run.department.name,
        "vm": {key: run.plan["vm"][key] for key in ("id", "name")},
        "template": run.plan["template"],
        "personas": run.plan["personas"],
        "target": run.plan["target"],
        "terms": run.terms.as_dict(),
        **({"drill": run.drill} if run.drill else {}),
        "overrides": run.overrides,
        "acknowledged": run.acknowledged,
        "decisions": _decisions(run),
        "settings": run.plan["merged"]["merged"],
        "origin": [_origin(row) for row in run.plan["merged"]["origin"]],
        "plan_sha256": run.plan_sha256,
        "settings_sha256": run.plan["merged"]["sha256"],
        "source_sha256": results.get("source_sha256"),
        "sources": results.get("sources", []),
        "cutover": _cutover(getattr(run, "cutover", None)),
        **_warm(getattr(run, "warm", None)),
        "steps": [_step(step) for step in run.steps.all()],
        "resources": [f"{row.kind} {row.reference}: {row.state}" for row in run.resources.all()],
        "migrated_vm": str(machine.pk) if machine else None,
        "verification": machine.verification if machine else results.get("verification", []),
        "scripts": [_script(row, run.plan["scripts"]) for row in results.get("scripts", [])],
        "checks": results.get("checks", []),
    }
    return sealed(told | {"sha256": sha256_of(told)}, _key())


def receipt_key() -> str:
    """The public half, PEM: what receipts of this instance are verified with."""
    return public_pem(_key())


def _key():
    return key_from(settings.RECEIPT_KEY, "receipt")


def _origin(row: dict[str, Any]) -> dict[str, Any]:
    """Who set a value; whom it beat stands in the plan."""
    return {name: row[name] for name in ("path", "layer", "rule") if name in row}


def _cutover(row: Cutover | None) -> dict[str, Any] | None:
    """What was done to the source's power; None where nothing was."""
    if row is None:
        return None
    moments = ("asked_at", "off_at", "up_at", "checked_at", "restored_at")
    told = {name: _time(getattr(row, name)) for name in moments}
    return told | {"power_before": row.power_before, "forced": row.force, "outage_s": row.outage_s}


def _warm(row: WarmCopy | None) -> dict[str, Any]:
    """How its copy was made; nothing for any other kind of run."""
    if row is None:
        return {}
    told = {"rounds": row.rounds, "forecast": row.forecast, "content": row.content}
    return {"warm": told | {"settled_at": _time(row.settled_at), "proved_at": _time(row.proved_at)}}


def _step(step) -> dict[str, Any]:
    return {
        "name": step.name,
        "state": step.state,
        "workers": step.attempt,
        "retries": step.retries,
        "started_at": _time(step.started_at),
        "finished_at": _time(step.finished_at),
    }


def _decisions(run: MigrationRun) -> list[dict[str, Any]]:
    """What people, and the clock as "system", have decided about it and about its wave, by time."""
    actions = [f"migration.{each}" for each in DECISIONS]
    about = Q(object_id=str(run.pk), action__in=actions)
    if member := getattr(run, "wave_member", None):
        about |= Q(object_id=str(member.wave_id), action="wave.approve", at__lte=run.created_at)
    return [_decision(entry) for entry in AuditEntry.objects.filter(about).order_by("at")]


def _decision(entry: AuditEntry) -> dict[str, Any]:
    after = entry.after or {}
    more = {name: after[name] for name in ("choice", "reason") if after.get(name)}
    return {"action": entry.action, "by": entry.actor_name, "at": _time(entry.at)} | more


def _script(row: dict[str, Any], planned: list[dict[str, Any]]) -> dict[str, Any]:
    """Without the output, which stands with the step."""
    told = {key: row[key] for key in ("name", "revision", "exit_code", "timed_out")}
    ran = (row["name"], row["revision"])
    told["sha256"] = next((each["sha256"] for each in planned if (each["name"], each["revision"]) == ran), None)
    more = {key: row[key] for key in ("attempts", "skipped") if key in row}
    return told | more | {"duration_ms": round(row["duration_s"] * 1000)}


def _time(moment) -> str | None:
    return moment.isoformat(timespec="seconds") if moment else None
