"""For how much longer a persona may be run, where something limits it."""

import uuid

from django.db import models


class RunAllowanceQuerySet(models.QuerySet):
    def usable(self, now):
        left = models.Q(runs_left__isnull=True) | models.Q(runs_left__gt=0)
        open_still = models.Q(expires_at__isnull=True) | models.Q(expires_at__gt=now)
        return self.filter(left, open_still, refusal="")


class RunAllowance(models.Model):
    """Kept by who gave the persona to the department (the marketplace), spent by who runs it (the engine): the two do
    not know each other. A persona without one runs freely. A clone shares its persona's."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    refusal = models.CharField(max_length=300, blank=True, help_text="Why it does not run; empty: it does.")
    runs_left = models.PositiveIntegerField(null=True, help_text="Empty: as many as one likes.")
    seats = models.PositiveIntegerField(
        null=True, help_text="How many different machines; empty: any number."
    )
    expires_at = models.DateTimeField(null=True)

    objects = RunAllowanceQuerySet.as_manager()

    def __str__(self):
        return self.refusal or f"allowance {str(self.id)[:8]}"


class RunSpend(models.Model):
    """One run that was counted: given back where it did not succeed, counted again when it is retried."""

    allowance = models.ForeignKey(RunAllowance, models.CASCADE, related_name="spends")
    run_id = models.UUIDField()
    machine_id = models.UUIDField()
    spent_at = models.DateTimeField(auto_now_add=True)
    returned_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-spent_at"]
        constraints = [models.UniqueConstraint(fields=["allowance", "run_id"], name="one_spend_per_run")]

    def __str__(self):
        return f"run {self.run_id} of {self.allowance}"
