"""A worker whose target is played, slowly: for tests of what stands around the steps (broker, database), not of QEMU.

Its machines live in this process, so it is run with threads and never killed.
"""

import time

from config.celery import app
from migrations_engine.targets import registry
from tests.migrations_engine.fake_target import FakeTarget

__all__ = ["app"]

PAUSE_S = 0.7

for verb in ("probe", "checksum", "copy", "grow", "seal", "wait_ready", "run"):
    FakeTarget.world.on[verb] = lambda: time.sleep(PAUSE_S)
registry.TARGETS["qemu"] = FakeTarget
