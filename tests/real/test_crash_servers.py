"""Redis is killed, Redis is emptied, PostgreSQL is killed and stopped `-m immediate` while runs are under way: each run
ends well, no step commits twice, nobody helps."""

import shutil
import signal
import time
from contextlib import contextmanager

import dj_database_url
import pytest
from django.core.management import call_command
from django.db import OperationalError, connections
from django.db.utils import load_backend

from migrations_engine.domain.states import RunState, StepState
from migrations_engine.models import MigrationRun, StepRun
from migrations_engine.services.runs import run_create
from tests.migrations_engine.conftest import world  # noqa: F401  a fixture
from tests.migrations_engine.estate import make_estate
from tests.real import instance
from tests.real.promises import require_promises

RUNS = 3


@contextmanager
def database(url):
    """`default` of this process is the database at `url`, migrated."""
    before = connections["default"]
    row = dj_database_url.parse(url)
    settings = connections.configure_settings({"default": row})["default"]
    connections["default"] = load_backend(row["ENGINE"]).DatabaseWrapper(settings, "default")
    try:
        call_command("migrate", verbosity=0)
        yield
    finally:
        connections["default"].close()
        connections["default"] = before


def patiently(question):
    """The database may be away for a moment."""
    try:
        return question()
    except OperationalError:
        connections["default"].close()
        return False


@pytest.mark.once
# a worker with messages in flight does not survive the loss of Redis (kombu 5.7 ends it with an AttributeError while it
# gives them back): its supervisor starts it again, as the units in deploy/ do
def test_runs_survive_killed_emptied_and_immediately_stopped_servers(
    redis_server,
    postgresql_server,
    django_db_blocker,
    world,  # noqa: F811
):
    servers = {"DATABASE_URL": postgresql_server.url, "CELERY_BROKER_URL": redis_server.url}
    with django_db_blocker.unblock(), database(postgresql_server.url):
        estate = make_estate()
        clock = instance.clock(**servers)
        worker = instance.worker("tests.real.played_worker", pool="threads", supervised=True, **servers)
        with instance.running(clock, worker):
            machines = [estate.another_vm(f"web{number}") for number in range(RUNS)]
            # no message is sent: the sweeper's to find
            ids = [run_create(**estate.launch(vm=vm)).pk for vm in machines]
            runs = MigrationRun.objects.filter(pk__in=ids)
            steps = StepRun.objects.filter(run__in=ids)
            instance.wait_until(
                lambda: steps.filter(state=StepState.RUNNING).exists(), "a step runs", said=worker.said
            )
            restart(redis_server)
            wait_for(steps.filter(name="migrate", state=StepState.RUNNING), "a copy runs", worker)
            restart(postgresql_server)
            wait_for(steps.filter(name="post_script", state=StepState.RUNNING), "a script runs", worker)
            restart(redis_server, emptied=True)
            restart_immediately(postgresql_server)
            instance.wait_until(
                lambda: patiently(lambda: all(run.has_ended for run in runs.all())),
                "all runs end",
                said=worker.said,
            )
        assert {run.state: run.root_cause for run in runs.all()} == {RunState.SUCCEEDED: ""}
        for run in runs.all():
            require_promises(run)


def restart(server, *, emptied: bool = False) -> None:
    """After a kill -9; `emptied`: what it had on disk is gone as well."""
    server.kill()
    if emptied:
        for folder in server.folder.iterdir():
            if folder.is_dir():
                shutil.rmtree(folder)
    time.sleep(1)
    server.start()


def restart_immediately(postgresql) -> None:
    """As `pg_ctl restart -m immediate`: it throws everybody out, writes nothing, and recovers at its start."""
    postgresql.process.send_signal(signal.SIGQUIT)
    postgresql.process.wait()
    postgresql.start()


def wait_for(rows, what: str, worker) -> None:
    instance.wait_until(lambda: patiently(rows.exists), what, said=worker.said)
