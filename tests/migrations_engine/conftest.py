from types import SimpleNamespace

import pytest
from django.utils import timezone

from migrations_engine.targets import registry
from tests.migrations_engine.fake_target import FakeTarget, World


@pytest.fixture
def world(monkeypatch):
    """The world of the fake target, which takes the place of QEMU's for this test."""
    monkeypatch.setattr(FakeTarget, "world", World())
    monkeypatch.setitem(registry.TARGETS, "qemu", FakeTarget)
    return FakeTarget.world


@pytest.fixture
def estate(db, world):
    from tests.migrations_engine.estate import make_estate

    return make_estate()


@pytest.fixture
def frozen(monkeypatch):
    """The moment at which progress is read, whenever that is."""
    now = timezone.now()
    monkeypatch.setattr("migrations_engine.services.progress.timezone", SimpleNamespace(now=lambda: now))
    return now


@pytest.fixture
def run_all(django_capture_on_commit_callbacks, monkeypatch):
    """Calls `pipeline.run_start` (or another) and runs what it sends right here, as a worker would."""
    from config.celery import app

    monkeypatch.setattr(app.conf, "task_always_eager", True)

    def call(verb, **arguments):
        with django_capture_on_commit_callbacks(execute=True):
            row = verb(**arguments)
        row.refresh_from_db()
        return row

    return call
