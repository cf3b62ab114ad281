"""A persona says for whom a machine is moved."""

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.urls import reverse

from personas.models.owned import OwnedQuerySet, unique_in_department
from personas.models.profile import Named
from personas.models.settings_columns import SettingsColumns


class PersonaQuerySet(OwnedQuerySet):
    def active(self):
        return self.filter(archived_at__isnull=True)


class Persona(Named, SettingsColumns):
    """PersonaID is `id`, PersonaName is `name`; a revision is kept of every state that it was in."""

    list_modes = models.JSONField(default=dict, blank=True, help_text="Per list: replace instead of append.")
    hints = models.JSONField(
        default=list, blank=True, help_text="Software names that speak for this persona (packages, services)."
    )
    archived_at = models.DateTimeField(null=True, blank=True, editable=False)
    origin = models.CharField(
        max_length=64, blank=True, editable=False, help_text="The id of what it was made from (a release)."
    )
    origin_revision = models.PositiveIntegerField(
        null=True, editable=False, help_text="Its own revision that was made so: a later one has been changed here."
    )
    allowance = models.ForeignKey(
        "personas.RunAllowance", models.PROTECT, null=True, blank=True, editable=False, related_name="personas"
    )

    objects = PersonaQuerySet.as_manager()

    class Meta(Named.Meta):
        constraints = unique_in_department("persona")

    def get_absolute_url(self):
        return reverse("personas:persona_detail", kwargs={"pk": self.pk})

    def clean(self):
        super().clean()
        if not isinstance(self.hints, list) or not all(
            isinstance(hint, str) and hint.strip() for hint in self.hints
        ):
            raise ValidationError({"hints": "Give a list of software names."})
        if not isinstance(self.list_modes, dict):
            raise ValidationError(
                {"list_modes": "Give a mapping of a list to its mode, as in packages: replace."}
            )

    def document(self) -> dict:
        document = self.settings_document()
        if self.list_modes:
            document["list_modes"] = self.list_modes
        return document

    @property
    def revision(self) -> int:
        """Number of the newest revision; 0 before the first is written."""
        return self.revisions.aggregate(n=models.Max("number"))["n"] or 0


class PersonaRevision(models.Model):
    persona = models.ForeignKey(Persona, models.CASCADE, related_name="revisions")
    number = models.PositiveIntegerField()
    document = models.JSONField()
    sha256 = models.CharField(max_length=64)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["persona", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["persona", "number"], name="one_persona_revision_per_number")
        ]

    def __str__(self):
        return f"{self.persona}@{self.number}"
