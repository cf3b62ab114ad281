"""The tenant: a department, who belongs to it, and what its role lets a member do."""

import uuid
from collections.abc import Mapping
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.urls import reverse
from django.utils.text import slugify

from personas.domain.settings import InvalidSettings, validate_document


class Role(models.TextChoices):
    VIEWER = "viewer", "Viewer"
    OPERATOR = "operator", "Operator"
    ADMIN = "admin", "Admin"

    @property
    def rank(self) -> int:
        return list(Role).index(self)

    @classmethod
    def at_least(cls, role: "Role") -> list["Role"]:
        return [r for r in cls if r.rank >= role.rank]


def rows_named(defaults: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Model → setting → slug, of the rows that department defaults name."""
    driver_set = defaults.get("driver_set")
    scripts = (defaults.get("post_migration") or {}).get("scripts") or []
    return {
        "DriverSet": {"driver_set": driver_set} if driver_set else {},
        "Script": {f"post_migration.scripts.{at}.name": entry["name"] for at, entry in enumerate(scripts)},
    }


class DepartmentQuerySet(models.QuerySet):
    def naming(self, row: models.Model):
        """Those whose defaults name the driver set or script, by its slug: no other that they could mean has it."""
        rows = self.exclude(defaults={})
        if row.department_id is not None:
            rows = rows.filter(pk=row.department_id)
        model = row._meta.object_name
        found = [pk for pk, said in rows.values_list("pk", "defaults") if row.slug in rows_named(said)[model].values()]
        return self.filter(pk__in=found)

    def visible_to(self, user):
        """The departments the user is a member of; all of them for a superuser."""
        return self.with_role(user, Role.VIEWER)

    def operable_by(self, user):
        return self.with_role(user, Role.OPERATOR)

    def administered_by(self, user):
        return self.with_role(user, Role.ADMIN)

    def with_role(self, user, role):
        if not user.is_authenticated:
            return self.none()
        if user.is_superuser:
            return self
        return self.filter(
            pk__in=Membership.objects.filter(user=user, role__in=Role.at_least(role)).values("department")
        )


class Department(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=80, unique=True)
    slug = models.SlugField(max_length=63, unique=True, blank=True)
    defaults = models.JSONField(
        default=dict, blank=True, help_text="Settings document: the layer between template and persona."
    )
    members = models.ManyToManyField(
        settings.AUTH_USER_MODEL, through="Membership", related_name="departments"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = DepartmentQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self):
        return self.name

    def get_absolute_url(self):
        return reverse("personas:department_detail", kwargs={"pk": self.pk})

    def clean(self):
        if not self.slug:
            self.slug = slugify(self.name)[:63]
        try:
            validate_document(self.defaults)
        except InvalidSettings as error:
            told = [f"{e['field']}: {e['message']}" for e in error.errors]
            raise ValidationError({"defaults": told}) from None
        foreign = {"locks", "list_modes"} & set(self.defaults)
        if foreign:
            raise ValidationError({"defaults": f"Defaults have no {' and no '.join(sorted(foreign))}."})
        if unknown := self._unknown_rows():
            raise ValidationError({"defaults": unknown})

    def _unknown_rows(self) -> list[str]:
        told = []
        own = models.Q(department__isnull=True) | models.Q(department=self.pk)
        for name, places in rows_named(self.defaults).items():
            model = apps.get_model("personas", name)
            known = set(model._base_manager.filter(own, slug__in=places.values()).values_list("slug", flat=True))
            told += [
                f"{place}: There is no {model._meta.verbose_name} {slug!r} here; name one of the department or of the "
                "organisation."
                for place, slug in places.items()
                if slug not in known
            ]
        return told


class Membership(models.Model):
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="memberships")
    department = models.ForeignKey(Department, models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role, default=Role.VIEWER)

    class Meta:
        ordering = ["department", "user"]
        constraints = [
            models.UniqueConstraint(fields=["user", "department"], name="one_membership_per_department")
        ]

    def __str__(self):
        return f"{self.user} in {self.department} ({self.role})"
