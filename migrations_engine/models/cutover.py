"""What a run does to the power of its source, written down before it does it, so that it can be undone by anybody."""

from datetime import datetime

from django.db import models

from migrations_engine.domain.states import RunState
from migrations_engine.models.run import MigrationRun
from personas.models.owned import OwnedQuerySet

WENT_BACK = (RunState.FAILED, RunState.CANCELLED, RunState.ROLLED_BACK)
POWER = [("on", "On"), ("off", "Off")]


class CutoverQuerySet(OwnedQuerySet):
    department_path = "run__department"

    def touched(self):
        """Sources that ran and were asked to go off, and that nobody has switched on again."""
        return self.filter(power_before="on", asked_at__isnull=False, restored_at__isnull=True)

    def owed(self):
        """Runs that went back and whose source is not on again yet."""
        return self.touched().filter(run__state__in=WENT_BACK)

    def overdue(self, now: datetime):
        return self.filter(run__state=RunState.DECIDING, decide_by__lt=now)


class Cutover(models.Model):
    """The outage lasts from `off_at` to `up_at`, when the target's guest answers."""

    run = models.OneToOneField(MigrationRun, models.CASCADE, primary_key=True, related_name="cutover")
    power_before = models.CharField(max_length=3, choices=POWER)
    asked_at = models.DateTimeField(null=True, help_text="When its guest was asked to shut down.")
    force = models.BooleanField(default=False, help_text="A person said: switch it off as it is.")
    decide_by = models.DateTimeField(null=True, help_text="Then the run is cancelled by itself.")
    off_at = models.DateTimeField(null=True)
    up_at = models.DateTimeField(null=True)
    checked_at = models.DateTimeField(null=True, help_text="When its acceptance checks had passed.")
    restored_at = models.DateTimeField(null=True, help_text="When the source was on again after a way back.")
    problem = models.TextField(blank=True, help_text="Why it is not on again yet.")
    on_anyway = models.BooleanField(
        default=False, help_text="A person said: switch it on without an answer of the target."
    )
    starts_over = models.BooleanField(
        default=False, help_text="The source ran since: what was copied before is thrown away."
    )

    objects = CutoverQuerySet.as_manager()

    def __str__(self):
        return f"cutover of {self.run}"

    @property
    def department(self):
        return self.run.department

    @property
    def checked_s(self) -> float | None:
        """From the source being off until the new machine's checks had passed."""
        return round((self.checked_at - self.off_at).total_seconds(), 1) if self.off_at and self.checked_at else None

    @property
    def outage_s(self) -> float | None:
        """None as long as it is not over."""
        end = self.up_at or self.restored_at
        return round((end - self.off_at).total_seconds(), 1) if self.off_at and end else None
