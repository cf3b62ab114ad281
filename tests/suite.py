"""`python3 manage.py test`: everything that must hold, in one command, with servers of its own.

python3 manage.py test                     all checks, then pytest on SQLite and on PostgreSQL + Redis
python3 manage.py test PATH::NAME -x ...   just that pytest, on SQLite (--both: and on PostgreSQL + Redis)
python3 manage.py lint                     only the checks that need no server
"""

import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from config.bootstrap import debian
from config.bootstrap.progress import private_dir
from tests import servers
from tests.lanes import Lanes

PROJECT = Path(__file__).resolve().parent.parent
REPORTS = PROJECT / "var" / "test"
GUESTS, BROWSERS = ["tests/real"], ["tests/journeys"]
# of the guests' time about half: a machine goes the whole way, from where it was to what became of it
MOVES = [f"tests/real/test_{name}.py" for name in ("agentless", "cutover", "migrate_*", "quickstart", "wa*")]
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
GROWN = ("DATABASE_URL", "CELERY_BROKER_URL")  # each part sets its own

PYTHON = sys.executable
LINT = {
    "ruff": [PYTHON, "-m", "ruff", "check", "."],
    "layers": [PYTHON, "-c", "from importlinter.cli import lint_imports_command as lint; lint()"],
    "schema migrations": [PYTHON, "manage.py", "makemigrations", "--check", "--dry-run"],
}
SHELL_SCRIPTS = [
    "sh",
    "-c",
    "git ls-files -z .ci deploy '*.sh' | xargs -0 grep -lZ '^#!.*sh' | xargs -0 shellcheck",
]
DEPLOY_CHECK = [PYTHON, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]


def main(command: str, arguments: list[str]) -> int:
    """The exit code for the process: 0 only when every part succeeded."""
    if command == "test" and {"-h", "--help"} & set(arguments):
        print(__doc__)
        return 0
    for number in ENDINGS:
        signal.signal(number, interrupt)
    os.chdir(PROJECT)
    if command == "lint":
        with tempfile.TemporaryDirectory(prefix="personas-lint-") as var:
            suite = Suite()
            lint(suite, var)
            return suite.finish()
    debian.ensure(["run", "full_guest", "test"])
    both = "--both" in arguments
    chosen = [argument for argument in arguments if argument != "--both"]
    if chosen and not both:
        os.execv(PYTHON, [PYTHON, "-m", "pytest", *chosen])
    try:
        return run_everything(chosen)
    except servers.ServerFailed as failure:
        sys.exit(str(failure))


def run_everything(chosen: list[str]) -> int:
    suite = Suite()
    if not chosen:
        with tempfile.TemporaryDirectory(prefix="personas-lint-") as var:
            lint(suite, var)
            suite.check("shell scripts", SHELL_SCRIPTS, {})
            with grown() as ours:
                suite.check(
                    "deployment settings", DEPLOY_CHECK, {**production(ours), "MIGRATION_PERSONAS_VAR": var}
                )
    suite.pytest_all(parts_of(chosen))
    return suite.finish()


@dataclass(frozen=True)
class Part:
    """One pytest. `grown`: on a PostgreSQL and a Redis of its own, and only what asks for the database."""

    name: str
    arguments: list[str]
    grown: bool = False

    @property
    def report(self) -> Path:
        return private_dir(REPORTS) / f"{re.sub(r'[^a-z]+', '-', self.name.lower())}.xml"


def parts_of(chosen: list[str]) -> list[Part]:
    """What was chosen, on both databases; else everything, in the order in which both lanes end together.

    The long ones first; and beside one that emulates guests rather one that does not: a starved guest boots for ever.
    """
    if chosen:
        return [Part("SQLite", chosen), Part("PostgreSQL", chosen, grown=True)]
    code = [f"--ignore={folder}" for folder in (*GUESTS, *BROWSERS)]
    moves = sorted(str(file.relative_to(PROJECT)) for pattern in MOVES for file in PROJECT.glob(pattern))
    return [
        Part("moves, SQLite", moves),
        Part("code, SQLite", code),
        Part("guests, SQLite", [*GUESTS, *(f"--ignore-glob={pattern}" for pattern in MOVES)]),
        Part("browsers, SQLite", BROWSERS),
        Part("code, PostgreSQL", code, grown=True),
        Part("machines, PostgreSQL", [*GUESTS, *BROWSERS], grown=True),
    ]


@contextmanager
def grown() -> Iterator[dict[str, str]]:
    """The environment that leads to a new PostgreSQL and a new Redis."""
    with servers.postgresql() as database, servers.redis() as broker:
        yield dict(zip(GROWN, (database.url, broker.url), strict=True))


def lint(suite: "Suite", var: str) -> None:
    for name, command in LINT.items():
        suite.check(name, command, {"MIGRATION_PERSONAS_VAR": var})


def production(servers_of_ours: Mapping[str, str]) -> dict[str, str]:
    """The environment of a real installation, as in deploy/env.example."""
    return {
        **servers_of_ours,
        "SECRET_KEY": secrets.token_urlsafe(64),
        "ALLOWED_HOSTS": "personas.example.org",
        "CSRF_TRUSTED_ORIGINS": "https://personas.example.org",
        "HTTPS": "1",
    }


@dataclass
class Suite:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    failures: list[str] = field(default_factory=list)
    took: dict[str, float] = field(default_factory=dict)  # seconds
    _counting: threading.Lock = field(default_factory=threading.Lock)

    def check(self, name: str, command: list[str], environment: Mapping[str, str]) -> None:
        """One check counts as one test. Its output is shown only where it fails."""
        started = time.monotonic()
        answer = subprocess.run(
            command,
            env={**without_servers(), **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        failed = answer.returncode != 0
        announce(f"{name}: {'FAILED' if failed else 'ok'}")
        if failed:
            print(answer.stdout, flush=True)
        self.count(name, started, passed=int(not failed), failed=int(failed))

    def pytest_all(self, parts: list[Part]) -> None:
        lanes = Lanes()
        lanes.run(parts, lambda part: self.pytest(part, lanes))

    def pytest(self, part: Part, lanes: Lanes) -> None:
        announce(f"{part.name}: begins")
        started = time.monotonic()
        part.report.unlink(missing_ok=True)
        command = [PYTHON, "-m", "pytest", f"--junitxml={part.report}", *part.arguments]
        with ExitStack() as stack:
            own = {}
            if part.grown:
                command += ["-m", "not once"]
                own = stack.enter_context(grown())
            code = lanes.relay(part.name, command, without_servers() | own)
        counts = counted(part.report)
        if code and not counts["failed"]:
            counts["failed"] = 1  # it broke outside of a test: no report, nothing collected, a skip in CI
        announce(f"{part.name}: {'ok' if code == 0 else 'FAILED'}")
        self.count(part.name, started, **counts)

    def count(self, name: str, started: float, *, passed: int, failed: int, skipped: int = 0) -> None:
        with self._counting:
            self.took[name] = time.monotonic() - started
            self.passed += passed
            self.failed += failed
            self.skipped += skipped
            if failed:
                self.failures.append(name)

    def finish(self) -> int:
        if self.failures:
            announce(f"failed: {', '.join(self.failures)}")
        announce("took: " + ", ".join(f"{name} {seconds:.0f} s" for name, seconds in self.took.items()))
        announce("all of them together:")
        skips = f", {self.skipped} skipped" if self.skipped else ""
        print(f"{self.passed} passed, {self.failed} failed{skips}", flush=True)
        return 1 if self.failed else 0


def counted(report: Path) -> dict[str, int]:
    """`{passed, failed, skipped}` from pytest's own JUnit report; all 0 where it wrote none."""
    if not report.exists():
        return {"passed": 0, "failed": 0, "skipped": 0}
    suite = ElementTree.parse(report).getroot().find("testsuite")
    total, skipped = int(suite.get("tests")), int(suite.get("skipped"))
    failed = int(suite.get("failures")) + int(suite.get("errors"))
    return {"passed": total - failed - skipped, "failed": failed, "skipped": skipped}


def without_servers() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in GROWN}


def interrupt(number: int, frame) -> None:
    for again in ENDINGS:
        signal.signal(again, signal.SIG_IGN)  # cleaning up has begun
    raise SystemExit(128 + number)


def announce(text: str) -> None:
    print(f"== {text}", flush=True)
