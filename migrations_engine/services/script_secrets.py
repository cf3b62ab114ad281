"""Hands a run the secrets that its script names, and leaves a trace of that."""

from typing import Any

from django.db import transaction

from migrations_engine.models import MigrationRun
from migrations_engine.services.events import tell
from personas.models import Secret
from personas.services.audit import record
from personas.services.secrets import secret_values


def secrets_delivered(*, run: MigrationRun, script: dict[str, Any]) -> dict[str, str]:
    """{variable: value}. Raises Refused where one of them is gone."""
    asked: dict[str, str] = script.get("secrets") or {}
    if not asked:
        return {}
    values = secret_values(department=run.department, slugs=asked.values())
    told = {"run": str(run.pk), "script": script["name"], "revision": script["revision"]}
    with transaction.atomic():
        for secret in Secret.objects.filter(department=run.department, slug__in=values):
            record(by=None, action="secret.deliver", obj=secret, after=told)
        tell(run.pk, f"{script['name']} is given the secrets {', '.join(sorted(values))}.", step="")
    return {name: values[slug] for name, slug in asked.items()}
