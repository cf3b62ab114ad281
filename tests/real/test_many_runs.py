"""Forty runs at once on a machine of two cores, with two clocks; a web process, a worker and a clock are killed."""

import json
import signal
import subprocess
import sys

import pytest

from migrations_engine import pipeline
from migrations_engine.domain.states import RunState, StepState
from migrations_engine.models import MigrationRun, StepRun
from personas.models import AuditEntry
from personas.services.tokens import token_create
from tests.migrations_engine.conftest import world  # noqa: F401  a fixture
from tests.migrations_engine.estate import make_estate
from tests.real import instance
from tests.real.promises import require_promises

pytestmark = pytest.mark.once  # the embedded default has the least to lean on; see test_crash_servers for the other one
RUNS, KILLED_AFTER = 40, 30  # steps of 160
WORKER = "tests.real.played_worker"


@pytest.fixture
def estate(own_instance, world):  # noqa: F811
    return make_estate()


def test_forty_runs_at_once_survive_a_killed_web_process_a_killed_worker_and_a_killed_clock(estate):
    quick = {"PLAYED_PAUSE_S": "0", "LEASE_S": "15"}  # a queue of forty is no sign of a dead worker
    launch_and_be_killed(estate, "before")
    assert not MigrationRun.objects.exists() and not AuditEntry.objects.filter(action="migration.start").exists()
    launch_and_be_killed(estate, "after")
    assert MigrationRun.objects.get().state == RunState.QUEUED  # accepted, and no message was sent
    clocks = instance.clock(), instance.clock()
    killed, other = (instance.worker(WORKER, **quick) for _ in range(2))
    with instance.running(*clocks, killed, other):
        for number in range(1, RUNS):
            pipeline.run_start(**estate.launch(vm=estate.another_vm(f"web{number}")))
        instance.wait_until(lambda: done() >= KILLED_AFTER, "some steps are done", said=other.said)
        killed.kill()
        clocks[0].kill()
        for count in range(1, RUNS + 1):  # patience for each, not for all of them together
            instance.wait_until(lambda n=count: ended() >= n, f"{count} runs end", said=other.said, pause_s=0.2)
    runs = [require_promises(run) for run in MigrationRun.objects.all()]
    assert [run.root_cause for run in runs] == [""] * RUNS


def launch_and_be_killed(estate, when: str) -> None:
    """As an integration launches: by the API, whose process dies in the middle of the request."""
    token = token_create(by=estate.operator, name=when, scopes=["migrate"])[1]
    body = {"template": estate.template, "vm": estate.vm, "persona": estate.persona}
    asked = json.dumps({key: str(row.pk) for key, row in body.items()})
    died = subprocess.run(
        [sys.executable, "-m", "tests.real.dying_web", when, token, asked],
        cwd=instance.PROJECT, capture_output=True, text=True,
    )  # fmt: skip
    assert died.returncode == -signal.SIGKILL, died.stderr[-2000:]


def done() -> int:
    return StepRun.objects.filter(state=StepState.SUCCEEDED).count()


def ended() -> int:
    return MigrationRun.objects.filter(state__in=[RunState.SUCCEEDED, RunState.FAILED]).count()
