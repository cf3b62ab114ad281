"""Everything about one run that helps somebody else to understand it, and nothing that opens a door."""

import io
import json
import platform
import zipfile
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.db import connection

from migrations_engine.domain.redaction import redacted, redacted_text
from migrations_engine.domain.script_delivery import secret_words
from migrations_engine.models import MigrationRun
from migrations_engine.services.receipt import receipt_of
from personas.services.secrets import secret_values_known

MOST_EVENTS = 5000
PLAN_PARTS = ("schema_version", "vm", "template", "personas", "use_case", "target", "merged", "scan", "kernel",
              "machine", "enforcement", "concerns", "changes", "unknown")  # fmt: skip
SECRET_SETTINGS = ("SECRET_KEY", "CREDENTIALS_KEY", "RECEIPT_KEY", "SIGNING_SECRET", "STRIPE_SECRET_KEY",
                   "STRIPE_WEBHOOK_SECRET", "CELERY_BROKER_URL")  # fmt: skip
README = """What is in here: run.json (its signed receipt, redacted: the signature does not fit any more), plan.json,
steps.json, events.txt, versions.json. Scripts are named by their SHA-256; their text is not in here. What looked like a
secret was replaced by [redacted]; read it once yourself before you send it to anybody.
"""


def support_bundle(run: MigrationRun) -> bytes:
    """A ZIP."""
    known = [*_known_secrets(), *secret_words(secret_values_known(department=run.department))]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, content in _files(run):
            if isinstance(content, str):
                bundle.writestr(name, redacted_text(content, known))
            else:
                bundle.writestr(name, json.dumps(redacted(content, known), indent=2, ensure_ascii=False))
    return packed.getvalue()


def _files(run: MigrationRun) -> Iterator[tuple[str, Any]]:
    yield "README.txt", README
    yield "run.json", receipt_of(run)
    yield (
        "plan.json",
        {part: run.plan[part] for part in PLAN_PARTS if part in run.plan}
        | {
            "scripts": [
                {name: row[name] for name in ("name", "revision", "sha256")} for row in run.plan["scripts"]
            ]
        },
    )
    yield "steps.json", [_step(step) for step in run.steps.all()]
    newest = list(run.events.order_by("-id")[:MOST_EVENTS])
    yield (
        "events.txt",
        "\n".join(f"{e.at:%Y-%m-%dT%H:%M:%SZ} {e.level:<7} {e.step:<11} {e.text}" for e in newest[::-1]),
    )
    yield "versions.json", _versions()


def _step(step) -> dict[str, Any]:
    columns = ("name", "state", "attempt", "retries", "percent", "message", "error", "result")
    times = {name: str(getattr(step, name)) for name in ("started_at", "finished_at", "lease_until")}
    return {name: getattr(step, name) for name in columns} | times


def _versions() -> dict[str, str]:
    import django

    return {
        "python": platform.python_version(),
        "django": django.get_version(),
        "system": platform.platform(),
        "database": f"{connection.vendor} {'.'.join(map(str, connection.get_database_version()))}",
        "broker": settings.CELERY_BROKER_URL.partition(":")[0],
    }


def _known_secrets() -> list[str]:
    found = [str(getattr(settings, name, "") or "") for name in SECRET_SETTINGS]
    return [*found, str(connection.settings_dict.get("PASSWORD") or "")]
