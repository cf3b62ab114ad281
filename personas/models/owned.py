"""What every row of a tenant has: an id that says nothing, a department, and querysets that start at the reader."""

import uuid

from django.db import models

from personas.models.department import Department


class OwnedQuerySet(models.QuerySet):
    """Rows without a department belong to the organisation: everybody who is logged in sees them, only a superuser
    changes them."""

    department_path = "department"

    def visible_to(self, user):
        if not user.is_authenticated:
            return self.none()
        if user.is_superuser:
            return self
        ours = models.Q(**{f"{self.department_path}__in": Department.objects.visible_to(user)})
        return self.filter(ours | models.Q(**{f"{self.department_path}__isnull": True}))

    def in_use(self):
        """Of the rows that point to another: those that have still to do with it. The others are history."""
        return self

    def operable_by(self, user):
        return self._in(user, Department.objects.operable_by(user))

    def administered_by(self, user):
        return self._in(user, Department.objects.administered_by(user))

    def _in(self, user, departments):
        if user.is_authenticated and user.is_superuser:
            return self
        return self.filter(**{f"{self.department_path}__in": departments})


class Owned(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    department = models.ForeignKey(
        "personas.Department",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="Empty: the organisation's, seen by all.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = OwnedQuerySet.as_manager()

    class Meta:
        abstract = True


def unique_in_department(model: str, field: str = "slug") -> list[models.UniqueConstraint]:
    """A name is unique in its department, and among the organisation's own rows."""
    return [
        models.UniqueConstraint(fields=["department", field], name=f"{model}_{field}_in_department"),
        models.UniqueConstraint(
            fields=[field],
            condition=models.Q(department__isnull=True),
            name=f"{model}_{field}_in_organisation",
        ),
    ]
