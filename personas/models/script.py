"""Post-migration scripts. A revision never changes: a run keeps the exact text that it ran."""

from collections.abc import Iterator

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models

from personas.domain.scripts import BadParameters, dump_parameters, parse_parameters
from personas.models.department import Department
from personas.models.owned import OwnedQuerySet, unique_in_department
from personas.models.profile import Reusable
from personas.models.settings_columns import SettingsColumns


class Interpreter(models.TextChoices):
    SH = "sh", "sh"
    BASH = "bash", "bash"
    PYTHON = "python3", "Python 3"
    POWERSHELL = "pwsh", "PowerShell"


class ScriptQuerySet(OwnedQuerySet):
    def active(self):
        return self.filter(archived_at__isnull=True)


class Origin(models.TextChoices):
    OWN = "", "Written here"
    MARKETPLACE = "marketplace", "From the marketplace"


class Script(Reusable):
    """What comes from the marketplace runs only when its exact text has been approved (`ScriptApproval`) by somebody
    of its department other than its `author`, who published it."""

    archived_at = models.DateTimeField(null=True, blank=True, editable=False)
    origin = models.CharField(max_length=16, choices=Origin, blank=True, default=Origin.OWN, editable=False)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, editable=False, related_name="+"
    )

    objects = ScriptQuerySet.as_manager()

    class Meta(Reusable.Meta):
        constraints = unique_in_department("script")

    def named_by(self) -> Iterator[models.QuerySet]:
        """The rows whose further scripts name it, and the departments whose defaults do. They name it by its slug, that
        it shares with no other script that they could mean; the database cannot search the entries on each of its
        engines, and few rows have any."""
        for model in SettingsColumns.__subclasses__():
            rows = model._default_manager.exclude(script_entries=[])
            if self.department_id is not None:
                rows = rows.filter(department=self.department_id)
            entries = rows.exclude(post_migration_script=self.pk).values_list("pk", "script_entries")
            found = [pk for pk, named in entries if self.slug in {entry["name"] for entry in named}]
            yield model._default_manager.filter(pk__in=found)
        yield Department.objects.naming(self)

    @property
    def latest(self) -> "ScriptRevision | None":
        return self.revisions.order_by("-number").first()

    def is_approved(self, sha256: str) -> bool:
        return self.origin == Origin.OWN or self.approvals.filter(sha256=sha256).exists()


class ScriptRevision(models.Model):
    script = models.ForeignKey(Script, models.CASCADE, related_name="revisions")
    number = models.PositiveIntegerField()
    interpreter = models.CharField(max_length=16, choices=Interpreter, default=Interpreter.SH)
    body = models.TextField(max_length=256 * 1024)
    parameters = models.JSONField(
        default=list, blank=True, help_text="What it asks for; it finds them in its environment."
    )
    sha256 = models.CharField(max_length=64, editable=False)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["script", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["script", "number"], name="one_script_revision_per_number")
        ]

    def __str__(self):
        return f"{self.script}@{self.number}"

    def clean(self):
        super().clean()
        try:
            self.parameters = dump_parameters(parse_parameters(self.parameters))
        except BadParameters as error:
            raise ValidationError({"parameters": error.problems}) from None


class ScriptApproval(models.Model):
    """Somebody has read exactly this text and lets it run as root."""

    script = models.ForeignKey(Script, models.CASCADE, related_name="approvals")
    sha256 = models.CharField(max_length=64)
    approved_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    approved_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-approved_at"]
        constraints = [
            models.UniqueConstraint(fields=["script", "sha256"], name="one_approval_per_script_and_text")
        ]

    def __str__(self):
        return f"{self.script}: {self.sha256[:12]}"
