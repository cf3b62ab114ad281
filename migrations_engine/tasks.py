"""The legs: each task is one line, messages carry ids only, the database knows the rest."""

import uuid

from celery import Task, shared_task

from migrations_engine import runner
from migrations_engine.domain.states import StepName
from migrations_engine.services import cleanup, commitment, power

HAND_ON_S = 5  # beside a step that took longer nothing is won by saving a message


def work(task: Task, run_id: str, name: StepName) -> None:
    """The step, and those that this worker went on with at once: the chain is shortened by their messages. A long step
    is followed by a message, so that a worker that is to stop has at most one to end."""
    begun = runner.execute(run_id=uuid.UUID(run_id), name=name, hand_on_s=HAND_ON_S)
    if chain := task.request.chain:
        del chain[max(0, len(chain) - begun) :]  # the next one comes last


@shared_task(name="migrations_engine.analyze", bind=True)
def analyze(self, run_id: str) -> None:
    work(self, run_id, StepName.ANALYZE)


@shared_task(name="migrations_engine.merge", bind=True)
def merge(self, run_id: str) -> None:
    work(self, run_id, StepName.MERGE)


@shared_task(name="migrations_engine.migrate", bind=True)
def migrate(self, run_id: str) -> None:
    work(self, run_id, StepName.MIGRATE)


@shared_task(name="migrations_engine.post_script", bind=True)
def post_script(self, run_id: str) -> None:
    work(self, run_id, StepName.POST_SCRIPT)


@shared_task(name="migrations_engine.clean_up")
def clean_up(run_id: str) -> None:
    cleanup.conclude_cancel(run_id=uuid.UUID(run_id))


@shared_task(name="migrations_engine.roll_back")
def roll_back(run_id: str) -> None:
    commitment.conclude_rollback(run_id=uuid.UUID(run_id))


@shared_task(name="migrations_engine.switch_power")
def switch_power(migrated_vm_id: str) -> None:
    power.power_switch(migrated_vm_id=uuid.UUID(migrated_vm_id))
