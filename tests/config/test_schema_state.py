"""A command on a database without tables says what to do."""

import os
import subprocess
import sys

import pytest

from config.bootstrap.progress import ROOT
from config.schema_state import missing_schema


@pytest.mark.django_db
def test_a_database_with_all_tables_misses_nothing():
    assert missing_schema() == ""


@pytest.mark.parametrize("command", ["recommend", "migrate_vm"])
def test_a_command_without_tables_says_what_to_run_first(command, tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    nobody = "00000000-0000-0000-0000-000000000000"
    answer = subprocess.run(
        [
            sys.executable,
            "manage.py",
            command,
            "--vm",
            nobody,
            *(["--template", nobody] * (command == "migrate_vm")),
        ],
        cwd=ROOT,
        env={**environment, "MIGRATION_PERSONAS_VAR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 1
    assert "has no tables yet. First run: python3 manage.py quickstart" in answer.stderr
    assert "Traceback" not in answer.stderr
