"""Tells people by the services that the operator allows, from a process that is kept from our own network."""

import json
import subprocess
import sys
from typing import Any

from django.conf import settings

from migrations_engine.domain.notifications import scheme_of, secret_parts
from migrations_engine.domain.redaction import redacted_text
from personas.errors import BadInput, Refused

TIMEOUT_S = 30


def require_allowed(url: str) -> str:
    """The address as it may be shown. Raises BadInput."""
    scheme = scheme_of(url)
    if not scheme:
        raise BadInput({"url": ["Write the service's address as Apprise does, as in mailtos://… or slack://…"]})
    if scheme not in settings.NOTIFY_SCHEMES:
        told = ", ".join(sorted(settings.NOTIFY_SCHEMES)) or "none"
        raise BadInput({"url": [f"{scheme}:// is not allowed by the operator; allowed: {told}."]})
    answer = _child(url)
    if answer["error"]:
        raise BadInput({"url": [answer["error"]]})
    return answer["shown"][:500]


def notify(url: str, *, title: str, body: str) -> None:
    """Raises Refused with the reason, without what is secret in the address."""
    answer = _child(url, title=title, body=body)
    if answer["error"]:
        raise Refused(redacted_text(answer["error"], secret_parts(url))[:300])


def _child(url: str, **message: str) -> dict[str, str]:
    asked: dict[str, Any] = {
        "url": url,
        "schemes": sorted(settings.NOTIFY_SCHEMES),
        "networks": [str(network) for network in settings.OUTBOUND_PRIVATE_NETWORKS],
        **message,
    }
    try:
        done = subprocess.run(
            [sys.executable, "-m", "migrations_engine.notify_child"],
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            cwd=settings.BASE_DIR,
            env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},  # no proxy, no key of ours
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Refused(f"The service takes longer than {TIMEOUT_S} s.") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise Refused(f"It could not be told: {redacted_text(last, secret_parts(url))}"[:300])
    return json.loads(done.stdout)
