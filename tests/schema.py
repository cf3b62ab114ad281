"""SQLite's test database, migrated once for each state of the schema and then copied: migrating takes ten seconds.

PostgreSQL is migrated each time: its server is as new as the run.
"""

import hashlib
import os
import shutil
import sqlite3
from pathlib import Path

from django.conf import settings
from django.db import connection

KEPT = 4  # branches worked on in turns


def kept() -> Path:
    """Where the database of this schema lies, whether or not it has been made."""
    return settings.CACHE_DIR / "test-schema" / f"{_digest()}.sqlite3"


def place() -> None:
    """The kept database becomes the test database, where there is one."""
    if connection.vendor == "sqlite" and kept().exists():
        shutil.copyfile(kept(), connection.settings_dict["TEST"]["NAME"])
        kept().touch()


def keep() -> None:
    """The test database as it was just migrated is kept for later runs."""
    if connection.vendor != "sqlite" or kept().exists():
        return
    kept().parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = kept().with_suffix(f".{os.getpid()}.part")
    with sqlite3.connect(draft) as copy:
        connection.connection.backup(copy)
    copy.close()
    draft.replace(kept())
    for old in sorted(kept().parent.glob("*.sqlite3"), key=lambda file: file.stat().st_mtime)[:-KEPT]:
        old.unlink(missing_ok=True)


def _digest() -> str:
    """Of all that says what the tables are: migrations, the triggers beside the models, and Django's version."""
    told = hashlib.sha256((settings.BASE_DIR / "requirements.lock").read_bytes())
    for folder in ("migrations", "models"):
        for file in sorted(settings.BASE_DIR.glob(f"*/{folder}/*.py")):
            told.update(str(file.relative_to(settings.BASE_DIR)).encode() + file.read_bytes())
    return told.hexdigest()[:16]
