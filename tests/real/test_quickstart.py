"""The first of the two commands, as a user starts and stops it; what it migrates, test_migrate_tiny does."""

import os
import re
import signal
import subprocess
import sys
import urllib.request
from contextlib import contextmanager

import pytest
from django.conf import settings

from config.quickstart.children import free_port
from tests.real.instance import LEASE_S, PROJECT, left_behind

WAIT_S = 120  # only a hang is this slow
PASSWORD = re.compile(r"password (\S+)")

pytestmark = pytest.mark.once


class Quickstart:
    def __init__(self, var, *arguments: str):
        environment = {
            name: value
            for name, value in os.environ.items()
            if name not in ("DATABASE_URL", "CELERY_BROKER_URL")
        }
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "quickstart", *arguments],
            cwd=PROJECT,
            env=environment | {"MIGRATION_PERSONAS_VAR": str(var), "LEASE_S": str(LEASE_S)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def said_until(self, words: str) -> str:
        said = ""
        for line in self.process.stdout:
            said += line
            if words in line:
                return said
        raise AssertionError(f"it ended before it said {words!r}:\n{said}")

    def stopped_by(self, *signals: int) -> str:
        """What it says while it stops."""
        for number in signals:
            self.process.send_signal(number)
        rest, _ = self.process.communicate(timeout=WAIT_S)
        assert self.process.returncode == 0 and "Everything is kept" in rest, rest
        return rest


@contextmanager
def quickstart(var, *arguments: str):
    started = Quickstart(var, *arguments)
    try:
        yield started
    finally:
        started.process.kill()


def page_of(said: str) -> str:
    url = re.search(r"http://[\d.:]+/", said)
    assert url, said
    with urllib.request.urlopen(f"{url[0]}readyz", timeout=WAIT_S) as answer:
        assert answer.status == 200
    return url[0]


def test_quickstart_serves_an_empty_instance_and_stops_all_of_it_at_one_signal_or_two(tmp_path):
    with quickstart(tmp_path / "var", "--no-demo") as first:
        said = first.said_until("Ctrl-C stops it")
        page_of(said)
        assert PASSWORD.search(said)
        first.stopped_by(signal.SIGTERM, signal.SIGINT)
    assert left_behind(tmp_path) == []
    port = free_port(None)
    with quickstart(tmp_path / "var", "--no-demo", "--port", str(port)) as second:
        said = second.said_until("Ctrl-C stops it")
        assert page_of(said) == f"http://127.0.0.1:{port}/"
        assert not PASSWORD.search(said)  # the admin is the one whose password was shown
        second.stopped_by(signal.SIGTERM)
    assert left_behind(tmp_path) == []


def test_machine_that_boots_stops_with_quickstart_and_its_run_goes_on_at_the_next_start(tmp_path):
    var = tmp_path / "var"
    var.mkdir(mode=0o700)
    (var / "cache").symlink_to(settings.CACHE_DIR.resolve())
    with quickstart(var) as first:
        first.said_until("Waiting for the guest to answer")
        stopped = first.stopped_by(signal.SIGINT)
        assert "Powering off shop-web-01" in stopped and "verified" not in stopped
    assert left_behind(var) == []
    with quickstart(var) as second:
        said = second.said_until("Ctrl-C stops it")
        assert "verified" in said and "post_script succeeded" in said, said
        assert not PASSWORD.search(said)
        second.stopped_by(signal.SIGTERM)
    assert left_behind(var) == []
