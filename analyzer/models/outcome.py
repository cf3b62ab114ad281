"""What became of the suggestions that were followed."""

from django.db import models

from analyzer.domain.outcomes import OutcomeKind
from analyzer.models.recommendation import OfVmQuerySet


class SuggestionOutcome(models.Model):
    """One row for each run of a persona that a suggestion's answer had named, written by whoever ran it; `kind` is its
    last word. `taught_at` is null while the recommender does not know of it."""

    vm = models.ForeignKey("analyzer.VirtualMachine", models.CASCADE, related_name="suggestion_outcomes")
    recommendation = models.ForeignKey("analyzer.Recommendation", models.CASCADE, related_name="outcomes")
    persona = models.ForeignKey("personas.Persona", models.CASCADE, related_name="+")
    run_id = models.UUIDField()
    kind = models.CharField(max_length=16, choices=[(kind, kind.value.replace("_", " ")) for kind in OutcomeKind])
    vcpus = models.PositiveIntegerField(null=True)
    memory_mib = models.PositiveIntegerField(null=True)
    ended_at = models.DateTimeField()
    taught_at = models.DateTimeField(null=True, db_index=True)

    objects = OfVmQuerySet.as_manager()

    class Meta:
        ordering = ["-ended_at"]
        constraints = [
            models.UniqueConstraint(fields=["run_id", "recommendation"], name="one_outcome_per_run_and_suggestion")
        ]

    def __str__(self):
        return f"{self.recommendation}: {self.get_kind_display()}"
