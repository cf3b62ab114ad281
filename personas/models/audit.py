"""Who changed what, when. Append-only: the database itself refuses UPDATE and DELETE (trigger in a schema
migration)."""

import uuid
from functools import cache

from django.apps import apps
from django.conf import settings
from django.db import models

from personas.models.department import Department
from personas.models.owned import OwnedQuerySet


@cache
def words() -> dict[str, str]:
    """What a person calls each kind of object: {"virtualmachine": "virtual machine"}."""
    return {model._meta.model_name: str(model._meta.verbose_name) for model in apps.get_models()}


class AppendOnly(TypeError):
    pass


class AuditQuerySet(OwnedQuerySet):
    def visible_to(self, user):
        """What was done in the user's departments, and what the user did; what was done to the organisation's own
        rows is a superuser's to see."""
        if not user.is_authenticated:
            return self.none()
        if user.is_superuser:
            return self
        return self.filter(
            models.Q(department__in=Department.objects.visible_to(user)) | models.Q(actor=user)
        )


class AuditEntry(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    at = models.DateTimeField(auto_now_add=True, db_index=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.DO_NOTHING, null=True, related_name="+", db_constraint=False
    )
    actor_name = models.CharField(max_length=150)
    department = models.ForeignKey(
        "personas.Department", models.DO_NOTHING, null=True, related_name="+", db_constraint=False
    )
    action = models.CharField(max_length=64)
    object_type = models.CharField(max_length=64)
    object_id = models.CharField(max_length=64, db_index=True)
    object_name = models.CharField(max_length=200)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    request_id = models.CharField(max_length=64, blank=True)

    objects = AuditQuerySet.as_manager()

    class Meta:
        ordering = ["-at"]
        verbose_name_plural = "audit entries"

    def __str__(self):
        return f"{self.actor_name} {self.action} {self.object_name}"

    def save(self, *args, **kwargs):
        if not self._state.adding:
            raise AppendOnly("An audit entry never changes.")
        super().save(*args, **kwargs)

    def delete(self, *args, **kwargs):
        raise AppendOnly("An audit entry is never deleted.")

    @property
    def object_kind(self) -> str:
        return words().get(self.object_type, self.object_type)
