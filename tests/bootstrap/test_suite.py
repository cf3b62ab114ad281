"""The test command itself: what it counts, what it lets pass, how it ends."""

import os
import signal
import subprocess
import sys
import threading
from fnmatch import fnmatch
from functools import partial

import pytest

from config.bootstrap.progress import ROOT
from tests import servers, suite
from tests.lanes import Lanes

SAMPLE = """
import pytest

def test_pure(): pass

@pytest.mark.both
def test_pure_but_marked(): pass

@pytest.mark.django_db
def test_marked(): pass

def test_asking(db): pass

def test_asking_indirectly(client, transactional_db): pass
"""

PATIENT = """
import time
try:
    print('working', flush=True)
    time.sleep(600)
except KeyboardInterrupt:
    print('cleaned up', flush=True)
"""


@pytest.fixture
def pytest_on(tmp_path):
    """Run the project's pytest, configuration and hooks included, on one file of tests."""

    def run(text: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
        (tmp_path / "test_sample.py").write_text(text)
        configured = ["-c", ROOT / "pyproject.toml", "--rootdir", ROOT, "-p", "tests.conftest"]
        clean = {
            name: value for name, value in os.environ.items() if name not in ("CI", "DJANGO_SETTINGS_MODULE")
        }
        return subprocess.run(
            [sys.executable, "-m", "pytest", *configured, *arguments, tmp_path / "test_sample.py"],
            cwd=ROOT,
            env={**clean, **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_the_second_run_repeats_only_what_asks_for_the_database(pytest_on):
    answer = pytest_on(SAMPLE, "-m", "not once", "--collect-only", "-q")
    names = {line.split("::")[1] for line in answer.stdout.splitlines() if "::" in line}
    assert names == {"test_pure_but_marked", "test_marked", "test_asking", "test_asking_indirectly"}


def test_a_skip_fails_in_ci_and_is_printed_with_its_reason(pytest_on):
    sample = "import pytest\ndef test_a(): pytest.skip('no such device')\n"
    here, ci = pytest_on(sample), pytest_on(sample, CI="true")
    assert (here.returncode, ci.returncode) == (0, 1)
    assert "no such device" in here.stdout
    assert "CI allows no skipped test" in ci.stdout


def test_tests_have_a_var_of_their_own(pytest_on):
    answer = pytest_on(
        "from django.conf import settings\nimport os\n"
        "def test_a():\n"
        "    assert 'personas-var-' in str(settings.VAR_DIR)\n"
        "    assert os.environ['MIGRATION_PERSONAS_VAR'] == str(settings.VAR_DIR)\n"
        "    assert os.environ['DJANGO_SETTINGS_MODULE'] == 'config.settings'\n"
        "    print('var is', settings.VAR_DIR)\n",
        "-s",
    )
    assert answer.returncode == 0, answer.stdout
    var = answer.stdout.split("var is ")[1].split()[0]
    assert not os.path.exists(var)


def test_the_last_line_adds_both_runs_and_the_checks(tmp_path, capsys):
    report = tmp_path / "report.xml"
    report.write_text('<testsuites><testsuite tests="9" failures="1" errors="1" skipped="2"/></testsuites>')
    counting = suite.Suite()
    counting.count("pytest on SQLite", 0.0, **suite.counted(report))
    counting.count("ruff", 0.0, passed=1, failed=0)
    assert counting.finish() == 1
    assert capsys.readouterr().out.splitlines()[-1] == "6 passed, 2 failed, 2 skipped"


def test_what_one_part_of_the_guests_takes_the_other_leaves():
    parts = {part.name: part.arguments for part in suite.parts_of([])}
    every = {str(file.relative_to(ROOT)) for file in ROOT.glob("tests/real/test_*.py")}
    moves = set(parts["moves, SQLite"])
    assert moves < every and all(any(ROOT.glob(pattern)) for pattern in suite.MOVES)
    folder, *left = parts["guests, SQLite"]
    assert folder == "tests/real"
    ignored = [option.removeprefix("--ignore-glob=") for option in left]
    assert {file for file in every if any(map(partial(fnmatch, file), ignored))} == moves


def test_a_run_without_any_test_is_a_failure(monkeypatch, tmp_path):
    monkeypatch.setattr(suite, "REPORTS", tmp_path)
    monkeypatch.chdir(ROOT)
    counting = suite.Suite()
    (tmp_path / "test_nothing.py").write_text("")
    counting.pytest_all([suite.Part("nothing", [str(tmp_path / "test_nothing.py")])])
    assert counting.failures == ["nothing"]


def test_a_check_that_fails_shows_its_output(capsys):
    counting = suite.Suite()
    counting.check("layers", [sys.executable, "-c", "print('personas imports up'); raise SystemExit(1)"], {})
    assert "personas imports up" in capsys.readouterr().out
    assert counting.failed == 1


def test_a_part_that_breaks_ends_the_others(tmp_path, capsys):
    other = tmp_path / "other.py"
    other.write_text(PATIENT)
    lanes, begun = Lanes(), threading.Event()

    def do(part):
        if part == "breaks":
            assert begun.wait(60)
            raise servers.ServerFailed("no PostgreSQL")
        begun.set()
        lanes.relay(part, [sys.executable, str(other)], os.environ)

    with pytest.raises(servers.ServerFailed):
        lanes.run(["goes on", "breaks", "never begins"], do)
    assert "never begins" not in capsys.readouterr().out


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_lets_its_parts_clean_up_and_stops_its_servers(ending, tmp_path):
    part = tmp_path / "part.py"
    part.write_text(PATIENT)
    command = (
        "import os, signal, sys\n"
        "from tests import servers, suite\n"
        "from tests.lanes import Lanes\n"
        "for number in suite.ENDINGS: signal.signal(number, suite.interrupt)\n"
        "with servers.redis() as server:\n"
        "    print(server.folder, flush=True)\n"
        "    lanes = Lanes()\n"
        f"    run = lambda mark: lanes.relay(mark, [sys.executable, {str(part)!r}], os.environ)\n"
        "    lanes.run(['a', 'b', 'c'], run)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", command], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    folder = process.stdout.readline().strip()
    assert {process.stdout.readline() for _ in "ab"} == {"a | working\n", "b | working\n"}
    process.send_signal(ending)
    rest, _ = process.communicate(timeout=120)
    assert sorted(rest.splitlines()) == ["a | cleaned up", "b | cleaned up"]
    assert process.returncode == 128 + ending
    assert not os.path.exists(folder)
