"""What keeps the marketplace clean: reports of abuse, and listings that are taken down."""

import uuid

from django.conf import settings
from django.db import models
from django.urls import reverse

from personas.models.owned import OwnedQuerySet


class TakedownQuerySet(OwnedQuerySet):
    department_path = "listing__publisher__department"

    def appeal_open(self):
        """Appealed against, and no moderator has said anything yet."""
        return self.filter(appealed_at__isnull=False, declined_at__isnull=True, lifted_at__isnull=True)


class Takedown(models.Model):
    """While it holds nobody installs the listing, and what is installed is not run. The publisher may appeal."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    listing = models.ForeignKey("marketplace.Listing", models.CASCADE, related_name="takedowns")
    reason = models.CharField(max_length=300)
    taken_down_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    taken_down_at = models.DateTimeField(auto_now_add=True)
    appeal = models.CharField(max_length=1000, blank=True)
    appealed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    appealed_at = models.DateTimeField(null=True, blank=True)
    declined_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    declined_at = models.DateTimeField(null=True, blank=True)
    decline_reason = models.CharField(max_length=300, blank=True)
    lifted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    lifted_at = models.DateTimeField(null=True, blank=True)
    lift_reason = models.CharField(max_length=300, blank=True)

    objects = TakedownQuerySet.as_manager()

    class Meta:
        ordering = ["-taken_down_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["listing"], condition=models.Q(lifted_at__isnull=True), name="one_takedown_at_a_time"
            )
        ]

    def __str__(self):
        return f"{self.listing}: {self.reason}"

    @property
    def department(self):
        return self.listing.department


class AbuseKind(models.TextChoices):
    HARMFUL = "harmful", "It does harm"
    DECEPTIVE = "deceptive", "It is not what it says"
    SECRET = "secret", "It holds a secret"
    RIGHTS = "rights", "It is somebody else's"
    OTHER = "other", "Something else"


class ReportState(models.TextChoices):
    OPEN = "open", "Open"
    UPHELD = "upheld", "Upheld"
    DISMISSED = "dismissed", "Dismissed"


class AbuseReportQuerySet(models.QuerySet):
    def visible_to(self, user):
        """One's own; all of them for a moderator, who is a superuser."""
        if not user.is_authenticated:
            return self.none()
        return self if user.is_superuser else self.filter(reporter=user)


class AbuseReport(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    listing = models.ForeignKey("marketplace.Listing", models.CASCADE, related_name="reports")
    reporter = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    kind = models.CharField(max_length=16, choices=AbuseKind)
    text = models.CharField(max_length=1000)
    created_at = models.DateTimeField(auto_now_add=True)
    state = models.CharField(max_length=16, choices=ReportState, default=ReportState.OPEN)
    outcome = models.CharField(max_length=400, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    decided_at = models.DateTimeField(null=True, blank=True)

    objects = AbuseReportQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["listing", "reporter"],
                condition=models.Q(state="open"),
                name="one_open_report_per_reporter",
            )
        ]

    def __str__(self):
        return f"{self.get_kind_display()}: {self.listing}"

    def get_absolute_url(self):
        return reverse("marketplace:report_list")
