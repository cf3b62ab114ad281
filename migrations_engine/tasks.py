"""The legs: each task is one line, messages carry ids only, the database knows the rest."""

import uuid

from celery import shared_task

from migrations_engine import runner
from migrations_engine.domain.states import StepName
from migrations_engine.services import cleanup, commitment, power


@shared_task(name="migrations_engine.analyze")
def analyze(run_id: str) -> None:
    runner.execute(run_id=uuid.UUID(run_id), name=StepName.ANALYZE)


@shared_task(name="migrations_engine.merge")
def merge(run_id: str) -> None:
    runner.execute(run_id=uuid.UUID(run_id), name=StepName.MERGE)


@shared_task(name="migrations_engine.migrate")
def migrate(run_id: str) -> None:
    runner.execute(run_id=uuid.UUID(run_id), name=StepName.MIGRATE)


@shared_task(name="migrations_engine.post_script")
def post_script(run_id: str) -> None:
    runner.execute(run_id=uuid.UUID(run_id), name=StepName.POST_SCRIPT)


@shared_task(name="migrations_engine.clean_up")
def clean_up(run_id: str) -> None:
    cleanup.conclude_cancel(run_id=uuid.UUID(run_id))


@shared_task(name="migrations_engine.roll_back")
def roll_back(run_id: str) -> None:
    commitment.conclude_rollback(run_id=uuid.UUID(run_id))


@shared_task(name="migrations_engine.switch_power")
def switch_power(migrated_vm_id: str) -> None:
    power.power_switch(migrated_vm_id=uuid.UUID(migrated_vm_id))
