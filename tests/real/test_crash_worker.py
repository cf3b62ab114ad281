"""kill -9 of the worker in each of the four steps: the run ends well, nothing is done twice, the source stays."""

import pytest
from django.conf import settings

from migrations_engine import pipeline
from migrations_engine.domain.states import RunState, StepName, StepState
from migrations_engine.models import MigratedVM, MigrationRun, StepRun
from migrations_engine.services.migrated import migrated_vm_remove
from tests.real import instance
from tests.real.estate import real_estate, sha256
from tests.real.promises import require_nothing_left, require_promises, require_source_as_it_was

pytestmark = pytest.mark.both

SCRIPT = """
echo ran >> /root/ran
sleep 4
echo "ran $(wc -l < /root/ran) times"
"""
MOMENTS = [
    (StepName.ANALYZE, "Reading the source's checksum"),
    (StepName.MERGE, "Checking the plan"),
    (StepName.MIGRATE, "Copying the disk"),
    (StepName.MIGRATE, "Waiting for the guest"),
    (StepName.POST_SCRIPT, "Running"),
]


def is_at(run, step, message):
    return StepRun.objects.filter(
        run=run, name=step, state=StepState.RUNNING, message__startswith=message, lease_until__isnull=False
    ).exists()


def test_run_survives_kill_9_in_each_of_its_steps(own_instance):
    estate = real_estate(
        "tiny", script=SCRIPT, template={}, persona={"monitoring_tags": {"cost-centre": "4711"}}
    )
    before = sha256(estate.disk)
    clock, worker = instance.clock(), instance.worker("tests.real.slow_worker")
    with instance.running(clock):
        run = pipeline.run_start(**estate.launch())
        attempts = dict.fromkeys(StepName, 1)
        for step, message in MOMENTS:
            attempt = attempts[step]
            with instance.running(worker):
                instance.wait_until(
                    lambda s=step, m=message, a=attempt: (
                        is_at(run, s, m) and StepRun.objects.get(run=run, name=s).attempt == a
                    ),
                    f"{step} is at {message!r}",
                    said=worker.said,
                )
            attempts[step] += 1
            assert instance.left_behind(estate.disk) == []  # no copy goes on behind a dead worker
            worker = instance.worker("tests.real.slow_worker")
        with instance.running(worker):
            instance.wait_until(
                lambda: MigrationRun.objects.get(pk=run.pk).has_ended, "the run ends", said=worker.said
            )
    run.refresh_from_db()
    assert (run.state, run.root_cause) == (RunState.SUCCEEDED, "")
    assert {step.name: step.attempt for step in run.steps.all()} == {
        str(name): n for name, n in attempts.items()
    }
    (script,) = run.steps.get(name=StepName.POST_SCRIPT).result["scripts"]
    assert script["stdout"].strip() == "ran 1 times"
    require_promises(run)
    require_source_as_it_was(estate.disk, before)
    assert run.steps.get(name=StepName.ANALYZE).result["source_sha256"] == before
    machine = MigratedVM.objects.get(run=run)
    assert len(instance.processes_that_name(settings.DISKS_DIR)) == 1  # one machine, and nothing else
    migrated_vm_remove(migrated_vm=machine, by=estate.operator)
    require_nothing_left(run)
