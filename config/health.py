"""`/livez`: the process answers. `/readyz`: it can do its work — database, broker, no step or scan left unswept."""

from datetime import timedelta

from django.db import DatabaseError, connection
from django.db.models import Min
from django.http import JsonResponse
from django.utils import timezone
from kombu.exceptions import KombuError

from analyzer.models import Scan
from config.celery import app
from migrations_engine.domain.states import StepState
from migrations_engine.models import StepRun

UNSWEPT = timedelta(
    seconds=60
)  # the sweeper looks every few seconds: a minute late means that it does not run


def livez(request):
    return JsonResponse({"status": "ok"})


def readyz(request):
    checks = {"database": _database(), "broker": _broker()}
    checks["sweeper"] = _sweeper() if checks["database"] == "ok" else "not checked"
    ready = all(result == "ok" for result in checks.values())
    return JsonResponse(
        {"status": "ok" if ready else "not ready", "checks": checks}, status=200 if ready else 503
    )


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        return f"failed: {type(error).__name__}"
    return "ok"


def _broker() -> str:
    try:
        with app.connection_for_write() as broker:
            broker.ensure_connection(max_retries=1, timeout=2)
    except (OSError, KombuError) as error:
        return f"failed: {type(error).__name__}"
    return "ok"


def _sweeper() -> str:
    since = timezone.now() - UNSWEPT
    late = (StepRun.objects.filter(state=StepState.RUNNING, lease_until__lt=since), Scan.objects.overdue(since))
    leases = [rows.aggregate(oldest=Min("lease_until"))["oldest"] for rows in late]
    oldest = min(filter(None, leases), default=None)
    return (
        "ok"
        if oldest is None
        else f"failed: a lease ran out at {oldest:%Y-%m-%dT%H:%M:%SZ} and nobody took it over"
    )
