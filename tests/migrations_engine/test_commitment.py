"""Who says that a machine stays: at once, a person, or the clock; and the way back."""

from datetime import timedelta

import pytest
from django.utils import timezone

from analyzer.models import Recommendation
from migrations_engine import pipeline
from migrations_engine.domain.states import RunState
from migrations_engine.domain.terms import Commit, Mode, OnRollback, Terms
from migrations_engine.models import MigratedVM, MigrationRun
from migrations_engine.services import commitment
from migrations_engine.services.migrated import migrated_vm_remove
from migrations_engine.services.plan import plan_make
from migrations_engine.services.power import migrated_vm_power
from migrations_engine.services.repeats import changes_left, repeated_run
from migrations_engine.services.runs import Busy
from personas.errors import BadInput, NotAllowed, Refused
from personas.models import AuditEntry
from personas.models.track_record import RunOutcome
from tests import factories

BY_HAND = Terms(commit=Commit.BY_HAND)
TIMED = Terms(commit=Commit.TIMED, confirm_minutes=5)
CHECK = {"kind": "command", "command": "true"}


@pytest.fixture
def launched(estate, run_all):
    return lambda terms, **changes: run_all(pipeline.run_start, **estate.launch(terms=terms, **changes))


def late(run):
    MigrationRun.objects.filter(pk=run.pk).update(confirm_by=timezone.now() - timedelta(seconds=1))


def test_run_by_hand_waits_for_a_person_with_its_machine_up(estate, launched, world):
    run = launched(BY_HAND)
    assert (run.state, run.confirm_by, run.finished_at) == (RunState.CONFIRMING, None, None)
    assert world.machines[str(run.pk)].state == "on"
    pipeline.sweep()
    assert commitment.run_confirm(run=run, by=estate.operator).state == RunState.SUCCEEDED
    assert commitment.run_confirm(run=run, by=estate.operator).state == RunState.SUCCEEDED
    assert AuditEntry.objects.filter(action="migration.confirm", object_id=str(run.pk)).count() == 1


def test_run_that_nobody_confirms_is_rolled_back_by_the_clock(launched, world):
    run = launched(TIMED)
    pipeline.sweep()
    run.refresh_from_db()
    assert run.state == RunState.CONFIRMING  # there is time left
    late(run)
    pipeline.sweep()
    run.refresh_from_db()
    assert (run.state, world.machines) == (RunState.ROLLED_BACK, {})
    assert MigratedVM.objects.get(run=run).removed_at
    assert "Nobody confirmed" in " ".join(run.events.values_list("text", flat=True))


def test_confirmation_beats_the_clock_only_once(estate, launched):
    run = launched(TIMED)
    late(run)
    assert commitment.roll_back_overdue(run_id=run.pk, now=timezone.now())
    assert not commitment.roll_back_overdue(run_id=run.pk, now=timezone.now())
    with pytest.raises(Refused, match="rolling back"):
        commitment.run_confirm(run=run, by=estate.operator)


def test_confirmed_run_is_never_rolled_back_by_the_clock(estate, launched):
    run = launched(TIMED)
    run = commitment.run_confirm(run=run, by=estate.operator)
    assert run.confirm_by is None
    assert not commitment.roll_back_overdue(run_id=run.pk, now=timezone.now() + timedelta(days=1))


@pytest.mark.parametrize(("checks", "state"), [([CHECK], RunState.SUCCEEDED), ([], RunState.CONFIRMING)])
def test_checks_that_pass_may_confirm(launched, checks, state):
    terms = Terms(commit=Commit.TIMED, confirm_minutes=5, checks_confirm=True)
    assert launched(terms, overrides={"acceptance_checks": checks}).state == state


def test_rollback_keeps_the_machine_switched_off_where_that_was_asked(estate, launched, world, run_all):
    run = launched(Terms(commit=Commit.BY_HAND, on_rollback=OnRollback.KEEP))
    run = run_all(pipeline.run_rollback, run=run, by=estate.operator, reason="slow")
    assert run.state == RunState.ROLLED_BACK
    assert world.machines[str(run.pk)].state == "off"
    assert not MigratedVM.objects.get(run=run).removed_at


def test_succeeded_run_goes_back_until_it_is_finalized(estate, launched, run_all, world):
    run, other = launched(Terms()), launched(Terms())
    assert run_all(pipeline.run_rollback, run=run, by=estate.operator).state == RunState.ROLLED_BACK
    commitment.run_finalize(run=other, by=estate.operator)
    with pytest.raises(Refused, match="finalized"):
        commitment.run_rollback(run=other, by=estate.operator)
    assert list(world.machines) == [str(other.pk)]


def test_rollback_that_fails_is_told_and_can_be_asked_for_again(estate, launched, run_all, world):
    run = launched(BY_HAND)
    world.on["destroy"] = lambda: (_ for _ in ()).throw(OSError("disk is busy"))
    run = run_all(pipeline.run_rollback, run=run, by=estate.operator)
    assert (run.state, "disk is busy" in run.root_cause) == (RunState.FAILED, True)
    world.on.clear()
    assert run_all(pipeline.run_cancel, run=run, by=estate.operator).state == RunState.CANCELLED


def test_rollback_survives_the_worker_that_began_it(estate, launched, world):
    run = launched(BY_HAND)
    commitment.run_rollback(run=run, by=estate.operator)  # and its message is lost
    pipeline.sweep()
    run.refresh_from_db()
    assert (run.state, world.machines) == (RunState.ROLLED_BACK, {})


def test_test_migration_is_discarded_not_finalized(estate, launched, run_all, world):
    run = launched(Terms(mode=Mode.TEST))
    assert run.is_test
    with pytest.raises(Refused, match="discarded"):
        commitment.run_finalize(run=run, by=estate.operator)
    assert run_all(pipeline.run_rollback, run=run, by=estate.operator).state == RunState.ROLLED_BACK
    assert world.machines == {}


def test_machine_that_waits_may_be_switched_but_not_removed(estate, launched):
    machine = launched(BY_HAND).migrated_vm
    assert migrated_vm_power(migrated_vm=machine, want="off", by=estate.operator).is_switching
    with pytest.raises(Refused, match="roll it back"):
        migrated_vm_remove(migrated_vm=machine, by=estate.operator)


def test_waiting_run_is_not_cancelled_but_rolled_back(estate, launched):
    with pytest.raises(Refused, match="roll it back"):
        pipeline.run_cancel(run=launched(BY_HAND), by=estate.operator)


@pytest.mark.parametrize("verb", [commitment.run_confirm, commitment.run_rollback, commitment.run_finalize])
def test_viewer_decides_nothing(estate, launched, verb):
    run = launched(BY_HAND)
    with pytest.raises(NotAllowed):
        verb(run=run, by=factories.make_member(estate.department, "viewer"))


# --- one run at a time, warnings accepted ----------------------------------------------------------------------------


def test_second_run_of_a_machine_waits_for_the_first(estate):
    first = pipeline.run_start(**estate.launch())
    with pytest.raises(Busy) as refused:
        pipeline.run_start(**estate.launch())
    assert refused.value.extra == {"run": str(first.pk)}
    assert MigrationRun.objects.count() == 1


def test_failed_run_is_not_tried_again_beside_another(estate, run_all, world):
    world.on["copy"] = lambda: (_ for _ in ()).throw(OSError("disk full"))
    failed = run_all(pipeline.run_start, **estate.launch())
    pipeline.run_start(**estate.launch())
    with pytest.raises(Busy):
        pipeline.run_retry(run=failed, by=estate.operator)


@pytest.fixture
def warned(estate):
    """The template locks a setting that the persona says: a Warning."""
    estate.template.default_kernel_version = "6.1.0-1-amd64"
    estate.template.locks = ["kernel.version"]
    estate.template.save()
    return estate


def test_accepted_warning_is_recorded_with_its_reason(warned):
    run = pipeline.run_start(**warned.launch(acknowledged={"settings.locked": "asked the owner"}))
    assert [(row["id"], row["reason"]) for row in run.acknowledged] == [
        ("settings.locked", "asked the owner")
    ]
    entry = AuditEntry.objects.get(action="migration.start", object_id=str(run.pk))
    assert entry.after["acknowledged"] == run.acknowledged


@pytest.mark.parametrize("given", [{"no.such": "why"}, {"settings.locked": "  "}])
def test_warning_that_is_not_there_or_has_no_reason_is_refused(warned, given):
    with pytest.raises(BadInput) as refused:
        pipeline.run_start(**warned.launch(acknowledged=given))
    assert repr(next(iter(given))) in refused.value.errors["acknowledge"][0]


def test_plan_made_right_after_a_successful_run_changes_nothing(estate, launched, run_all):
    before = plan_make(**estate.launch())
    assert repeated_run(before) is None
    run = launched(Terms())
    after = plan_make(**estate.launch())
    assert after.sha256 == before.sha256 == run.plan_sha256
    assert repeated_run(after) == run
    assert not any(row["changes"] for row in changes_left(after, run))
    other = plan_make(**estate.launch(overrides={"resources": {"vcpus": 7}}))
    assert repeated_run(other) is None
    run_all(pipeline.run_rollback, run=run, by=estate.operator)
    assert repeated_run(plan_make(**estate.launch())) is None


def test_test_migration_is_labelled_at_the_target_and_counts_for_nothing(estate, launched, world):
    run = launched(Terms(mode=Mode.TEST))
    assert world.machines[str(run.pk)].tags["test-migration"] == str(run.pk)
    assert not RunOutcome.objects.exists()


def test_rollback_of_a_success_is_told_to_the_suggestion(estate, launched):
    Recommendation.objects.all().delete()
    columns = {"score": 0.9, "ranking": [], "state": "claimed", "model_version": "1"}
    suggestion = Recommendation.objects.create(vm=estate.vm, scan=estate.scan, persona=estate.persona, **columns)
    run = launched(Terms())
    assert (run.state, suggestion.outcomes.get().kind) == (RunState.SUCCEEDED, "succeeded")
    commitment.run_rollback(run=run, by=estate.operator)
    pipeline.sweep()
    suggestion.refresh_from_db()
    assert (suggestion.state, suggestion.outcomes.get().kind) == ("failed", "rolled_back")
    assert suggestion.outcomes.get().memory_mib == run.plan["machine"]["memory_mib"]
