"""Post-migration scripts. A revision never changes: a run keeps the exact text that it ran."""

from django.conf import settings
from django.db import models

from personas.models.owned import OwnedQuerySet, unique_in_department
from personas.models.profile import Reusable


class Interpreter(models.TextChoices):
    SH = "sh", "sh"
    BASH = "bash", "bash"
    PYTHON = "python3", "Python 3"


class ScriptQuerySet(OwnedQuerySet):
    def active(self):
        return self.filter(archived_at__isnull=True)


class Script(Reusable):
    archived_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = ScriptQuerySet.as_manager()

    class Meta(Reusable.Meta):
        constraints = unique_in_department("script")

    @property
    def latest(self) -> "ScriptRevision | None":
        return self.revisions.order_by("-number").first()


class ScriptRevision(models.Model):
    script = models.ForeignKey(Script, models.CASCADE, related_name="revisions")
    number = models.PositiveIntegerField()
    interpreter = models.CharField(max_length=16, choices=Interpreter, default=Interpreter.SH)
    body = models.TextField(max_length=256 * 1024)
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
