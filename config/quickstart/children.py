"""The web application, its worker and its clock as child processes that live exactly as long as we do."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

PATIENCE_S = 20  # how long a child may take to stop by itself
RESTARTS = 5  # within a minute; a child that ends more often has a cause that starting it again does not mend


class ChildFailed(Exception):
    """A child stops again and again; the message ends with the last line of its log."""


@dataclass
class Child:
    name: str
    command: list[str]
    log: Path
    process: subprocess.Popen | None = None
    started_at: list[float] = field(default_factory=list)

    def start(self) -> None:
        self.started_at.append(time.monotonic())
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                # dies with us even when we are killed with -9
                ["setpriv", "--pdeathsig", "TERM", *self.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches us only; we stop the children in order
            )

    def ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def restart(self) -> None:
        """Raises ChildFailed when it ends again and again."""
        self.started_at = [at for at in self.started_at if at > time.monotonic() - 60]
        if len(self.started_at) > RESTARTS:
            raise ChildFailed(f"The {self.name} keeps stopping ({self.log}): {self.last_line()}")
        self.start()

    def stop(self) -> None:
        if self.process is None or self.ended():
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def last_line(self) -> str:
        lines = self.log.read_bytes()[-4096:].decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "nothing in its log"


@dataclass
class Children:
    """`with Children(port, var) as children`: started one by one, stopped in the reverse order whatever happens."""

    port: int
    var: Path
    running: list[Child] = field(default_factory=list)

    def start(self, name: str) -> Child:
        logs = self.var / "log"
        logs.mkdir(mode=0o700, exist_ok=True)
        child = Child(name, COMMANDS[name](self.port), logs / f"{name}.log")
        child.start()
        self.running.append(child)
        return child

    def check(self) -> None:
        """Starts again what has ended, as systemd would: a worker whose broker was killed ends. Raises ChildFailed."""
        for child in self.running:
            if child.ended():
                child.restart()

    def wait_for_page(self, timeout_s: float = 60) -> None:
        """Returns when the web application answers. Raises ChildFailed."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            self.check()
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/livez", timeout=2):
                    return
            except (urllib.error.URLError, TimeoutError, ConnectionError):
                time.sleep(0.1)
        raise ChildFailed(
            f"The web application does not answer after {timeout_s:.0f} s; see {self.var}/log/web.log."
        )

    def __enter__(self):
        return self

    def __exit__(self, *error):
        while self.running:
            self.running.pop().stop()


def _celery(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "celery", "--quiet", "-A", "config.celery", *arguments]


COMMANDS = {
    "web": lambda port: [
        *(sys.executable, "-m", "gunicorn", "config.wsgi", "--bind", f"127.0.0.1:{port}"),
        *("--threads", "8", "--graceful-timeout", "5", "--no-control-socket", "--error-logfile", "-"),
    ],
    "worker": lambda port: _celery(
        *("worker", "--pool", "threads", "--concurrency", "4", "--loglevel", "WARNING"),
        *("--without-gossip", "--without-mingle", "--without-heartbeat"),
    ),
    "clock": lambda port: _celery("beat", "--loglevel", "WARNING", "--pidfile="),
}


def free_port(wanted: int | None) -> int:
    """The wanted port, or without a wish 8000 or the next free one. Raises OSError when the wanted one is taken."""
    for port in [wanted] if wanted is not None else range(8000, 8100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError(f"Port {wanted or '8000 to 8099'} on 127.0.0.1 is taken. Choose another: --port N")
