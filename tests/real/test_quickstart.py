"""The first of the two commands, as a user starts and stops it; what it migrates, test_migrate_tiny does."""

import os
import re
import signal
import subprocess
import sys
import urllib.request

import pytest

from tests.real.instance import PROJECT, left_behind

WAIT_S = 120  # only a hang is this slow


@pytest.mark.once
def test_quickstart_serves_an_empty_instance_and_stops_all_of_it_at_one_signal_or_two(tmp_path):
    environment = {
        name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "CELERY_BROKER_URL")
    }
    process = subprocess.Popen(
        [sys.executable, "manage.py", "quickstart", "--no-demo"],
        cwd=PROJECT,
        env=environment | {"MIGRATION_PERSONAS_VAR": str(tmp_path / "var")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        said = ""
        for line in process.stdout:
            said += line
            if "Ctrl-C stops it" in line:
                break
        url, password = re.search(r"http://[\d.:]+/", said), re.search(r"password (\S+)", said)
        assert url and password, said
        with urllib.request.urlopen(f"{url[0]}readyz", timeout=WAIT_S) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=WAIT_S)
    finally:
        process.kill()
    assert process.returncode == 0 and "Everything is kept" in rest, rest
    assert left_behind(tmp_path) == []
