"""A running instance for a test: its database and broker are the product's own, and its workers are real processes.

With nothing set: SQLite and the filesystem broker below this test process's `var`; in the second run of the suite
PostgreSQL and Redis. The test process talks to the same database: what it writes, the workers see.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlparse

from django.conf import settings
from django.core.management import call_command
from django.db import connections

PROJECT = Path(__file__).resolve().parent.parent.parent
LEASE_S = 3
START_AGAIN = 'while :; do setpriv --pdeathsig KILL "$@"; sleep 1; done'
DYING_S = 3
WAIT_S = 240  # two busy cores, emulation: far above what a guest takes, below the test's own limit


@contextmanager
def own_database() -> Iterator[None]:
    """`default` is the database that worker processes see, empty and migrated, instead of pytest's."""
    pytests = connections["default"]
    ours = pytests.copy()
    if ours.vendor == "sqlite":
        ours.settings_dict["NAME"] = str(settings.VAR_DIR / "db.sqlite3")
    else:
        ours.settings_dict["NAME"] = urlparse(os.environ["DATABASE_URL"]).path.lstrip("/")
    connections["default"] = ours
    try:
        call_command("migrate", verbosity=0)
        call_command("flush", interactive=False, verbosity=0)
        yield
    finally:
        ours.close()
        connections["default"] = pytests


class Process:
    """A process group, killed whole. `supervised`: started again when it ends, as systemd and compose do."""

    def __init__(self, name: str, arguments: list[str], *, supervised: bool = False, **environment: str):
        supervisor = ["sh", "-c", START_AGAIN, "supervisor"] if supervised else []
        self.name, self.log = name, settings.VAR_DIR / f"{name}.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *supervisor, sys.executable, "-m", "celery", *arguments],
                cwd=PROJECT,
                env={**os.environ, "LEASE_S": str(LEASE_S), **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self) -> None:
        """kill -9, children included."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it ended by itself
        self.process.wait()

    def said(self) -> str:
        return self.log.read_text(errors="replace")[-6000:]


def worker(
    app: str = "config.celery", pool: str = "", *, supervised: bool = False, **environment: str
) -> Process:
    """Threads with SQLite, as in quickstart; prefork with PostgreSQL and Redis, as in production."""
    pool = pool or ("prefork" if os.environ.get("DATABASE_URL") else "threads")
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    arguments = ["--quiet", "-A", app, "worker", "-P", pool, "-c", "2", "-l", "WARNING", *quiet]
    return Process("worker", arguments, supervised=supervised, **environment)


def clock(**environment: str) -> Process:
    schedule = ["-s", str(settings.VAR_DIR / f"beat-{time.monotonic_ns()}"), "--pidfile="]
    return Process(
        "clock", ["--quiet", "-A", "config.celery", "beat", "-l", "WARNING", *schedule], **environment
    )


@contextmanager
def running(*processes: Process) -> Iterator[None]:
    try:
        yield
    finally:
        for process in processes:
            process.kill()


def wait_until(
    condition: Callable[[], bool], what: str, *, said: Callable[[], str] = str, pause_s: float = 0.02
) -> None:
    """Raises AssertionError with `what` and what was said when it does not become true."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}\n{said()}"
        time.sleep(pause_s)


def left_behind(path: Path) -> list[str]:
    """What `processes_that_name` still finds when everything that was killed has had time to be gone.

    A sandbox that was just starting when its worker was killed has not yet asked to die with it; it ends at its first
    word to nobody. tests/real/test_qemu_copy.py kills a worker in the middle of a long copy.
    """
    deadline = time.monotonic() + DYING_S
    while (found := processes_that_name(path)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def processes_that_name(path: Path) -> list[str]:
    """Command lines of living processes that have `path` in them, or run in a folder below it."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            folder = os.readlink(entry / "cwd")
        except OSError:
            continue  # it ended while we looked
        if not line:
            continue  # it is ending: its memory is gone, its folder not yet
        if int(entry.name) != os.getpid() and (str(path) in line or folder.startswith(str(path))):
            found.append(line)
    return found
