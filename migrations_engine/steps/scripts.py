"""The post-migration scripts of one phase. None of them runs twice by itself; a person's retry asks for what failed."""

import secrets
import time
from collections.abc import Callable
from typing import Any

from migrations_engine.domain.machine import MachineRef, Result
from migrations_engine.domain.script_delivery import delivered, is_for, live_tail, without_secrets
from migrations_engine.domain.settings_path import leaf
from migrations_engine.services.claims import Cancelled
from migrations_engine.services.events import storable
from migrations_engine.services.script_secrets import secrets_delivered
from migrations_engine.steps.analyze import scanned_facts
from migrations_engine.steps.base import StepFailed, Work
from migrations_engine.targets.base import AgentUnavailable
from personas.domain.scripts import USUAL_PHASE
from personas.services.approvals import unapproved

KEPT_CHARACTERS = 64 * 1024  # of each stream; the end of it, where the error stands
LIVE_BYTES = 8 * 1024  # of each stream while it runs: what a person follows
LOOK_EVERY_S = 2.0
RETRY_PAUSE_S = 5.0  # what a script waited for in vain may need a moment


def run_phase(
    work: Work, ref: MachineRef, phase: str, outcomes: list[dict[str, Any]], percent: tuple[float, float]
) -> list[dict[str, Any]]:
    """`outcomes` of earlier phases and those of this one; kept after every script, so that whoever takes over goes on
    behind it. Raises StepFailed with all of them where a script must pass and does not."""
    scripts = [script for script in work.plan["scripts"] if script.get("phase", USUAL_PHASE) == phase]
    for index, script in enumerate(scripts):
        at = percent[0] + (percent[1] - percent[0]) * index / len(scripts)
        outcomes = [*outcomes, _settled(work, script) or _ran(work, ref, script, at)]
        work.keep({**work.kept, "scripts": outcomes})
        _require_success(work, outcomes)
    return outcomes


def _settled(work: Work, script: dict[str, Any]) -> dict[str, Any] | None:
    """The outcome from before a takeover or a retry, of what need not be done again."""
    done = {_key(row): row for row in work.before.get("scripts", []) if row["exit_code"] == 0}
    return done.get(_key(script))


def _key(script: dict[str, Any]) -> str:
    return script.get("key") or script["name"]  # plans of before have no key


def _ran(work: Work, ref: MachineRef, script: dict[str, Any], percent: float) -> dict[str, Any]:
    if not is_for(script, scanned_facts(work).os.id):
        work.alive.say(f"{_key(script)} is for {', '.join(script['os'])}: skipped.")
        return _outcome(script, Result(0, "", "", 0.0), []) | {"skipped": True}
    _require_approved(script)
    work.alive.phase(f"Running {_key(script)}", percent)
    hidden = secrets_delivered(run=work.run, script=script)
    for attempt in range(script.get("retries", 0) + 1):
        if attempt:
            _pause(work)
            work.alive.phase(f"Running {_key(script)} again ({attempt + 1})", percent)
        result = _run(work, ref, script, attempt, hidden)
        if result.exit_code == 0:
            break
    return _outcome(script, result, list(hidden.values())) | ({"attempts": attempt + 1} if attempt else {})


def _pause(work: Work) -> None:
    until = time.monotonic() + RETRY_PAUSE_S
    while time.monotonic() < until:
        work.alive()
        time.sleep(0.2)


def _require_approved(script: dict[str, Any]) -> None:
    """Asked at the last moment too: an approval may have been taken back, or a plan be older than this rule."""
    if unapproved([script]):
        raise StepFailed(f"{script['name']} comes from the marketplace, and nobody has approved this text.")


def _run(work: Work, ref: MachineRef, script: dict[str, Any], attempt: int, hidden: dict[str, str]) -> Result:
    """The key is the same for whoever takes over, and another one when a person asks for the script again."""
    usual = leaf(work.plan["merged"]["merged"], "post_migration.timeout_s", 600)
    once_key = f"{_key(script)}-r{script['revision']}-t{work.claim.retries}" + f"-n{attempt}" * bool(attempt)
    variables = {**script.get("environment", {}), **hidden}
    text = delivered(script, variables, f"END-{secrets.token_hex(12)}")
    try:
        return work.alive.patiently(
            work.target.run,
            ref,
            text,
            script.get("timeout_s") or usual,
            once_key=once_key,
            keep_alive=_follower(work, ref, script, once_key, list(hidden.values())),
        )
    except Cancelled:
        work.target.stop_script(ref, once_key)
        raise
    finally:
        work.alive.forget_shown()


def _follower(work: Work, ref, script, once_key: str, hidden: list[str]) -> Callable[[], None]:
    """Keeps the claim, and every few seconds shows on the run what the script has written."""
    if "script_output" not in work.target.caps:
        return work.alive
    looked_at = time.monotonic()

    def keep_alive() -> None:
        nonlocal looked_at
        work.alive()
        if time.monotonic() - looked_at >= LOOK_EVERY_S:
            _show(work, ref, script, once_key, hidden)
            looked_at = time.monotonic()

    return keep_alive


def _show(work: Work, ref, script, once_key: str, hidden: list[str]) -> None:
    try:
        written = work.target.script_output(ref, once_key, LIVE_BYTES)
    except AgentUnavailable:
        return  # a busy guest: the script itself is waited for by `run`, which says when that is in vain
    ends = {
        "stdout": live_tail(written.stdout, hidden, is_cut=written.is_stdout_cut),
        "stderr": live_tail(written.stderr, hidden, is_cut=written.is_stderr_cut),
    }
    shown = {name: storable(text, LIVE_BYTES) for name, text in ends.items()}
    work.alive.show({"name": _key(script), **shown})


def _outcome(script: dict[str, Any], result: Result, hidden: list[str]) -> dict[str, Any]:
    return {
        "name": script["name"],
        **({"key": _key(script)} if _key(script) != script["name"] else {}),
        "revision": script["revision"],
        "exit_code": result.exit_code,
        "stdout": storable(without_secrets(result.stdout, hidden), KEPT_CHARACTERS),
        "stderr": storable(without_secrets(result.stderr, hidden), KEPT_CHARACTERS),
        "duration_s": round(result.duration_s, 2),
        "timed_out": result.timed_out,
    }


def _require_success(work: Work, outcomes: list[dict[str, Any]]) -> None:
    last = outcomes[-1]
    told = root_cause(last)
    if last.get("skipped"):
        return
    if last["exit_code"] == 0:
        work.alive.say(f"{_key(last)} succeeded in {last['duration_s']} s.")
    elif leaf(work.plan["merged"]["merged"], "post_migration.must_pass", True):
        raise StepFailed(told, {**work.kept, "scripts": outcomes})
    else:
        work.alive.say(f"{told} The plan lets the run go on.", "warning")


def root_cause(outcome: dict[str, Any]) -> str:
    """In the script's own words: the last lines that it wrote, of the error stream first."""
    ended = "did not end in time" if outcome["timed_out"] else f"ended with exit code {outcome['exit_code']}"
    lines = (outcome["stderr"].strip() or outcome["stdout"].strip()).splitlines()[-3:]
    return f"{_key(outcome)} {ended}{': ' if lines else '.'}{' / '.join(line.strip() for line in lines)}"
