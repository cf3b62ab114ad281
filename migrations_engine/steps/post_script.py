"""Step 4: the scripts for the finished machine, the acceptance checks, then the scripts that come after these."""

from typing import Any

from migrations_engine.domain.machine import MachineRef
from migrations_engine.domain.settings_path import leaf
from migrations_engine.domain.states import StepName
from migrations_engine.models import MigratedVM
from migrations_engine.steps.acceptance import check
from migrations_engine.steps.base import Step, StepFailed, Work
from migrations_engine.steps.migrate import READY_TIMEOUT_S
from migrations_engine.steps.scripts import run_phase
from migrations_engine.steps.switch_over import checks_passed
from migrations_engine.steps.warm import proved
from personas.domain.checks import check_words


def post_script(work: Work) -> dict:
    ref = MachineRef(**work.known["machine"])
    work.alive.phase("Waiting for the guest to answer", 0)
    work.alive.during(work.target.power, ref, "on")
    work.target.wait_ready(ref, READY_TIMEOUT_S, work.alive)
    scripts = run_phase(work, ref, "after_network", work.known.get("scripts", []), (5, 75))
    checks = _check_all(work, ref, scripts)
    checks_passed(work)
    work.kept = {"checks": checks}
    scripts = run_phase(work, ref, "after_checks", scripts, (95, 100))
    return {"scripts": scripts, "checks": checks, **proved(work)}


def _check_all(work: Work, ref: MachineRef, scripts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    asked = leaf(work.plan["merged"]["merged"], "acceptance_checks", [])
    rows = []
    for index, wanted in enumerate(asked):
        work.alive.phase(f"Checking {check_words(wanted)}", 75 + 20 * index / len(asked))
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
