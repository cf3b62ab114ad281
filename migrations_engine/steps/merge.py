"""Step 2: the settings to be applied, once more from the layers of the snapshot, now against the disk as it is."""

from migrations_engine.domain.concerns import blocking
from migrations_engine.domain.machine import SpecError
from migrations_engine.domain.states import StepName
from migrations_engine.services.assessment import as_json, assess
from migrations_engine.services.plan import merge_again
from migrations_engine.steps.analyze import scanned_facts
from migrations_engine.steps.base import Step, StepFailed, Work


def merge(work: Work) -> dict:
    work.alive.phase("Merging the layers of the plan", 0)
    merged = merge_again(work.plan)
    planned = work.plan["merged"]["sha256"]
    if merged.sha256 != planned:
        raise StepFailed(f"The layers merge to {merged.sha256[:12]}…, the plan says {planned[:12]}….")
    work.alive.phase("Checking the plan against the disk and the target", 50)
    try:
        found = work.alive.during(
            assess, document=work.plan, facts=scanned_facts(work), target=work.target, key=work.key
        )
    except SpecError as error:
        raise StepFailed(f"No machine can be made of these settings: {error}") from error
    if critical := blocking(found.concerns):
        raise StepFailed(" ".join(f"{concern.text} {concern.action}".strip() for concern in critical))
    work.alive.say(f"{len(merged.origin)} settings, SHA-256 {merged.sha256[:12]}…. {found.kernel.reason}")
    return {"settings_sha256": merged.sha256, "assessment": as_json(found)}


MERGE = Step(StepName.MERGE, frozenset({"scan"}), frozenset({"settings_sha256", "assessment"}), merge)
