"""A worker whose scans take their time, so that a test can kill it in the middle of one: `celery -A` this."""

import time

from analyzer.scanner import scan
from config.celery import app

__all__ = ["app"]

PAUSE_S = 60  # longer than any test waits before it kills
read = scan.scan_disks


def read_slowly(disks):
    facts = read(disks)
    time.sleep(PAUSE_S)
    return facts


scan.scan_disks = read_slowly  # before the services import it: Celery loads the tasks later
