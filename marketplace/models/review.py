"""What a department that has run a release says of it."""

import uuid

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from marketplace.models.listing import Listing


class ReviewQuerySet(models.QuerySet):
    def visible_to(self, user):
        """Who sees the listing sees what is said of it."""
        return self.filter(listing__in=Listing.objects.visible_to(user))


class Review(models.Model):
    """One of each department; `release` is the version that it had run when it last wrote."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    listing = models.ForeignKey("marketplace.Listing", models.CASCADE, related_name="reviews")
    release = models.ForeignKey("marketplace.Release", models.PROTECT, related_name="reviews")
    department = models.ForeignKey("personas.Department", models.CASCADE, related_name="+")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    stars = models.PositiveSmallIntegerField(validators=[MinValueValidator(1), MaxValueValidator(5)])
    text = models.CharField(max_length=2000, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    reply = models.CharField(max_length=2000, blank=True)
    replied_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    replied_at = models.DateTimeField(null=True, blank=True)

    objects = ReviewQuerySet.as_manager()

    class Meta:
        ordering = ["-updated_at"]
        constraints = [
            models.UniqueConstraint(fields=["listing", "department"], name="one_review_per_department"),
            models.CheckConstraint(condition=models.Q(stars__range=(1, 5)), name="one_to_five_stars"),
        ]

    def __str__(self):
        return f"{self.listing}: {self.stars} by {self.department}"
