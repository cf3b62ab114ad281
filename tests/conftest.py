"""What holds for every test. Factories live in `tests/factories.py`, servers to kill in `tests/servers.py`."""

import gc
import os

import hypothesis
import pytest

from tests import servers

ASKING = {"db", "transactional_db", "live_server"}  # the fixtures that open the database


# Laws are about answers, not about speed on a busy machine; in CI the same examples every time, so red stays red
hypothesis.settings.register_profile(
    "suite",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    derandomize=bool(os.environ.get("CI")),
)
hypothesis.settings.load_profile("suite")


def pytest_configure(config):
    # this process has its settings; the processes that a test starts use the product's own, as a user's would
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"


def pytest_collection_modifyitems(items):
    """What never asks for the database has the same answer on PostgreSQL: it runs once (unless marked `both`)."""
    for item in items:
        uses_database = ASKING.intersection(item.fixturenames) or item.get_closest_marker("django_db")
        if not uses_database and not item.get_closest_marker("both"):
            item.add_marker(pytest.mark.once)


def pytest_collection_finish():
    """What was imported stays until the end: the collector need not look through it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)


def pytest_sessionfinish(session, exitstatus):
    """The test command installs all that it needs, so in CI a skip is a hole, not a circumstance."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and exitstatus == pytest.ExitCode.OK and reporter.stats.get("skipped"):
        reporter.write_line("\nCI allows no skipped test.", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def django_db_keepdb():
    """A database that is there already, from `schema.place()`, is migrated from where it stands: nothing is left."""
    from django.db import connection

    return connection.vendor == "sqlite"


@pytest.fixture(scope="session")
def django_db_modify_db_settings():
    from tests import schema

    schema.place()


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    from tests import schema

    with django_db_blocker.unblock():
        schema.keep()


@pytest.fixture
def redis_server():
    """A Redis of this test's own, to kill and to start again: `.url`, `.kill()`, `.start()`."""
    with servers.redis("--appendonly", "yes") as server:
        yield server


@pytest.fixture
def postgresql_server():
    """A PostgreSQL of this test's own, to kill and to start again: `.url`, `.kill()`, `.start()`."""
    with servers.postgresql() as server:
        yield server
