"""`/readyz` says 503 and why where the process could not do its work."""

from datetime import timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone
from kombu import Connection

from analyzer.models.scan import ScanState
from config import health
from migrations_engine import pipeline
from migrations_engine.models import StepRun
from tests.factories import make_scan
from tests.migrations_engine.conftest import estate, world

__all__ = ["estate", "world"]
pytestmark = pytest.mark.django_db


def ready(client) -> tuple[int, dict]:
    answer = client.get("/readyz")
    return answer.status_code, answer.json()["checks"]


def ago(**much):
    return timezone.now() - timedelta(**much)


def test_all_is_well(client):
    assert ready(client) == (200, {"database": "ok", "broker": "ok", "sweeper": "ok"})


def test_a_broker_that_is_gone(client, monkeypatch):
    nowhere = Connection("redis://127.0.0.1:9/0")  # the discard port: nobody listens
    monkeypatch.setattr(health.app, "connection_for_write", lambda: nowhere)
    status, checks = ready(client)
    assert (status, checks["broker"]) == (503, "failed: OperationalError")
    assert checks["sweeper"] == "ok"


def test_a_database_that_is_gone(client, monkeypatch):
    def gone():
        raise OperationalError("server closed the connection")

    monkeypatch.setattr(health.connection, "cursor", gone)
    status, checks = ready(client)
    assert (status, checks["database"], checks["sweeper"]) == (503, "failed: OperationalError", "not checked")


@pytest.mark.parametrize(("late", "status"), [({"seconds": 30}, 200), ({"hours": 1}, 503)])
def test_a_step_that_nobody_took_over(client, estate, late, status):
    run = pipeline.run_start(**estate.launch())
    StepRun.objects.filter(run=run, name="analyze").update(state="running", lease_until=ago(**late))
    found, checks = ready(client)
    assert found == status
    assert ("nobody took it over" in checks["sweeper"]) is (status == 503)


@pytest.mark.parametrize("state", [ScanState.QUEUED, ScanState.RUNNING])
@pytest.mark.parametrize(("late", "status"), [({"seconds": 30}, 200), ({"hours": 1}, 503)])
def test_a_scan_that_nobody_took_over(client, state, late, status):
    make_scan(state=state, lease_until=ago(**late))
    found, checks = ready(client)
    assert found == status
    assert ("nobody took it over" in checks["sweeper"]) is (status == 503)


def test_the_oldest_lease_is_told(client, estate):
    run = pipeline.run_start(**estate.launch())
    StepRun.objects.filter(run=run, name="analyze").update(state="running", lease_until=ago(hours=1))
    make_scan(state=ScanState.RUNNING, lease_until=(oldest := ago(hours=2)))
    assert f"{oldest:%Y-%m-%dT%H:%M:%SZ}" in ready(client)[1]["sweeper"]


def test_a_scan_that_ended_keeps_nobody_waiting(client):
    make_scan(state=ScanState.COMPLETE, lease_until=ago(hours=1))
    assert ready(client)[0] == 200
