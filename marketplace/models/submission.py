"""A release that waits for a second pair of eyes."""

import uuid

from django.conf import settings
from django.db import models
from django.urls import reverse

from personas.models.owned import OwnedQuerySet


class SubmissionState(models.TextChoices):
    WAITING = "waiting", "Waiting"
    APPROVED = "approved", "Approved"
    REFUSED = "refused", "Refused"


class SubmissionQuerySet(OwnedQuerySet):
    """Seen by the publishing department only."""

    department_path = "listing__publisher__department"


class Submission(models.Model):
    """The exact bytes that somebody wants to publish; what is approved is them, whatever the persona says by then."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    listing = models.ForeignKey("marketplace.Listing", models.CASCADE, related_name="submissions")
    version = models.CharField(max_length=40)
    bundle = models.BinaryField()
    sha256 = models.CharField(max_length=64)
    persona_revision = models.PositiveIntegerField()
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    state = models.CharField(max_length=16, choices=SubmissionState, default=SubmissionState.WAITING)
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    decided_at = models.DateTimeField(null=True)
    reason = models.CharField(max_length=400, blank=True)

    objects = SubmissionQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["listing", "version"],
                condition=models.Q(state="waiting"),
                name="one_waiting_submission_per_version",
            )
        ]

    def __str__(self):
        return f"{self.listing} {self.version}"

    def get_absolute_url(self):
        return reverse("marketplace:submission_detail", args=[self.pk])

    @property
    def department(self):
        return self.listing.department
