"""What became of each run of a persona: written by the platform at the end of the run, by nobody else."""

from django.db import models


class Outcome(models.TextChoices):
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


class RunOutcome(models.Model):
    """`origin` is the persona's at the time of the launch, so that figures stay with the release that was run, also
    when the persona is gone."""

    run_id = models.UUIDField()
    persona = models.ForeignKey("personas.Persona", models.SET_NULL, null=True, related_name="outcomes")
    department = models.ForeignKey("personas.Department", models.PROTECT, related_name="+")
    machine_id = models.UUIDField(db_index=True)
    origin = models.CharField(max_length=64, blank=True, db_index=True)
    is_changed = models.BooleanField(
        default=False, help_text="The department had changed what it was made from."
    )
    outcome = models.CharField(max_length=12, choices=Outcome)
    script_failed = models.BooleanField(default=False)
    rolled_back = models.BooleanField(default=False, help_text="What it had made was taken away again.")
    resized = models.BooleanField(default=False, help_text="The machine was moved again in another size.")
    vcpus = models.PositiveIntegerField(null=True)
    memory_mib = models.PositiveIntegerField(null=True)
    duration_s = models.FloatField(null=True)
    ended_at = models.DateTimeField(db_index=True)

    class Meta:
        ordering = ["-ended_at"]
        constraints = [
            models.UniqueConstraint(fields=["run_id", "persona"], name="one_outcome_per_run_and_persona")
        ]

    def __str__(self):
        return f"{self.persona or 'gone'}: {self.outcome}"
