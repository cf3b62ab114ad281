"""What people are told in words, and by which services. Pure."""

import re
from collections.abc import Mapping
from typing import Any

SCHEME = re.compile(r"^([a-z][a-z0-9]{1,31})://[^\s\x00-\x1f]+$")
TITLES = {
    "run.started": "{vm}: the {what} has begun",
    "run.confirming": "{vm}: the {what} waits for somebody to confirm it",
    "run.succeeded": "{vm}: the {what} succeeded",
    "run.failed": "{vm}: the {what} failed",
    "run.cancelled": "{vm}: the {what} was cancelled",
    "run.rolled_back": "{vm}: the {what} was rolled back",
    "wave.approval": "Wave {name} waits for approval",
    "wave.stopped": "Wave {name} has stopped",
    "wave.finished": "Wave {name} is finished",
    "test": "A test of {webhook}",
}


def scheme_of(url: str) -> str:
    """Empty where it is no address of a service."""
    found = SCHEME.match(url)
    return found[1] if found else ""


def message(payload: Mapping[str, Any]) -> tuple[str, str]:
    """(title, text) of an event, as `services.webhooks` writes it."""
    data = {**payload["data"]}
    data["what"] = "test migration" if data.get("mode") == "test" else "migration"
    pattern = TITLES.get(payload["type"], payload["type"])
    title = re.sub(r"\{(\w+)\}", lambda part: str(data.get(part[1], "")), pattern)
    title += " (a drill)" if data.get("drill") else ""
    told = [data.get("root_cause"), data.get("reason"), f"Department: {data.get('department', '–')}"]
    ids = [f"{kind.capitalize()}: {data[kind]}" for kind in ("run", "wave") if kind in data]
    return title, "\n".join(line for line in [*told, *ids] if line)


def secret_parts(url: str) -> list[str]:
    """What of a service's address may be a secret: everything in it that is longer than a word."""
    parts = re.split(r"[/:@?&=,]+", url.partition("://")[2])
    return [url, *(part for part in parts if len(part) >= 6)]
