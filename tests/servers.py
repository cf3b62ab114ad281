"""A PostgreSQL and a Redis of one's own: private data, a free loopback port, a password, gone afterwards.

    with servers.postgresql() as database, servers.redis() as broker:
        database.url, broker.url            # for DATABASE_URL and CELERY_BROKER_URL
        broker.kill(); broker.start()       # what a crash test does: same port, same data

Standard library only: the test command starts them before anything else runs.
"""

import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

START_S = 60  # on two busy cores initdb and the first start take seconds
STOP_S = 30


class ServerFailed(Exception):
    """A server did not start; carries the end of its log."""


@dataclass
class Server:
    name: str
    command: list[str]
    folder: Path
    port: int
    url: str
    answers: Callable[[], bool]
    stop_signal: signal.Signals = signal.SIGTERM
    process: subprocess.Popen | None = field(default=None, repr=False)

    def start(self) -> None:
        """Returns when the server answers. Raises ServerFailed."""
        with (self.folder.parent / "server.log").open("ab") as log:
            # a session of its own, so that Ctrl-C reaches the tests first and the servers stop last
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + START_S
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise ServerFailed(f"{self.name} did not start:\n{self.log()[-2000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(self.stop_signal)
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """As a crash would: SIGKILL to the server and its children, nothing flushed."""
        if self.process:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # it has ended by itself
            self.process.wait()

    def log(self) -> str:
        return (self.folder.parent / "server.log").read_text(errors="replace")


@contextmanager
def postgresql() -> Iterator[Server]:
    """A PostgreSQL with an empty database `personas` of a superuser with that name. Raises ServerFailed."""
    programs = newest_postgresql()
    with private_folder("postgresql", unprivileged_account("postgres")) as (folder, as_account):
        password, port = secrets.token_hex(16), free_port()
        password_file = folder.parent / "password"
        password_file.write_text(password)
        give(password_file, folder)
        initdb = [programs / "initdb", "-D", folder, "-U", "personas", "--encoding=UTF8", "--locale=C.UTF-8"]
        quick = ["--no-sync", "--auth=scram-sha-256", f"--pwfile={password_file}"]
        run([*as_account, *initdb, *quick], {})
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": port,
            "unix_socket_directories": folder,
            "fsync": "off",  # test data need not survive a power cut; they do survive kill -9 of the server
            "max_connections": 300,  # test_order_races.py opens 200 at once
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        ask = [
            programs / "psql",
            "-w",
            "-h",
            "127.0.0.1",
            "-p",
            port,
            "-U",
            "personas",
            "-d",
            "postgres",
            "-qc",
        ]
        credentials = {"PGPASSWORD": password}
        server = Server(
            name="PostgreSQL",
            command=strings([*as_account, programs / "postgres", "-D", folder, *options]),
            folder=folder,
            port=port,
            url=f"postgres://personas:{password}@127.0.0.1:{port}/personas",
            answers=lambda: succeeds([*ask, "select 1"], credentials),
            stop_signal=signal.SIGINT,  # "fast": does not wait for clients to leave
        )
        with running(server):
            run([*ask, "create database personas"], credentials)
            yield server


@contextmanager
def redis(*options: str) -> Iterator[Server]:
    """A Redis that keeps nothing on disk unless told to (`"--appendonly", "yes"`). Raises ServerFailed."""
    with private_folder("redis", unprivileged_account("redis")) as (folder, as_account):
        password, port = secrets.token_hex(16), free_port()
        settings = folder / "redis.conf"  # a file, so that the password is not in the list of processes
        settings.write_text(f'bind 127.0.0.1\nport {port}\ndir "{folder}"\nsave ""\nrequirepass {password}\n')
        give(settings, folder)
        server = Server(
            name="Redis",
            command=strings([*as_account, "redis-server", settings, *options]),
            folder=folder,
            port=port,
            url=f"redis://:{password}@127.0.0.1:{port}/0",
            answers=lambda: redis_answers(port, password),
        )
        with running(server):
            yield server


@contextmanager
def running(server: Server) -> Iterator[None]:
    try:
        server.start()
        yield
    finally:
        server.stop()


@contextmanager
def private_folder(name: str, account: str | None) -> Iterator[tuple[Path, list[str]]]:
    """A data folder for its server's account only, and the prefix that runs a command as that account.

    The prefix also ends the command when this process dies, however it dies.
    """
    top = Path(tempfile.mkdtemp(prefix=f"personas-{name}-"))
    folder = top / "data"
    folder.mkdir(mode=0o700)
    prefix = ["setpriv", "--pdeathsig", "KILL"]
    if account:
        shutil.chown(folder, account)
        top.chmod(0o711)  # its account passes through; nobody else can list it
        prefix += [f"--reuid={account}", f"--regid={pwd.getpwnam(account).pw_gid}", "--init-groups"]
    try:
        yield folder, prefix
    finally:
        shutil.rmtree(top, ignore_errors=True)


def unprivileged_account(preferred: str) -> str | None:
    """PostgreSQL refuses to run as root: root lends its server another account. None: stay who we are."""
    if os.geteuid() != 0:
        return None
    return preferred if any(row.pw_name == preferred for row in pwd.getpwall()) else "nobody"


def give(file: Path, folder: Path) -> None:
    file.chmod(0o600)
    if os.geteuid() == 0:
        shutil.chown(file, folder.stat().st_uid)


def newest_postgresql() -> Path:
    """The folder of the server's programs, which Debian keeps off the PATH. Raises ServerFailed."""
    folders = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if folders:
        return max(folders, key=lambda folder: int(re.sub(r"\D", "", folder.parent.name) or 0))
    if program := shutil.which("initdb"):
        return Path(program).resolve().parent
    raise ServerFailed("PostgreSQL's server is not installed: package postgresql")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def redis_answers(port: int, password: str) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(f"AUTH {password}\r\nPING\r\n".encode())
            answer = b""
            while b"+PONG" not in answer and (part := connection.recv(100)):
                answer += part
        return b"+PONG" in answer
    except OSError:
        return False  # not listening yet


def succeeds(command: list, environment: dict[str, str]) -> bool:
    return ended(command, environment).returncode == 0


def run(command: list, environment: dict[str, str]) -> None:
    answer = ended(command, environment)
    if answer.returncode:
        raise ServerFailed(f"{command[-1]}: {answer.stdout[-500:]}{answer.stderr[-1500:]}")


def ended(command: list, environment: dict[str, str]) -> subprocess.CompletedProcess:
    # in /, because the server's account may not enter the folder that we are in
    return subprocess.run(
        strings(command),
        env={**os.environ, **environment},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )


def strings(command: list) -> list[str]:
    return [str(part) for part in command]
