"""kill -9 of QEMU itself while the guest boots and while its script runs: a cause at once, and a retry succeeds."""

import os
import signal

import pytest
from django.conf import settings

from migrations_engine import pipeline
from migrations_engine.domain.states import RunState, StepName, StepState
from migrations_engine.models import MigratedVM, MigrationRun, StepRun
from migrations_engine.services.migrated import migrated_vm_remove
from migrations_engine.targets.qemu import process
from migrations_engine.targets.qemu.folder import Folder
from tests.real import instance
from tests.real.estate import real_estate, sha256
from tests.real.promises import require_nothing_left, require_promises, require_source_as_it_was

SCRIPT = "sleep 5; echo done"
MOMENTS = [
    (StepName.MIGRATE, "Waiting for the guest to answer", "the machine stopped while booting; its console ends:"),
    (StepName.POST_SCRIPT, "Running", "the machine has stopped; its console ends:"),
]


@pytest.mark.once
def test_run_survives_kill_9_of_its_machine_while_it_boots_and_while_its_script_runs(own_instance):
    estate = real_estate("tiny", script=SCRIPT, template={}, persona={})
    before = sha256(estate.disk)
    clock, worker = instance.clock(), instance.worker()
    with instance.running(clock, worker):
        run = pipeline.run_start(**estate.launch())
        for step, message, cause in MOMENTS:
            kill_machine_at(run, step, message, worker)
            wait_for(run, RunState.FAILED, worker)
            failed = require_promises(run)
            assert failed.root_cause.startswith(cause)
            require_source_as_it_was(estate.disk, before)
            run = pipeline.run_retry(run=failed, by=estate.operator)
        wait_for(run, RunState.SUCCEEDED, worker)
    require_promises(run)
    require_source_as_it_was(estate.disk, before)
    migrated_vm_remove(migrated_vm=MigratedVM.objects.get(run=run), by=estate.operator)
    require_nothing_left(run)


def kill_machine_at(run, step, message, worker) -> None:
    folder = Folder(settings.DISKS_DIR / str(run.pk))
    at = StepRun.objects.filter(run=run, name=step, state=StepState.RUNNING, message__startswith=message)
    instance.wait_until(at.exists, f"{step} is at {message!r}", said=worker.said)
    os.kill(process.pid_of(folder), signal.SIGKILL)


def wait_for(run, state, worker) -> None:
    there = MigrationRun.objects.filter(pk=run.pk, state=state)
    instance.wait_until(there.exists, f"the run has {state}", said=worker.said)
