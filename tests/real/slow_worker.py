"""A worker whose target takes its time, so that a test can kill it in a phase of its choice: `celery -A` this."""

import time

from config.celery import app
from migrations_engine.targets import registry
from migrations_engine.targets.qemu.target import QemuTarget

__all__ = ["app"]

PAUSE_S = 1.5


class SlowTarget(QemuTarget):
    def probe(self):
        time.sleep(PAUSE_S)
        return super().probe()

    def checksum(self, source, progress=lambda done, total: None):
        time.sleep(PAUSE_S)
        return super().checksum(source, progress)

    def copy(self, key, source, progress=lambda done, total: None):
        def slowly(done, total):
            time.sleep(0.2)
            progress(done, total)

        return super().copy(key, source, slowly)


registry.TARGETS["qemu"] = SlowTarget
