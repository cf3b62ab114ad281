"""A namespace that a department publishes under."""

from django.db import models
from django.urls import reverse

from marketplace.models.listing import Listing
from personas.models.owned import OwnedQuerySet
from personas.models.profile import Named


class Proof(models.TextChoices):
    ADMIN = "admin", "A superuser knows them"
    FILE = "file", "A file on the web server of the domain"
    DNS = "dns", "A TXT record of the domain"


class PublisherQuerySet(OwnedQuerySet):
    def visible_to(self, user):
        """Those of one's own departments, and whoever lists something that one sees."""
        listed = self.filter(listings__in=Listing.objects.visible_to(user))
        return self.filter(models.Q(pk__in=super().visible_to(user)) | models.Q(pk__in=listed))


class Publisher(Named):
    """Its slug is unique in the whole instance: it is the first half of every listing's address."""

    needs_second_person = models.BooleanField(
        default=False,
        verbose_name="four eyes",
        help_text="A release is approved by somebody other than its author before it is published.",
    )

    domain = models.CharField(
        max_length=253, blank=True, editable=False, help_text="That it has proven to control."
    )
    proof_token = models.CharField(max_length=64, blank=True, editable=False)
    verified_how = models.CharField(max_length=8, choices=Proof, blank=True, editable=False)
    verified_at = models.DateTimeField(null=True, editable=False)
    held_reason = models.CharField(
        max_length=200,
        blank=True,
        editable=False,
        help_text="Why others don't see it before a moderator has looked.",
    )
    catalogue = models.ForeignKey(
        "marketplace.Catalogue", models.PROTECT, null=True, editable=False, related_name="publishers"
    )
    remote_slug = models.CharField(
        max_length=63, blank=True, editable=False, help_text="What it is called on its own instance."
    )
    told_verified = models.CharField(
        max_length=400, blank=True, editable=False, help_text="What its own instance says is proven of it."
    )
    told_since = models.DateTimeField(
        null=True, editable=False, help_text="Since when its own instance says that it has it."
    )

    objects = PublisherQuerySet.as_manager()

    class Meta(Named.Meta):
        constraints = [
            models.UniqueConstraint(fields=["slug"], name="one_publisher_per_slug"),
            models.UniqueConstraint(
                fields=["catalogue", "remote_slug"],
                condition=models.Q(catalogue__isnull=False),
                name="one_publisher_per_catalogue_and_remote_slug",
            ),
        ]

    def get_absolute_url(self):
        return reverse("marketplace:publisher_detail", args=[self.pk])

    @property
    def verified_as(self) -> str:
        """What is proven of it, in words; empty where nothing is."""
        if not self.verified_at:
            return ""
        return self.domain if self.verified_how != Proof.ADMIN else "known to the organisation"

    @property
    def name_in_bundles(self) -> str:
        return self.remote_slug or self.slug

    def same_names(self):
        return type(self)._base_manager.select_related("department")
