"""A worker whose target is played, slowly: for tests of what stands around the steps (broker, database), not of QEMU.

Its machines outlive the process in a file, as QEMU's do in their folders.
"""

import pickle
import threading
import time

from django.conf import settings

from config.celery import app
from migrations_engine.targets import registry
from tests.migrations_engine.fake_target import FakeTarget

__all__ = ["app"]

PAUSE_S = 0.7
SLOW = ("probe", "checksum", "copy", "grow", "seal", "wait_ready", "run")
CHANGING = frozenset({"copy", "grow", "prepare", "seal", "create", "power", "run", "tag", "destroy"})
WORLD = settings.VAR_DIR / "played-world.pickle"
KEPT = ("machines", "started", "finished")

world, writing = FakeTarget.world, threading.Lock()


class PlayedTarget(FakeTarget):
    def __getattribute__(self, name):
        found = super().__getattribute__(name)
        return kept(found) if name in CHANGING else found


def kept(verb):
    def call(*arguments, **options):
        try:
            return verb(*arguments, **options)
        finally:
            with writing:
                part = WORLD.with_suffix(".part")
                part.write_bytes(pickle.dumps([getattr(world, name) for name in KEPT]))
                part.rename(WORLD)

    return call


if WORLD.exists():
    for name, value in zip(KEPT, pickle.loads(WORLD.read_bytes()), strict=True):
        setattr(world, name, value)
for verb in SLOW:
    world.on[verb] = lambda: time.sleep(PAUSE_S)
registry.TARGETS["qemu"] = PlayedTarget
