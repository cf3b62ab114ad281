"""A server migration template says how to migrate."""

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.urls import reverse

from personas.models.owned import OwnedQuerySet, unique_in_department
from personas.models.profile import Named
from personas.models.settings_columns import SettingsColumns


class SourceKind(models.TextChoices):
    ANY = "any", "Any source"
    IMAGES = "images", "Disk images"


class TargetKind(models.TextChoices):
    QEMU = "qemu", "This machine (QEMU)"


class MigrationTemplateQuerySet(OwnedQuerySet):
    def active(self):
        return self.filter(archived_at__isnull=True)


class MigrationTemplate(Named, SettingsColumns):
    """TemplateID is `id`; `persona` is the PersonaID that it carries, used when a launch names none."""

    source_kind = models.CharField(max_length=16, choices=SourceKind, default=SourceKind.ANY)
    target_kind = models.CharField(max_length=16, choices=TargetKind, default=TargetKind.QEMU)
    persona = models.ForeignKey(
        "personas.Persona",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="templates",
        verbose_name="persona",
    )
    locks = models.JSONField(
        default=list, blank=True, help_text="Settings that no persona or override may change."
    )
    archived_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = MigrationTemplateQuerySet.as_manager()

    class Meta(Named.Meta):
        constraints = unique_in_department("migrationtemplate")

    def get_absolute_url(self):
        return reverse("templates_app:template_detail", args=[self.pk])

    def clean(self):
        super().clean()
        if self.persona is not None and self.persona.department_id not in (None, self.department_id):
            raise ValidationError({"persona": "Choose one of the same department or of the organisation."})

    def document(self) -> dict:
        document = self.settings_document()
        if self.locks:
            document["locks"] = self.locks
        return document

    @property
    def revision(self) -> int:
        """Number of the newest revision; 0 before the first is written."""
        return self.revisions.aggregate(n=models.Max("number"))["n"] or 0


class MigrationTemplateRevision(models.Model):
    template = models.ForeignKey(MigrationTemplate, models.CASCADE, related_name="revisions")
    number = models.PositiveIntegerField()
    document = models.JSONField()
    sha256 = models.CharField(max_length=64)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["template", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["template", "number"], name="one_template_revision_per_number")
        ]

    def __str__(self):
        return f"{self.template}@{self.number}"
