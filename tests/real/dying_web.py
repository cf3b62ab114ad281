"""A web process that is killed in the one request of the API that it gets: `-m tests.real.dying_web WHEN TOKEN BODY`.

WHEN: `before` the launch is committed, or `after` it, when its message has not been sent.
"""

import os
import signal
import sys

import django

django.setup()

from django.test import Client  # noqa: E402

from migrations_engine import pipeline  # noqa: E402
from migrations_engine.services import runs  # noqa: E402
from migrations_engine.targets import registry  # noqa: E402
from tests.migrations_engine.fake_target import FakeTarget  # noqa: E402


def die(*arguments, **options):
    os.kill(os.getpid(), signal.SIGKILL)


registry.TARGETS["qemu"] = FakeTarget
when, token, body = sys.argv[1:]
if when == "before":
    runs.record = die  # the last thing that a launch writes
else:
    pipeline.in_turn = die
headers = {"Authorization": f"Bearer {token}"}
answer = Client().post("/api/v1/migrations/", body, content_type="application/json", headers=headers)
sys.exit(f"it was not killed and answered {answer.status_code}: {answer.content.decode()}")
