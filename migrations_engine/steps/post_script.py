"""Step 4: the post-migration scripts in order, then the acceptance checks. A script never runs twice by itself."""

from typing import Any

from migrations_engine.domain.machine import MachineRef, Result
from migrations_engine.domain.settings_path import leaf
from migrations_engine.domain.states import StepName
from migrations_engine.models import MigratedVM
from migrations_engine.services.claims import Cancelled
from migrations_engine.services.events import storable
from migrations_engine.steps.acceptance import check
from migrations_engine.steps.base import Step, StepFailed, Work
from migrations_engine.steps.migrate import READY_TIMEOUT_S
from personas.domain.checks import check_words
from personas.services.approvals import unapproved

KEPT_CHARACTERS = 64 * 1024  # of each stream; the end of it, where the error stands
SHEBANGS = {"sh": "#!/bin/sh", "bash": "#!/usr/bin/env bash", "python3": "#!/usr/bin/env python3"}


def post_script(work: Work) -> dict:
    ref = MachineRef(**work.known["machine"])
    work.alive.phase("Waiting for the guest to answer", 0)
    work.alive.during(work.target.power, ref, "on")
    work.target.wait_ready(ref, READY_TIMEOUT_S, work.alive)
    scripts = _run_all(work, ref)
    checks = _check_all(work, ref, scripts)
    return {"scripts": scripts, "checks": checks}


def _run_all(work: Work, ref: MachineRef) -> list[dict[str, Any]]:
    """Each script's outcome; those that succeeded before a retry are not run again."""
    done = {row["name"]: row for row in work.before.get("scripts", []) if row["exit_code"] == 0}
    outcomes: list[dict[str, Any]] = []
    scripts = work.plan["scripts"]
    for index, script in enumerate(scripts):
        if script["name"] not in done:
            _require_approved(script)
            work.alive.phase(f"Running {script['name']}", 5 + 75 * index / len(scripts))
            done[script["name"]] = _outcome(script, _run(work, ref, script))
        outcomes.append(done[script["name"]])
        work.keep({"scripts": outcomes})
        _require_success(work, outcomes)
    return outcomes


def _require_approved(script: dict[str, Any]) -> None:
    """Asked at the last moment too: an approval may have been taken back, or a plan be older than this rule."""
    if unapproved([script]):
        raise StepFailed(f"{script['name']} comes from the marketplace, and nobody has approved this text.")


def _run(work: Work, ref: MachineRef, script: dict[str, Any]) -> Result:
    """The key is the same for whoever takes over, and another one when a person asks for the script again."""
    timeout_s = leaf(work.plan["merged"]["merged"], "post_migration.timeout_s", 600)
    once_key = f"{script['name']}-r{script['revision']}-t{work.claim.retries}"
    try:
        return work.alive.patiently(
            work.target.run, ref, executable(script), timeout_s, once_key=once_key, keep_alive=work.alive
        )
    except Cancelled:
        work.target.stop_script(ref, once_key)
        raise


def executable(script: dict[str, Any]) -> str:
    """With the line that names its interpreter; a line of its own wins."""
    body = script["body"].replace("\r\n", "\n")
    return body if body.startswith("#!") else f"{SHEBANGS[script['interpreter']]}\n{body}"


def _outcome(script: dict[str, Any], result: Result) -> dict[str, Any]:
    return {
        "name": script["name"],
        "revision": script["revision"],
        "exit_code": result.exit_code,
        "stdout": storable(result.stdout, KEPT_CHARACTERS),
        "stderr": storable(result.stderr, KEPT_CHARACTERS),
        "duration_s": round(result.duration_s, 2),
        "timed_out": result.timed_out,
    }


def _require_success(work: Work, outcomes: list[dict[str, Any]]) -> None:
    last = outcomes[-1]
    told = root_cause(last)
    if last["exit_code"] == 0:
        work.alive.say(f"{last['name']} succeeded in {last['duration_s']} s.")
    elif leaf(work.plan["merged"]["merged"], "post_migration.must_pass", True):
        raise StepFailed(told, {"scripts": outcomes})
    else:
        work.alive.say(f"{told} The plan lets the run go on.", "warning")


def root_cause(outcome: dict[str, Any]) -> str:
    """In the script's own words: the last lines that it wrote, of the error stream first."""
    ended = "did not end in time" if outcome["timed_out"] else f"ended with exit code {outcome['exit_code']}"
    lines = (outcome["stderr"].strip() or outcome["stdout"].strip()).splitlines()[-3:]
    return f"{outcome['name']} {ended}{': ' if lines else '.'}{' / '.join(line.strip() for line in lines)}"


def _check_all(work: Work, ref: MachineRef, scripts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    asked = leaf(work.plan["merged"]["merged"], "acceptance_checks", [])
    rows = []
    for index, wanted in enumerate(asked):
        work.alive.phase(f"Checking {check_words(wanted)}", 80 + 20 * index / len(asked))
        rows.append(check(work.target, ref, wanted, work.alive).as_dict())
    _add_to_machine(work, rows)
    if failed := [row for row in rows if row["verdict"] == "fail"]:
        told = "; ".join(
            f"{row['setting']}: asked for {row['asked']}, found {row['found']}" for row in failed
        )
        raise StepFailed(f"The machine is not accepted: {told}.", {"scripts": scripts, "checks": rows})
    return rows


def _add_to_machine(work: Work, rows: list[dict[str, Any]]) -> None:
    """The checks stand beside the verification; those of an earlier try make room."""
    machine = MigratedVM.objects.get(run=work.run)
    others = [row for row in machine.verification if not row["setting"].startswith("acceptance")]
    machine.verification = [*others, *rows]
    machine.save(update_fields=["verification"])


POST_SCRIPT = Step(
    StepName.POST_SCRIPT, frozenset({"machine"}), frozenset({"scripts", "checks"}), post_script
)
