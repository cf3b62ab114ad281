"""A worker whose target is played: for tests of what stands around the steps (broker, database), not of QEMU.

Its machines outlive the process in a file that all such workers share, as QEMU's do in their folders.
PLAYED_PAUSE_S says how long its slow verbs take.
"""

import fcntl
import os
import pickle
import threading
import time
from contextlib import contextmanager

from django.conf import settings

from config.celery import app
from migrations_engine.targets import registry
from tests.migrations_engine.fake_target import FakeTarget

__all__ = ["app"]

PAUSE_S = float(os.environ.get("PLAYED_PAUSE_S", "0.7"))
SLOW = frozenset({"probe", "checksum", "copy", "grow", "seal", "wait_ready", "run"})
LOOKING = frozenset({"status", "machines", "console", "guest_report"})
CHANGING = frozenset({"copy", "grow", "prepare", "seal", "create", "power", "run", "tag", "destroy"})
WORLD = settings.VAR_DIR / "played-world.pickle"
KEPT = ("machines", "started", "finished")
here = threading.local()


class PlayedTarget(FakeTarget):
    def __getattribute__(self, name):
        found = super().__getattribute__(name)
        found = shared(found) if name in LOOKING | CHANGING else found
        return slow(found) if name in SLOW else found


def slow(verb):
    def call(*arguments, **options):
        time.sleep(PAUSE_S)
        return verb(*arguments, **options)

    return call


def shared(verb):
    def call(*arguments, **options):
        with the_world():
            return verb(*arguments, **options)

    return call


@contextmanager
def the_world():
    """The kernel frees the lock of a worker that is killed; what it had not finished it has not done."""
    if getattr(here, "inside", False):  # a verb that says another one
        yield
        return
    with open(WORLD.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if WORLD.exists():
            for name, value in zip(KEPT, pickle.loads(WORLD.read_bytes()), strict=True):
                setattr(FakeTarget.world, name, value)
        here.inside = True
        try:
            yield
        finally:
            here.inside = False
            part = WORLD.with_suffix(".part")
            part.write_bytes(pickle.dumps([getattr(FakeTarget.world, name) for name in KEPT]))
            part.rename(WORLD)


registry.TARGETS["qemu"] = PlayedTarget
