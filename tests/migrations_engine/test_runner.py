"""A run from launch to end, with the target faked at its protocol."""

from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from django.utils import timezone

from analyzer.models import Recommendation
from analyzer.services.scan_reading import disk_fingerprint
from migrations_engine import pipeline, runner
from migrations_engine.domain.machine import GuestDisk, Result
from migrations_engine.domain.states import STEPS, RunState, StepName, StepState
from migrations_engine.models import MigratedVM, MigrationRun, StepRun
from migrations_engine.services import claims
from migrations_engine.services.receipt import receipt_of
from migrations_engine.services.runs import Blocked
from migrations_engine.steps.base import Alive
from migrations_engine.targets.base import CopyMismatch, KernelUnavailable, MachineFailed
from personas.models import AuditEntry
from tests import factories
from tests.migrations_engine.estate import facts
from tests.migrations_engine.fake_target import FakeTarget


def states(run):
    return [step.state for step in run.steps.order_by("order")]


def begin(estate, **changes):
    """A queued run that no worker has touched; the message is never sent."""
    return pipeline.run_start(**estate.launch(**changes))


def expire(run, name):
    StepRun.objects.filter(run=run, name=name).update(lease_until=timezone.now() - timedelta(seconds=1))


def test_run_goes_through_four_steps_to_a_verified_machine(estate, world, run_all):
    run = run_all(pipeline.run_start, **estate.launch())
    assert run.root_cause == ""
    assert run.state == RunState.SUCCEEDED
    assert states(run) == [StepState.SUCCEEDED] * 4
    machine = MigratedVM.objects.get(run=run)
    found = {row["setting"]: (row["found"], row["verdict"]) for row in machine.verification}
    assert found["kernel.version"] == ("6.1.0-2-amd64", "pass")
    assert machine.power_state == "on"
    assert world.machines[str(run.pk)].state == "on"
    assert run.resources.filter(state="created").count() == 2


def test_steps_run_in_order_only(estate):
    run = begin(estate)
    runner.execute(run_id=run.pk, name=StepName.MIGRATE)
    assert states(run) == [StepState.WAITING] * 4
    run.refresh_from_db()
    assert run.state == RunState.QUEUED


def test_step_that_succeeded_is_not_run_again(estate, world):
    run = begin(estate)
    for name in STEPS:
        for _ in range(2):
            runner.execute(run_id=run.pk, name=name)
    assert [call[0] for call in world.calls].count("copy") == 1
    assert [step.attempt for step in run.steps.all()] == [1, 1, 1, 1]


def test_only_one_worker_claims_a_step(estate):
    run = begin(estate)
    first = claims.take(run_id=run.pk, name=StepName.ANALYZE)
    assert first is not None
    assert claims.take(run_id=run.pk, name=StepName.ANALYZE) is None


def test_expired_lease_is_taken_over_and_the_first_worker_is_fenced(estate):
    run = begin(estate)
    first = claims.take(run_id=run.pk, name=StepName.ANALYZE)
    expire(run, StepName.ANALYZE)
    second = claims.take(run_id=run.pk, name=StepName.ANALYZE)
    assert second.attempt == 2
    with pytest.raises(claims.LostClaim):
        claims.renew(first)
    with pytest.raises(claims.LostClaim):
        claims.settle(first, StepState.SUCCEEDED, result={"by": "the first"})
    claims.settle(second, StepState.SUCCEEDED, result={"by": "the second"})
    assert run.steps.get(name=StepName.ANALYZE).result == {"by": "the second"}


def test_worker_that_lost_its_claim_writes_nothing_and_leaves_the_run_alone(estate, world):
    run = begin(estate)

    def another_worker_takes_over():
        expire(run, StepName.ANALYZE)
        assert claims.take(run_id=run.pk, name=StepName.ANALYZE)

    world.on["checksum"] = another_worker_takes_over
    runner.execute(run_id=run.pk, name=StepName.ANALYZE)
    step = run.steps.get(name=StepName.ANALYZE)
    assert (step.state, step.attempt, step.result) == (StepState.RUNNING, 2, None)
    run.refresh_from_db()
    assert run.state == RunState.RUNNING


def test_failed_step_fails_the_run_with_its_own_words(estate, world, run_all):
    world.on["power"] = lambda: (_ for _ in ()).throw(MachineFailed("qemu: no such device 'virtio-blk'"))
    run = run_all(pipeline.run_start, **estate.launch())
    assert run.state == RunState.FAILED
    assert run.root_cause == "qemu: no such device 'virtio-blk'"
    assert states(run) == ["succeeded", "succeeded", "failed", "waiting"]


def test_retry_goes_on_at_the_failed_step(estate, world, run_all):
    world.on["power"] = lambda: (_ for _ in ()).throw(MachineFailed("no memory"))
    run = run_all(pipeline.run_start, **estate.launch())
    world.on.clear()
    plan = run.plan
    run = run_all(pipeline.run_retry, run=run, by=estate.operator)
    assert (run.state, run.root_cause) == (RunState.SUCCEEDED, "")
    assert run.plan == plan
    assert [call[0] for call in world.calls].count("copy") == 1  # the machine was there already


def test_unforeseen_error_fails_the_run_and_leaves_its_trace(estate, world, run_all):
    world.on["grow"] = lambda: {}["surprise"]
    run = run_all(pipeline.run_start, **estate.launch())
    assert run.state == RunState.FAILED
    assert "KeyError" in run.root_cause
    assert run.events.filter(level="error", text__contains="Traceback").exists()


def test_end_of_a_run_is_audited_and_told_to_the_suggestion(estate, world, run_all):
    Recommendation.objects.all().delete()
    suggestion = Recommendation.objects.create(
        vm=estate.vm,
        scan=estate.scan,
        persona=estate.persona,
        score=0.9,
        ranking=[],
        state="claimed",
        model_version="1",
    )
    world.on["power"] = lambda: (_ for _ in ()).throw(MachineFailed("no memory"))
    run = run_all(pipeline.run_start, **estate.launch())
    suggestion.refresh_from_db()
    assert suggestion.state == "failed"
    world.on.clear()
    run_all(pipeline.run_retry, run=run, by=estate.operator)
    suggestion.refresh_from_db()
    assert suggestion.state == "succeeded"
    actions = AuditEntry.objects.filter(object_id=str(run.pk)).order_by("at").values_list("action", flat=True)
    assert list(actions) == ["migration.start", "migration.failed", "migration.retry", "migration.succeeded"]


def test_disk_that_became_a_link_out_of_the_image_roots_is_not_read(estate, world, tmp_path, run_all):
    outside = tmp_path / "shadow"
    outside.write_text("root:secret")
    disk = Path(estate.vm.disks.get().path)
    disk.unlink()
    disk.symlink_to(outside)
    run = run_all(pipeline.run_start, **estate.launch())
    assert run.state == RunState.FAILED
    assert "is not to be read" in run.root_cause
    assert "checksum" not in [call[0] for call in world.calls]


def test_damaged_copy_is_thrown_away_before_a_retry(estate, world, run_all):
    world.on["grow"] = lambda: (_ for _ in ()).throw(CopyMismatch("the copy differs"))
    run = run_all(pipeline.run_start, **estate.launch())
    assert run.state == RunState.FAILED
    assert world.machines == {}


def test_source_that_changes_while_it_is_copied_fails_the_run(estate, world, run_all):
    world.on["copy"] = lambda: setattr(world, "source_sha256", "6" * 64)
    run = run_all(pipeline.run_start, **estate.launch())
    assert "written to while it was copied" in run.root_cause


@pytest.fixture
def second_disk(estate):
    disk = Path(estate.vm.disks.get().path).with_name("data.vdi")
    disk.write_bytes(bytes(4096))
    estate.vm.disks.create(index=1, path=str(disk), format="vdi", virtual_size_bytes=2**30)
    factories.make_scan(estate.vm, facts=facts(), disk_fingerprint=disk_fingerprint(estate.vm))
    return disk


def test_every_disk_is_copied_hashed_and_written_down(estate, second_disk, world, run_all):
    world.disks = (GuestDisk("vda", 2**30, "disk0"), GuestDisk("vdb", 2**30, "disk1"))
    run = run_all(pipeline.run_start, **estate.launch())
    assert run.root_cause == ""
    assert ("copy_data", 1, str(second_disk), "qcow2") in world.calls
    sources = [each["path"] for each in run.steps.get(name=StepName.ANALYZE).result["sources"]]
    assert sources == [disk.path for disk in estate.vm.disks.order_by("index")]
    made = run.resources.filter(kind="disk", state="created").values_list("reference", flat=True)
    assert set(made) == {str(run.pk), f"{run.pk}/disk1"}
    assert receipt_of(run)["sources"][1] == {"path": str(second_disk), "sha256": "5" * 64}


def test_a_machine_that_boots_without_its_data_disk_fails_the_run(estate, second_disk, run_all):
    run = run_all(pipeline.run_start, **estate.launch())
    assert "disks.1: asked for 1 GiB, found not there" in run.root_cause


LACKING = {"kernel": {"version": "6.1.0-3-amd64", "intent": "install"}}


def test_kernel_that_the_guest_lacks_is_installed_booted_and_verified(estate, world, run_all):
    run = run_all(pipeline.run_start, **estate.launch(overrides=LACKING))
    assert (run.state, run.root_cause) == (RunState.SUCCEEDED, "")
    verbs = [call[0] for call in world.calls]
    at = [verbs.index(verb) for verb in ("copy", "grow", "install_kernel", "prepare", "seal", "power")]
    assert at == sorted(at)
    assert ("install_kernel", "6.1.0-3-amd64") in world.calls
    assert ("prepare", "6.1.0-3-amd64") in world.calls
    rows = {row["setting"]: row for row in MigratedVM.objects.get(run=run).verification}
    assert (rows["kernel.version"]["found"], rows["kernel.version"]["verdict"]) == ("6.1.0-3-amd64", "pass")


def test_kernel_that_no_archive_has_fails_the_run_before_anything_boots(estate, world, run_all):
    def nowhere():
        raise KernelUnavailable("kernel 6.1.0-3-amd64 is not on the disk, and no archive has it")

    world.on["install_kernel"] = nowhere
    run = run_all(pipeline.run_start, **estate.launch(overrides=LACKING))
    assert run.root_cause == "kernel 6.1.0-3-amd64 is not on the disk, and no archive has it"
    assert states(run) == ["succeeded", "succeeded", "failed", "waiting"]
    assert "power" not in [call[0] for call in world.calls]


def test_target_that_installs_no_kernel_refuses_before_the_run(estate, world, monkeypatch):
    monkeypatch.setattr(FakeTarget, "caps", FakeTarget.caps - {"kernel_install"})
    with pytest.raises(Blocked, match="and this target cannot install one"):
        begin(estate, overrides=LACKING)
    assert not MigrationRun.objects.exists()
    assert "copy" not in [call[0] for call in world.calls]


def test_machine_that_is_not_what_was_asked_for_fails_the_run(estate, world, run_all):
    world.memory_mib = 128
    run = run_all(pipeline.run_start, **estate.launch())
    assert run.state == RunState.FAILED
    assert "resources.memory_mib: asked for 512 MiB, found 128 MiB" in run.root_cause
    assert MigratedVM.objects.get(run=run).verification


def test_new_critical_finding_of_the_scan_stops_the_run(estate, run_all):
    from tests.migrations_engine.estate import facts

    run = begin(estate)
    estate.scan.facts = facts(has_guest_agent=False).model_dump(mode="json")
    estate.scan.save()
    for name in STEPS:
        runner.execute(run_id=run.pk, name=name)
    run.refresh_from_db()
    assert run.state == RunState.FAILED
    assert "guest agent" in run.root_cause


# --- cancel ----------------------------------------------------------------------------------------------------------


def test_cancel_before_the_first_step_ends_the_run(estate, world, run_all):
    run = begin(estate)
    run = run_all(pipeline.run_cancel, run=run, by=estate.operator)
    assert run.state == RunState.CANCELLED
    assert states(run) == [StepState.CANCELLED] * 4


def during_in_this_thread(alive, call, *arguments, **options):
    result = call(*arguments, **options)
    alive()
    return result


@pytest.mark.parametrize("verb", ["checksum", "check", "copy", "grow", "create", "wait_ready", "run"])
def test_cancel_in_the_middle_stops_and_removes_what_was_made(estate, world, verb, monkeypatch):
    monkeypatch.setattr("migrations_engine.steps.base.WRITE_EVERY_S", 0)
    monkeypatch.setattr(
        Alive, "during", during_in_this_thread
    )  # the hooks below write to the test's database
    estate.persona.post_migration_script = factories.make_script("tune")
    estate.persona.save()
    run = begin(estate)
    world.on[verb] = lambda: pipeline.run_cancel(run=run, by=estate.operator)
    for name in STEPS:
        runner.execute(run_id=run.pk, name=name)
    run.refresh_from_db()
    assert run.state == RunState.CANCELLED
    assert world.machines == {}
    assert not run.resources.exclude(state="removed").exists()
    assert StepState.CANCELLED in states(run)


def test_cancelled_run_starts_no_further_step(estate, world):
    run = begin(estate)
    runner.execute(run_id=run.pk, name=StepName.ANALYZE)
    pipeline.run_cancel(run=run, by=estate.operator)
    calls = len(world.calls)
    assert claims.take(run_id=run.pk, name=StepName.MERGE) is None
    runner.execute(run_id=run.pk, name=StepName.MERGE)
    assert [call[0] for call in world.calls[calls:]] == ["destroy"]


def test_cancel_of_a_dead_workers_run_is_concluded_by_the_sweeper(estate, world):
    run = begin(estate)
    zombie = claims.take(run_id=run.pk, name=StepName.ANALYZE)
    pipeline.run_cancel(run=run, by=estate.operator)
    pipeline.sweep()
    run.refresh_from_db()
    assert run.state == RunState.CANCELLING  # the worker may still live
    expire(run, StepName.ANALYZE)
    pipeline.sweep()
    run.refresh_from_db()
    assert run.state == RunState.CANCELLED
    with pytest.raises(claims.LostClaim):
        claims.renew(zombie)


def test_worker_that_was_only_slow_removes_what_it_made_after_the_cancel(estate, world, monkeypatch):
    monkeypatch.setattr("migrations_engine.steps.base.WRITE_EVERY_S", 0)
    monkeypatch.setattr(Alive, "during", during_in_this_thread)
    run = begin(estate)
    for name in STEPS[:2]:
        runner.execute(run_id=run.pk, name=name)

    def everyone_thinks_that_we_are_dead():
        made = world.machines[str(run.pk)]
        pipeline.run_cancel(run=run, by=estate.operator)
        expire(run, StepName.MIGRATE)
        pipeline.sweep()
        assert world.machines == {}
        world.machines[str(run.pk)] = made  # and yet we go on making it

    world.on["create"] = everyone_thinks_that_we_are_dead
    runner.execute(run_id=run.pk, name=StepName.MIGRATE)
    run.refresh_from_db()
    assert run.state == RunState.CANCELLED
    assert world.machines == {}


def test_clean_up_that_fails_is_told_and_can_be_asked_for_again(estate, world, run_all):
    run = begin(estate)
    world.on["destroy"] = lambda: (_ for _ in ()).throw(OSError("disk is busy"))
    run = run_all(pipeline.run_cancel, run=run, by=estate.operator)
    assert run.state == RunState.FAILED
    assert "disk is busy" in run.root_cause
    world.on.clear()
    run = run_all(pipeline.run_cancel, run=run, by=estate.operator)
    assert run.state == RunState.CANCELLED


# --- sweeper ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def sent(monkeypatch):
    """Ids of the runs that were dispatched."""
    ids = []
    monkeypatch.setattr(pipeline, "start", ids.append)
    return ids


def test_sweeper_sends_a_run_whose_message_was_lost(estate, sent):
    run = begin(estate)
    pipeline.sweep()
    assert sent == [run.pk]


def test_sweeper_gives_a_message_time_to_arrive(estate, sent):
    begin(estate)
    pipeline.sweep()
    pipeline.sweep()
    assert len(sent) == 1


def test_sweeper_sends_a_run_that_waits_in_a_long_queue_ever_more_rarely(estate, sent, monkeypatch):
    run, now = begin(estate), timezone.now()
    times = []
    for second in range(0, 1800, 5):
        monkeypatch.setattr(timezone, "now", lambda at=second: now + timedelta(seconds=at))
        pipeline.sweep()
        times += [second] * (len(sent) - len(times))
    assert set(sent) == {run.pk}
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert pauses == sorted(pauses)
    assert pauses[0] == 35 and pauses[-1] == 305  # a lease and five minutes, to the sweep after it
    assert len(sent) < 12


def test_sweeper_leaves_a_living_worker_alone(estate, sent):
    run = begin(estate)
    claims.take(run_id=run.pk, name=StepName.ANALYZE)
    pipeline.sweep()
    assert sent == []


def test_sweeper_takes_up_an_expired_lease(estate, sent):
    run = begin(estate)
    claims.take(run_id=run.pk, name=StepName.ANALYZE)
    expire(run, StepName.ANALYZE)
    pipeline.sweep()
    assert sent == [run.pk]


def test_run_that_kills_every_worker_fails_with_that_cause(estate, sent):
    run = begin(estate)
    for _ in range(claims.MAX_ATTEMPTS):
        assert claims.take(run_id=run.pk, name=StepName.ANALYZE)
        expire(run, StepName.ANALYZE)
    assert claims.take(run_id=run.pk, name=StepName.ANALYZE) is None
    pipeline.sweep()
    run.refresh_from_db()
    assert run.state == RunState.FAILED
    assert "6 workers died" in run.root_cause


def test_chain_holds_only_what_is_left(estate, world, run_all):
    run = begin(estate)
    runner.execute(run_id=run.pk, name=StepName.ANALYZE)
    world.calls.clear()
    run_all(lambda: pipeline.start(run.pk) or run)
    run.refresh_from_db()
    assert run.state == RunState.SUCCEEDED
    assert world.calls[0][0] == "probe"  # merge, not analyze


def test_unreachable_broker_does_not_lose_the_run(estate, monkeypatch, django_capture_on_commit_callbacks):
    from kombu.exceptions import OperationalError

    monkeypatch.setattr(
        "celery.canvas._chain.apply_async", lambda *a, **k: (_ for _ in ()).throw(OperationalError())
    )
    with django_capture_on_commit_callbacks(execute=True):
        run = begin(estate)
    run.refresh_from_db()
    assert run.state == RunState.QUEUED


# --- scripts ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def scripted(estate):
    """The persona with the script `tune`, revision 1."""
    estate.persona.post_migration_script = factories.make_script("tune", body="echo tuning")
    estate.persona.save()
    return estate


def test_script_output_is_kept(scripted, world, run_all):
    world.scripts["echo tuning"] = Result(0, "tuned 4 things\n", "a warning", 2.25)
    run = run_all(pipeline.run_start, **scripted.launch())
    (kept,) = run.steps.get(name="post_script").result["scripts"]
    assert kept | {"revision": 1, "timed_out": False} == {
        "name": "tune", "revision": 1, "exit_code": 0, "stdout": "tuned 4 things\n", "stderr": "a warning",
        "duration_s": 2.25, "timed_out": False,
    }  # fmt: skip


def test_script_that_fails_is_the_root_cause_in_its_own_words(scripted, world, run_all):
    world.scripts["echo tuning"] = Result(7, "working", "line 1\nline 2\nno such\x00 database\n", 1.0)
    run = run_all(pipeline.run_start, **scripted.launch())
    assert run.state == RunState.FAILED
    assert run.root_cause.startswith("tune ended with exit code 7: line 1 / line 2 / no such")
    assert "\x00" not in run.root_cause


def test_script_that_may_fail_lets_the_run_go_on(scripted, world, run_all):
    world.scripts["echo tuning"] = Result(7, "", "oh", 1.0)
    scripted.persona.script_must_pass = False
    scripted.persona.save()
    run = run_all(pipeline.run_start, **scripted.launch())
    assert run.state == RunState.SUCCEEDED
    assert run.steps.get(name="post_script").result["scripts"][0]["exit_code"] == 7


def test_script_whose_approval_is_taken_back_during_the_run_is_not_started(scripted, world, run_all):
    script = scripted.persona.post_migration_script
    world.on["copy"] = lambda: type(script).objects.update(origin="marketplace")
    run = run_all(pipeline.run_start, **scripted.launch())
    assert run.state == RunState.FAILED
    assert "nobody has approved this text" in run.root_cause


def test_script_is_not_started_again_by_a_takeover(scripted, world):
    run = begin(scripted)
    for name in STEPS[:3]:
        runner.execute(run_id=run.pk, name=name)

    def die():
        raise SystemExit  # as kill -9: nothing of ours runs after it

    world.on["run"] = lambda: world.started and die()
    world.scripts["echo tuning"] = Result(0, "once", "", 1.0)
    claim = claims.take(run_id=run.pk, name=StepName.POST_SCRIPT)
    target = runner._prepare(claim).target
    from migrations_engine.domain.machine import MachineRef

    ref = MachineRef(**run.steps.get(name="migrate").result["machine"])
    target.run(ref, "echo tuning", 5, once_key="tune-r1-t0")  # the dead worker's doing
    expire(run, StepName.POST_SCRIPT)
    world.on.clear()
    runner.execute(run_id=run.pk, name=StepName.POST_SCRIPT)
    run.refresh_from_db()
    assert run.state == RunState.SUCCEEDED
    assert world.started == ["tune-r1-t0"]


def test_script_runs_again_when_a_person_asks(scripted, world, run_all):
    world.scripts["echo tuning"] = Result(1, "", "database is down", 1.0)
    run = run_all(pipeline.run_start, **scripted.launch())
    world.scripts["echo tuning"] = Result(0, "ok", "", 1.0)
    run = run_all(pipeline.run_retry, run=run, by=scripted.operator)
    assert run.state == RunState.SUCCEEDED
    assert world.started == ["tune-r1-t0", "tune-r1-t1"]


def test_run_keeps_the_text_of_the_script_that_it_was_launched_with(scripted, world, run_all):
    from personas.models import ScriptRevision

    run = begin(scripted)
    script = scripted.persona.post_migration_script
    ScriptRevision.objects.create(script=script, number=2, body="rm -rf /", sha256="0" * 64)
    world.scripts["echo tuning"] = Result(0, "the old text", "", 1.0)
    for name in STEPS:
        runner.execute(run_id=run.pk, name=name)
    assert run.steps.get(name="post_script").result["scripts"][0]["stdout"] == "the old text"


def test_every_log_line_of_a_run_names_it(estate, caplog):
    run = begin(estate)
    with caplog.at_level("INFO", logger="migrations_engine"):
        runner.execute(run_id=run.pk, name=StepName.ANALYZE)
    lines = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
    assert "step_claimed" in [line["event"] for line in lines]
    assert {line.get("run_id") for line in lines} == {str(run.pk)}
