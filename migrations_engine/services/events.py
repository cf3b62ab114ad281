"""The live log of a run: sentences for the people who watch it."""

import uuid

import structlog

from migrations_engine.models import RunEvent

log = structlog.get_logger(__name__)

MAX_CHARACTERS = 4000


def tell(run_id: uuid.UUID, text: str, *, step: str = "", level: str = "info") -> RunEvent:
    """`level`: info, warning or error."""
    log.info("run_event", run_id=str(run_id), step=str(step), level=level, text=text[:200])
    return RunEvent.objects.create(run_id=run_id, step=step, level=level, text=storable(text, MAX_CHARACTERS))


def storable(text: str, max_characters: int) -> str:
    """What a guest printed, fit for a column: PostgreSQL takes no NUL, and of a long text the end tells more."""
    clean = text.replace("\x00", "\N{SYMBOL FOR NULL}").encode("utf-8", "replace").decode()
    return clean if len(clean) <= max_characters else f"…{clean[-max_characters + 1 :]}"
