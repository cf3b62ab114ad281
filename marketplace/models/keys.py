"""Who signs: a publisher's keys, the signed history of them, and the signatures of releases."""

import uuid

from django.conf import settings
from django.db import models

from personas.models.owned import OwnedQuerySet


class SigningKeyQuerySet(OwnedQuerySet):
    department_path = "publisher__department"


class SigningKey(models.Model):
    """A key whose private half is here, encrypted (services/keys.py). Without a publisher it is the instance's own,
    which signs the feed."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    publisher = models.ForeignKey(
        "marketplace.Publisher", models.PROTECT, null=True, related_name="signing_keys"
    )
    public_key = models.CharField(max_length=64, unique=True)
    private_key = models.TextField(editable=False)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = SigningKeyQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]

    def __str__(self):
        return f"{self.public_key[:16]}…"

    @property
    def department(self):
        return self.publisher.department if self.publisher else None


class KeyStatement(models.Model):
    """One link of a chain (domain/key_log.py): of a publisher of ours or of a remote one, or (without) of our feed."""

    publisher = models.ForeignKey(
        "marketplace.Publisher", models.CASCADE, null=True, related_name="key_statements"
    )
    number = models.PositiveIntegerField()
    sealed = models.BinaryField()

    class Meta:
        ordering = ["publisher", "number"]
        constraints = [
            models.UniqueConstraint(fields=["publisher", "number"], name="one_key_statement_per_number"),
            models.UniqueConstraint(
                fields=["number"],
                condition=models.Q(publisher__isnull=True),
                name="one_key_statement_of_the_feed_per_number",
            ),
        ]

    def __str__(self):
        return f"{self.publisher or 'feed'} {self.number}"


class ReleaseSignature(models.Model):
    """A release has one for each key that has signed it: after a rotation with revocation it is signed anew."""

    release = models.ForeignKey("marketplace.Release", models.CASCADE, related_name="signatures")
    public_key = models.CharField(max_length=64)
    signature = models.CharField(max_length=128)
    signed_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-signed_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["release", "public_key"], name="one_signature_per_release_and_key"
            )
        ]

    def __str__(self):
        return f"{self.release}: {self.public_key[:16]}…"


class TrustedKeyQuerySet(models.QuerySet):
    def visible_to(self, user):
        """A public key is no secret: everybody may see whom we trust."""
        return self if user.is_authenticated else self.none()


class TrustedKey(models.Model):
    """A key whose bundles may be imported from files, although no catalogue vouches for it. It speaks for one
    publisher, who may have several, as after a rotation."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    public_key = models.CharField(max_length=64, unique=True)
    name = models.CharField(max_length=80, help_text="Whose it is, and how you know.")
    publisher = models.SlugField(
        max_length=63,
        blank=True,
        help_text="Whose bundles it signs, by the first half of their address; empty: that of its first file.",
    )
    added_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    added_at = models.DateTimeField(auto_now_add=True)

    objects = TrustedKeyQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self):
        return self.name
