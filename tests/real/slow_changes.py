"""A worker that takes its time over what changed, so that a test can kill it there: `celery -A` this."""

import time

from analyzer.sources.libvirt import changes
from config.celery import app

__all__ = ["app"]

PAUSE_S = 4.0
_applied = changes._applied


def slowly(*arguments):
    """The changes are written, and nobody knows of it yet."""
    found = _applied(*arguments)
    time.sleep(PAUSE_S)
    return found


changes._applied = slowly
