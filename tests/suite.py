"""`python3 manage.py test`: everything that must hold, in one command, with servers of its own.

python3 manage.py test                     all checks, then pytest on SQLite, then on PostgreSQL + Redis
python3 manage.py test PATH::NAME -x ...   just that pytest, on SQLite (--both: and on PostgreSQL + Redis)
python3 manage.py lint                     only the checks that need no server
"""

import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from config.bootstrap import debian
from config.bootstrap.progress import private_dir
from tests import servers

PROJECT = Path(__file__).resolve().parent.parent
REPORTS = PROJECT / "var" / "test"
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
GROWN = ("DATABASE_URL", "CELERY_BROKER_URL")  # each run sets its own
INTERRUPT_S = 60  # how long an interrupted part may take to clean up, QEMU guests included

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
    with ExitStack() as stack:
        var = stack.enter_context(tempfile.TemporaryDirectory(prefix="personas-lint-"))
        if not chosen:
            lint(suite, var)
            suite.check("shell scripts", SHELL_SCRIPTS, {})
        database = stack.enter_context(servers.postgresql())
        broker = stack.enter_context(servers.redis())
        grown = dict(zip(GROWN, (database.url, broker.url), strict=True))
        if not chosen:
            suite.check(
                "deployment settings", DEPLOY_CHECK, {**production(grown), "MIGRATION_PERSONAS_VAR": var}
            )
        suite.pytest("SQLite + files", chosen, {})
        suite.pytest("PostgreSQL + Redis", [*chosen, "-m", "not once"], grown)
    return suite.finish()


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

    def check(self, name: str, command: list[str], environment: Mapping[str, str]) -> None:
        """One check counts as one test. Its output is shown only where it fails."""
        started = time.monotonic()
        code, output = run(command, environment, captured=True)
        announce(f"{name}: {'ok' if code == 0 else 'FAILED'}")
        if code:
            print(output, flush=True)
        self.count(name, started, passed=int(code == 0), failed=int(code != 0))

    def pytest(self, name: str, arguments: list[str], environment: Mapping[str, str]) -> None:
        announce(f"pytest on {name}")
        started = time.monotonic()
        report = private_dir(REPORTS) / f"{name.split()[0].lower()}.xml"
        report.unlink(missing_ok=True)
        code, _ = run([PYTHON, "-m", "pytest", f"--junitxml={report}", *arguments], environment)
        counts = counted(report)
        if code and not counts["failed"]:
            counts["failed"] = 1  # it broke outside of a test: no report, nothing collected, a skip in CI
        self.count(f"pytest on {name}", started, **counts)

    def count(self, name: str, started: float, *, passed: int, failed: int, skipped: int = 0) -> None:
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


def run(command: list[str], environment: Mapping[str, str], *, captured: bool = False) -> tuple[int, str]:
    """Run `command`; `(exit code, output if captured)`. Interrupted, it waits for it to clean up."""
    inherited = {name: value for name, value in os.environ.items() if name not in GROWN}
    process = subprocess.Popen(
        command,
        env={**inherited, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if captured else None,
        stderr=subprocess.STDOUT if captured else None,
        text=True,
        start_new_session=True,  # Ctrl-C comes to us and is passed on once: twice would cut its cleaning short
    )
    try:
        output, _ = process.communicate()
    except BaseException:
        end(process)
        raise
    return process.returncode, output or ""


def end(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(INTERRUPT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def interrupt(number: int, frame) -> None:
    for again in ENDINGS:
        signal.signal(again, signal.SIG_IGN)  # cleaning up has begun
    raise SystemExit(128 + number)


def announce(text: str) -> None:
    print(f"== {text}", flush=True)
