"""Messages to the workers: a task's name and a row's id, sent when the row is committed."""

import structlog
from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

EXPIRES_S = 120  # by then the sweeper sends the next one: of a row, one message lives

log = structlog.get_logger(__name__)


def send_on_commit(task: str, row_id) -> None:
    """`task` by name, because tasks call services and not the other way round. A broker that is away stops nobody: the
    row says what is to be done, and the sweeper sends it later."""
    transaction.on_commit(lambda: _send(task, str(row_id)))


def _send(task: str, row_id: str) -> None:
    try:
        current_app.send_task(task, (row_id,), expires=EXPIRES_S)
    except OperationalError as error:
        log.warning("message_not_sent", task=task, row=row_id, error=str(error))
