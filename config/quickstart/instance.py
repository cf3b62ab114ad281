"""One quickstart at a time works on a `var/`: two supervisors would start two of everything."""

import fcntl
import os
from contextlib import contextmanager
from pathlib import Path


class AlreadyRunning(Exception):
    """Another quickstart holds this `var/`."""


@contextmanager
def only_instance(var: Path):
    """Holds the lock while the block runs; the kernel lets go of it when we die. Raises AlreadyRunning."""
    with (var / "quickstart.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise AlreadyRunning(
                f"A quickstart is already running on {var} (process {lock.read().strip() or 'unknown'}). "
                "Stop it first, or set MIGRATION_PERSONAS_VAR to another directory."
            ) from None
        lock.seek(0)
        lock.truncate()
        lock.write(str(os.getpid()))
        lock.flush()
        yield
