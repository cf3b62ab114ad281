"""What a run makes, written down before it is made and again after: clean-up removes exactly this."""

import uuid

from django.utils import timezone

from analyzer.services.hypervisors import staging_discard
from migrations_engine.models import CreatedResource, MigratedVM, MigrationRun
from migrations_engine.services.targets import open_endpoint


def intend(*, run_id: uuid.UUID, kind: str, reference: str) -> None:
    """Said again after a crash, it changes nothing."""
    CreatedResource.objects.get_or_create(run_id=run_id, kind=kind, reference=reference)
    CreatedResource.objects.filter(run_id=run_id, kind=kind, reference=reference, state="removed").update(
        state="intended", removed_at=None
    )


def created(*, run_id: uuid.UUID, kind: str, reference: str) -> None:
    CreatedResource.objects.filter(run_id=run_id, kind=kind, reference=reference).update(state="created")


def has_machine(run: MigrationRun) -> bool:
    """Whether a machine of the run may be at its target; before it is made only disks are."""
    return CreatedResource.objects.filter(run=run, kind="machine").exclude(state="removed").exists()


def forget(run: MigrationRun) -> None:
    """What was there is removed at the target; the rows say so. A checkpoint is not there: see services/warm.py."""
    now = timezone.now()
    there = CreatedResource.objects.filter(run=run).exclude(kind="checkpoint")
    there.exclude(state="removed").update(state="removed", removed_at=now)
    MigratedVM.objects.filter(run=run, removed_at__isnull=True).update(removed_at=now, power_state="off")


def remove_all(run: MigrationRun) -> tuple[str, ...]:
    """Removes what carries the run's key at its target; names what was removed. Raises TargetError, OSError."""
    removed = open_endpoint(run.target).destroy(str(run.pk))
    staging_discard(f"run-{run.pk}")
    forget(run)
    return removed
