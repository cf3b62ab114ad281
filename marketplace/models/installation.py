"""A release in a department: a persona of its own there, pinned to the version."""

import uuid

from django.conf import settings
from django.db import models
from django.urls import reverse

from personas.models.owned import OwnedQuerySet


class Installation(models.Model):
    """`approved_script_sha256`: of what runs as root (scripts, commands of checks) and somebody of the department has
    read and let in; empty when the release has none."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    department = models.ForeignKey("personas.Department", models.PROTECT, related_name="installations")
    listing = models.ForeignKey("marketplace.Listing", models.PROTECT, related_name="installations")
    release = models.ForeignKey("marketplace.Release", models.PROTECT, related_name="installations")
    persona = models.OneToOneField("personas.Persona", models.PROTECT, related_name="installation")
    approved_script_sha256 = models.CharField(max_length=64, blank=True)
    made = models.JSONField(
        default=list,
        blank=True,
        help_text="The parts made for it: [[model, id, a script's slug there]]; an uninstall removes them.",
    )
    secrets = models.JSONField(
        default=dict,
        blank=True,
        help_text="What its scripts are given: name of a secret in the release → slug of one of ours.",
    )
    parameters = models.JSONField(
        default=dict,
        blank=True,
        help_text="What its publisher left open and the department has given: script in the release.VARIABLE → value.",
    )
    is_fork = models.BooleanField(
        default=False, help_text="The department goes its own way; updates are merged into its edits."
    )
    installed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    installed_at = models.DateTimeField(auto_now_add=True)

    objects = OwnedQuerySet.as_manager()

    class Meta:
        ordering = ["-installed_at"]
        constraints = [
            models.UniqueConstraint(fields=["department", "listing"], name="one_installation_per_department")
        ]

    def __str__(self):
        return f"{self.release} in {self.department}"

    def get_absolute_url(self):
        return reverse("marketplace:listing_detail", args=[self.listing_id])
