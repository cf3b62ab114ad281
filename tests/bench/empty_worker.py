"""A worker whose steps do nothing, and bare tasks of the same names: `celery -A` this. What remains is the engine."""

import django
from celery import shared_task

from config.celery import app
from migrations_engine.domain.states import STEPS

django.setup()  # before Celery does it, because the runner brings the models

from migrations_engine import runner  # noqa: E402
from migrations_engine.steps.base import Step  # noqa: E402

__all__ = ["app"]


def nothing(work) -> dict:
    return {}


def bare(run_id: str) -> None:
    """What a task of migrations_engine/tasks.py is without the engine."""


for name in STEPS:
    runner.HANDLERS[name] = Step(name, frozenset(), frozenset(), nothing)
BARE = [shared_task(name=f"bench.{name}")(bare) for name in STEPS]
