"""The product's settings with a `var` of its own: tests never touch a developer's database, keys or disks.

Only `cache/` is shared with `var/cache`: a sample guest takes long to build and is the same for everyone.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent


def own_var() -> Path:
    """A folder removed when this process ends; processes that tests start inherit it from the environment."""
    var = Path(tempfile.mkdtemp(prefix="personas-var-"))
    cache = PROJECT / "var" / "cache"
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    (var / "cache").symlink_to(cache)
    atexit.register(shutil.rmtree, var, ignore_errors=True)
    return var


os.environ["MIGRATION_PERSONAS_VAR"] = str(own_var())

from config.settings import *  # noqa: E402, F403  after the line above: they read it

# Argon2 is slow on purpose; a test that is about passwords sets the product's list again
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher", *PASSWORD_HASHERS]  # noqa: F405

if DATABASES["default"]["ENGINE"].endswith("sqlite3"):  # noqa: F405
    # in memory, SQLite's threads share one cache and never wait for each other; in a file they behave as the product's
    DATABASES["default"]["TEST"] = {"NAME": VAR_DIR / "test.sqlite3"}  # noqa: F405

WHITENOISE_AUTOREFRESH = True  # look for a file when it is asked for: each test's client would list them all
