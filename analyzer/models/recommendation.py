"""What the analyzer suggests for a VM, and what people answered."""

import uuid

from django.conf import settings
from django.db import models

from personas.models.owned import OwnedQuerySet


class OfVmQuerySet(OwnedQuerySet):
    department_path = "vm__department"


class RecommendationState(models.TextChoices):
    ACTIVE = "active", "Active"
    CLAIMED = "claimed", "Claimed"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    DISMISSED = "dismissed", "Dismissed"


class Recommendation(models.Model):
    """`ranking`: [{"persona": id, "name", "score" 0..1, "for": [sentence], "against": [sentence]}], best first.

    `persona` is null when none fits: create one from this VM.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    vm = models.ForeignKey("analyzer.VirtualMachine", models.CASCADE, related_name="recommendations")
    scan = models.ForeignKey("analyzer.Scan", models.CASCADE, related_name="recommendations")
    persona = models.ForeignKey("personas.Persona", models.SET_NULL, null=True, related_name="+")
    score = models.FloatField()
    ranking = models.JSONField()
    reason = models.CharField(max_length=400, blank=True, help_text="Why none fits; empty when one does.")
    state = models.CharField(max_length=10, choices=RecommendationState, default=RecommendationState.ACTIVE)
    no_fit = models.FloatField(default=0, help_text="How likely it is that none fits, 0 to 1.")
    coverage_stars = models.PositiveSmallIntegerField(
        null=True, help_text="How complete the data were that it was made from, 1 to 5; null: not known."
    )
    coverage_missing = models.JSONField(default=list, help_text="What was missing, in words.")
    model_version = models.CharField(max_length=40)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = OfVmQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["vm"], condition=models.Q(state="active"), name="one_active_recommendation"
            )
        ]

    def __str__(self):
        return f"{self.persona or 'no good fit'} for {self.vm}"


class Verdict(models.TextChoices):
    ACCEPTED = "accepted", "Accepted"
    OTHER = "other", "Chose another"
    DISMISSED = "dismissed", "Dismissed"
    NONE_FITS = "none_fits", "None fits"


class Feedback(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    vm = models.ForeignKey("analyzer.VirtualMachine", models.CASCADE, related_name="feedback")
    recommendation = models.ForeignKey(Recommendation, models.CASCADE, related_name="feedback")
    verdict = models.CharField(max_length=10, choices=Verdict)
    persona = models.ForeignKey("personas.Persona", models.SET_NULL, null=True, blank=True, related_name="+")
    reason = models.CharField(max_length=400, blank=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = OfVmQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        verbose_name_plural = "feedback"

    def __str__(self):
        return f"{self.verdict}: {self.recommendation}"
