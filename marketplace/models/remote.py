"""Catalogues of other instances, and what our own feed has said."""

from django.core.validators import URLValidator
from django.db import models
from django.urls import reverse

from personas.models.owned import Owned


class Catalogue(Owned):
    """A feed that is subscribed to. What it offers is seen by its department, or by everybody.

    `key_chain` holds the statements about the feed's own key that are known, in base64, one a line; `number` and
    `sha256` are those of the newest feed that was taken: an older one is never taken again."""

    name = models.CharField(max_length=80)
    url = models.CharField(
        max_length=400,
        validators=[URLValidator(["http", "https"])],
        help_text="As in https://other.example/marketplace/feed.",
    )
    first_key = models.CharField(
        max_length=64,
        blank=True,
        help_text="The feed's first key, as the other side tells it; empty: what the first answer says is believed.",
    )
    key_chain = models.TextField(blank=True, editable=False)
    number = models.PositiveIntegerField(default=0, editable=False)
    sha256 = models.CharField(max_length=64, blank=True, editable=False)
    fetched_at = models.DateTimeField(null=True, editable=False)
    expires_at = models.DateTimeField(null=True, editable=False)
    problem = models.CharField(max_length=400, blank=True, editable=False)
    refused = models.JSONField(
        default=list, editable=False, help_text="[{listing, reason}] of the newest feed."
    )

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["department", "url"], name="one_catalogue_per_department_and_url"
            ),
            models.UniqueConstraint(
                fields=["url"],
                condition=models.Q(department__isnull=True),
                name="one_catalogue_of_the_organisation_per_url",
            ),
        ]

    def __str__(self):
        return self.name

    @property
    def is_files(self) -> bool:
        """It stands for the bundles that came as files, and is never asked."""
        return not self.url

    def get_absolute_url(self):
        return reverse("marketplace:catalogue_detail", args=[self.pk])


class FeedIssue(models.Model):
    """A feed that was given out; a new one is written when its content has changed or half of its time is over."""

    number = models.PositiveIntegerField(primary_key=True)
    content_sha256 = models.CharField(max_length=64)
    sealed = models.BinaryField()
    issued_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    class Meta:
        ordering = ["-number"]

    def __str__(self):
        return f"feed {self.number}"
