"""Launch, cancel, retry: what people do to a run. `migrations_engine.pipeline` adds the sending of its chain."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from analyzer.models import VirtualMachine
from migrations_engine.domain.concerns import Severity
from migrations_engine.domain.drills import WHERE, Fault, mode_of
from migrations_engine.domain.states import STEPS, RunState, StepState
from migrations_engine.domain.terms import DEFAULT_TERMS, Mode, Terms
from migrations_engine.domain.webhooks import Event
from migrations_engine.models import Cutover, MigrationRun, StepRun, TargetEndpoint
from migrations_engine.services import cutover
from migrations_engine.services.events import tell
from migrations_engine.services.plan import Plan, plan_make
from migrations_engine.services.webhooks import run_happened
from personas.errors import BadInput, Refused, Stale
from personas.models import Persona, Role
from personas.services.access import require
from personas.services.allowances import runs_spend
from personas.services.audit import record
from templates_app.models import MigrationTemplate

TARGET_AWAY = "target.unavailable"
CANCELLABLE = (RunState.QUEUED, RunState.RUNNING, RunState.DECIDING, RunState.FAILED)


class Blocked(Refused):
    """The plan has critical concerns; `concerns` lists them."""


class TargetAway(Blocked):
    """Nothing is critical but that the target does not answer now."""


class Busy(Refused):
    """Another run of this machine has not ended; `run` is its id."""


class KeyReused(Refused):
    """The Idempotency-Key came with another body before."""

    status = 422


def run_replayed(*, by, key: str, request_sha256: str) -> MigrationRun | None:
    """The run that `by` started with this key and this request. Raises KeyReused, NotAllowed."""
    mine = MigrationRun.objects.visible_to(by).filter(created_by=by, idempotency_key=key)
    earlier = mine.first() if key else None
    if earlier is None:
        return None
    require(by=by, department=earlier.department, role=Role.OPERATOR)
    if earlier.request_sha256 != request_sha256:
        raise KeyReused(
            "This Idempotency-Key was used for another request; take a new one.", run=str(earlier.pk)
        )
    return earlier


def run_create(
    *,
    template: MigrationTemplate,
    vm: VirtualMachine,
    personas: Sequence[Persona] = (),
    use_case: str = "",
    overrides: dict[str, Any] | None = None,
    target: TargetEndpoint | None = None,
    by,
    plan_sha256: str | None = None,
    idempotency_key: str = "",
    request_sha256: str = "",
    terms: Terms = DEFAULT_TERMS,
    acknowledged: Mapping[str, str] | None = None,
    drill: str = "",
    then: Callable[[uuid.UUID], None] | None = None,
) -> MigrationRun:
    """MigrateVM(TemplateID, VMID, PersonaID): the run with the snapshot of its plan and its four steps, queued.

    With an `idempotency_key` that this user has used: the run of that time, where `request_sha256`, of the request as
    it was sent, is that run's too (what it names may have changed since: ask `run_replayed` before it is looked up).
    Raises NotAllowed (not an operator there), Stale (the plan is not the one of `plan_sha256` any more), Blocked,
    KeyReused, NotAllowedToRun, BadInput, InvalidSettings.
    Busy (another run of this machine has not ended). `acknowledged`: {id of a Warning: why it is accepted}.
    `then` is called with the new run's id as soon as it is committed.
    """
    if vm.department is None:
        raise BadInput({"vm": ["This machine belongs to no department; give it one first."]})
    require(by=by, department=vm.department, role=Role.OPERATOR)
    asked = {"by": by, "key": idempotency_key, "request_sha256": request_sha256}
    if earlier := run_replayed(**asked):
        return earlier
    if why := cutover.mode_refusal(vm, terms.mode):
        raise BadInput({"mode": [why]})
    options = {"personas": personas, "use_case": use_case, "overrides": overrides, "target": target}
    plan = plan_make(template=template, vm=vm, by=by, **options)
    _require_launchable(plan, plan_sha256)
    _require_drill(drill, plan, terms, vm, by)
    accepted = _acknowledged(plan, acknowledged or {})
    try:
        with transaction.atomic():
            # locked until the commit, so that of two launches at once one comes second
            VirtualMachine.objects.select_for_update().get(pk=vm.pk)
            if earlier := run_replayed(**asked):
                return earlier
            _require_free(vm)
            run = _write(
                plan, template, vm, overrides or {}, by, idempotency_key, request_sha256, terms, accepted, drill
            )
            if then is not None:
                transaction.on_commit(partial(then, run.pk))
            return run
    except IntegrityError:  # two requests with one key at once: the other one was first
        if earlier := run_replayed(**asked):
            return earlier
        raise


def _require_drill(drill: str, plan: Plan, terms: Terms, vm: VirtualMachine, by) -> None:
    """A simulated fault is an admin's to switch on, in its own kind of run, where there is something to fail."""
    if not drill:
        return
    require(by=by, department=vm.department, role=Role.ADMIN)
    if drill not in set(Fault):
        raise BadInput({"drill": [f"There is no drill {drill!r}: {', '.join(Fault)}."]})
    if terms.mode != (mode := mode_of(drill)):
        raise BadInput({"drill": [f"This fault is simulated in {WHERE[mode]} only."]})
    if drill == Fault.SCRIPT_FAILS and not plan.document["scripts"]:
        raise BadInput({"drill": ["The plan has no script that could fail."]})


def _require_free(vm: VirtualMachine) -> None:
    if owed := Cutover.objects.owed().filter(run__vm=vm).first():
        raise Busy(f"{vm.name} is still being switched on again after a run that went back.", run=str(owed.pk))
    other = MigrationRun.objects.alive().filter(vm=vm).first()
    if other is not None:
        words = str(other.state).replace("_", " ")
        raise Busy(f"Another run of {vm.name} is {words}; wait for its end or cancel it.", run=str(other.pk))


def _require_last(run: MigrationRun) -> None:
    if not run.is_test and (later := MigrationRun.objects.followers(run).first()):
        raise Refused(
            f"{later} has succeeded since and its new machine stands: a second one would come up beside it. Roll that "
            "run back first, or give this one up.",
            run=str(later.pk),
        )


def _acknowledged(plan: Plan, reasons: Mapping[str, str]) -> list[dict[str, str]]:
    """The Warnings that were accepted, with the reasons. Raises BadInput for a concern that the plan does not have."""
    warnings = {concern["id"]: concern for concern in plan.concerns if concern["severity"] == Severity.WARNING}
    wrong = [f"The plan has no Warning {id!r}." for id in reasons if id not in warnings]
    wrong += [f"Give a reason for {id!r}." for id, reason in reasons.items() if not reason.strip()]
    if wrong:
        raise BadInput({"acknowledge": wrong})
    return [
        {"id": id, "text": warnings[id]["text"], "reason": reason.strip()} for id, reason in reasons.items()
    ]


def _require_launchable(plan: Plan, expected: str | None) -> None:
    if expected and expected != plan.sha256:
        raise Stale("The plan has changed since you saw it; look at it again.", plan_sha256=plan.sha256)
    if blockers := plan.blockers:
        told = " ".join(concern["text"] for concern in blockers)
        away = all(concern["id"] == TARGET_AWAY for concern in blockers)
        kind = TargetAway if away else Blocked
        raise kind(f"The plan has critical concerns: {told}", concerns=blockers)


def _write(plan, template, vm, overrides, by, key, request_sha256, terms, acknowledged, drill) -> MigrationRun:
    document = plan.document
    run = MigrationRun.objects.create(
        department=vm.department,
        vm=vm,
        template=template,
        persona_id=document["personas"][-1]["id"] if document["personas"] else None,
        target_id=document["target"]["id"],
        use_case=document["use_case"],
        overrides=overrides,
        plan=document,
        plan_sha256=plan.sha256,
        idempotency_key=key,
        request_sha256=request_sha256,
        acknowledged=acknowledged,
        drill=drill,
        created_by=by,
        **terms.as_dict(),
    )
    StepRun.objects.bulk_create(
        [StepRun(run=run, name=name, order=order) for order, name in enumerate(STEPS)]
    )
    tell(run.pk, f"{by.get_username()} started {_KINDS[run.mode]} of {vm.name} by the template {template.name}.")
    if drill:
        tell(run.pk, f"A drill: {run.drill_words}. That is simulated until a step is tried again.", level="warning")
    for row in acknowledged:
        tell(run.pk, f"{by.get_username()} accepts: {row['text']} Reason: {row['reason']}", level="warning")
    _count(run)
    run_happened(run, Event.RUN_STARTED)
    told = {"plan_sha256": plan.sha256, "vm": str(vm.pk), "acknowledged": acknowledged}
    if drill:
        told["drill"] = drill
    record(by=by, action="migration.start", obj=run, after=told | terms.as_dict())
    return run


_KINDS = {
    Mode.COLD: "the migration",
    Mode.CUTOVER: "the cutover",
    Mode.WARM: "the warm cutover",
    Mode.TEST: "a test migration",
}


def _count(run: MigrationRun) -> None:
    """Against what the department may still run of each persona. Raises NotAllowedToRun."""
    personas = Persona.objects.filter(pk__in=[each["id"] for each in run.plan["personas"]])
    runs_spend(personas=personas, run_id=run.pk, machine_id=run.vm_id, now=timezone.now())


def _require_runnable(run: MigrationRun) -> None:
    """Its snapshot may be older than what is said of its personas now; of one that is gone nothing can be said."""
    named = {uuid.UUID(each["id"]): each["name"] for each in run.plan["personas"]}
    there = Persona.objects.filter(pk__in=named).prefetch_related("notices")
    gone = named.keys() - {persona.pk for persona in there}
    told = [f"{named[id]} is gone: start a new run with another persona." for id in named if id in gone]
    told += [
        f"{persona}: {notice.text} {notice.action}".strip()
        for persona in there
        for notice in persona.notices.all()
        if notice.blocks
    ]
    if told:
        raise Refused(" ".join(told))


def run_cancel(*, run: MigrationRun, by) -> MigrationRun:
    """Asks a run to stop, or gives up a failed one; what it made is then removed. Asked twice: the same answer."""
    require(by=by, department=run.department, role=Role.OPERATOR)
    with transaction.atomic():
        run = MigrationRun.objects.select_for_update().get(pk=run.pk)
        if run.state in (RunState.CANCELLING, RunState.CANCELLED):
            return run
        if run.state == RunState.CONFIRMING:
            raise Refused("Its steps are done and it waits for a yes or no: confirm it, or roll it back.")
        if run.state not in CANCELLABLE:
            raise Refused(f"The run has {run.state}; remove its machine on the machine's own page.")
        before, run.state = run.state, RunState.CANCELLING
        run.save(update_fields=["state"])
        tell(run.pk, f"{by.get_username()} asked to cancel.", level="warning")
        record(
            by=by, action="migration.cancel", obj=run, before={"state": before}, after={"state": run.state}
        )
    return run


def run_retry(*, run: MigrationRun, by) -> MigrationRun:
    """Queues the failed step again, on the same snapshot. Raises Refused where nothing has failed, and where one of its
    personas is blocked by now or gone."""
    require(by=by, department=run.department, role=Role.OPERATOR)
    with transaction.atomic():
        run = MigrationRun.objects.select_for_update().get(pk=run.pk)
        step = run.steps.filter(state=StepState.FAILED).first()
        if run.state != RunState.FAILED:
            raise Refused(f"Only a failed run can be tried again; this one is {run.state}.")
        if step is None:
            raise Refused("It failed while it was cleaned up, so no step can be tried again; give it up once more.")
        _require_free(run.vm)
        _require_last(run)
        _require_runnable(run)
        if cutover.begin_again(run):
            step.result = None
        _count(run)
        step.state, step.attempt, step.retries, step.error = StepState.WAITING, 0, step.retries + 1, ""
        step.percent, step.message, step.started_at, step.finished_at = 0, "", None, None
        step.save()
        before = {"state": run.state, "root_cause": run.root_cause}
        run.state, run.root_cause, run.finished_at, run.dispatched_at = RunState.QUEUED, "", None, None
        run.save(update_fields=["state", "root_cause", "finished_at", "dispatched_at"])
        tell(run.pk, f"{by.get_username()} asked for {step.name} again.", step=step.name)
        record(
            by=by,
            action="migration.retry",
            obj=run,
            before=before,
            after={"state": run.state, "step": step.name},
        )
    return run
