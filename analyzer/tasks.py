"""The legs: a message carries an id, the service does the work, the database knows the outcome."""

import structlog
from celery import shared_task
from django.db import transaction
from kombu.exceptions import OperationalError

from analyzer.services.discovery import discoveries_overdue, source_discover_queued
from analyzer.services.scans import QUEUE_S, scan_work, scans_sweep

log = structlog.get_logger(__name__)


@shared_task(name="analyzer.scan")
def scan(scan_id: str) -> None:
    scan_work(scan_id=scan_id)


@shared_task(name="analyzer.discover")
def discover(source_id: str) -> None:
    source_discover_queued(source_id=source_id)


@shared_task(name="analyzer.sweep")
def sweep() -> None:
    for scan_id in scans_sweep():
        send_scan(scan_id)
    for source_id in discoveries_overdue():
        send_discovery(source_id)


def send_scan(scan_id) -> None:
    """After the transaction that queued it. The message expires when the sweeper would send the next one."""
    transaction.on_commit(lambda: _send(scan, scan_id))


def send_discovery(source_id) -> None:
    transaction.on_commit(lambda: _send(discover, source_id))


def _send(task, row_id) -> None:
    try:
        task.apply_async((str(row_id),), expires=QUEUE_S)
    except OperationalError as error:  # the broker is away: the row is queued, and the sweeper sends it later
        log.warning("message_not_sent", task=task.name, row=str(row_id), error=str(error))
