"""`var/`: keys, disks and the database are for their owner only."""

import os
import stat
import subprocess
import sys

import pytest

from config.bootstrap.progress import ROOT, private_dir

SHOW = """
import django
django.setup()
from django.db import connection
with connection.cursor() as cursor:
    print(*[cursor.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "foreign_keys")])
"""


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("before", [None, 0o755, 0o777])
def test_the_product_starts_in_a_var_of_its_own_with_wal(tmp_path, before):
    var = tmp_path / "var"
    if before:
        var.mkdir()
        var.chmod(before)
    clean = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    own = {"MIGRATION_PERSONAS_VAR": str(var), "DJANGO_SETTINGS_MODULE": "config.settings"}
    command = ["sh", "-c", 'umask 022; exec "$0" -c "$1"', sys.executable, SHOW]
    told = subprocess.run(
        command, cwd=ROOT, env=clean | own, capture_output=True, text=True, timeout=120, check=True
    )
    assert told.stdout.split() == ["wal", "1"]
    assert [mode(var), mode(var / "keys"), mode(var / "keys/secret_key")] == [0o700, 0o700, 0o600]


def test_a_folder_of_another_owner_is_left_to_them(tmp_path, monkeypatch):
    tmp_path.chmod(0o2770)  # as a volume that an orchestrator has made for a group

    def refuse(self, mode):
        raise PermissionError

    monkeypatch.setattr(type(tmp_path), "chmod", refuse)
    assert private_dir(tmp_path) == tmp_path
    assert mode(tmp_path) == 0o2770
