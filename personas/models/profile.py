"""Reusable parts of a persona: drivers, resources, network."""

from collections.abc import Iterator
from typing import Annotated

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.urls import reverse
from django.utils.text import slugify
from pydantic import StringConstraints, TypeAdapter
from pydantic import ValidationError as PydanticError

from personas.domain.drivers import dump_drivers, parse_drivers
from personas.domain.security_groups import dump_groups, parse_groups
from personas.domain.settings import InvalidSettings
from personas.models.department import Department
from personas.models.owned import Owned, unique_in_department

DISTRIBUTIONS = TypeAdapter(list[Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9._-]{0,31}$")]])


class Named(Owned):
    name = models.CharField(max_length=80)
    slug = models.SlugField(
        max_length=63, blank=True, help_text="Its name in documents. Made from the name when empty."
    )
    description = models.CharField(max_length=400, blank=True)

    class Meta:
        abstract = True
        ordering = ["name"]

    def __str__(self):
        return self.name

    def clean(self):
        """Gathers what is wrong in all of the row, so that a form shows it at once."""
        errors: dict = {}
        for check in (super().clean, self._clean_slug):
            try:
                check()
            except ValidationError as error:
                error.update_error_dict(errors)
        if errors:
            raise ValidationError(errors)

    def _clean_slug(self):
        asked = self.slug
        self.slug = (asked or slugify(self.name)[:63].strip("-")).lower()
        if not self.slug.strip("-_"):
            raise ValidationError({"slug": "Give it a slug: lower-case letters, digits and hyphens."})
        taken = self.same_names().filter(slug=self.slug).exclude(pk=self.pk).first()
        if taken:
            where = f"in {taken.department}" if taken.department else "in the organisation"
            raise ValidationError(
                {"slug" if asked else "name": f"“{taken.name}” {where} has the slug {self.slug} already."}
            )

    def validate_constraints(self, exclude=None):
        """A taken slug has been told by `clean`, beside the field that was typed: not once more for the whole row."""
        super().validate_constraints(exclude={*(exclude or ()), "slug"})

    def same_names(self):
        """The rows among which its slug is unique."""
        return type(self)._base_manager.filter(department=self.department_id)


class Reusable(Named):
    """A part that documents name by slug: no two that one reader sees may have the same, else the document would be
    ambiguous. So a department's part may not take the slug of one of the organisation's, nor the other way round."""

    class Meta(Named.Meta):
        abstract = True

    def get_absolute_url(self):
        return reverse(f"personas:{self._meta.model_name}_detail", kwargs={"pk": self.pk})

    def same_names(self):
        rows = type(self)._base_manager.select_related("department")
        if self.department_id is None:
            return rows
        return rows.filter(models.Q(department=self.department_id) | models.Q(department__isnull=True))

    def clean(self):
        super().clean()
        if "_" in self.slug:
            raise ValidationError({"slug": "Use hyphens instead of underscores."})


def _told(error: InvalidSettings) -> list[str]:
    return [f"{e['field']}: {e['message']}" if e["field"] else e["message"] for e in error.errors]


class DriverSet(Reusable):
    """`drivers`: [{"name", "version"?, "kernel_modules": [..], "packages": [..], "devices": {"disk": ..}}] (see
    personas/domain/drivers.py); `distributions`: os-release IDs it is made for, empty for any."""

    drivers = models.JSONField(default=list)
    distributions = models.JSONField(default=list, blank=True)

    class Meta(Reusable.Meta):
        constraints = unique_in_department("driverset")

    def named_by(self) -> Iterator[models.QuerySet]:
        yield Department.objects.naming(self)

    def clean(self):
        super().clean()
        try:
            self.drivers = dump_drivers(parse_drivers(self.drivers))
            self.distributions = DISTRIBUTIONS.validate_python(self.distributions)
        except InvalidSettings as error:
            raise ValidationError({"drivers": _told(error)}) from None
        except PydanticError as error:
            told = [f"{'.'.join(map(str, e['loc'])) or 'value'}: {e['msg']}" for e in error.errors()]
            raise ValidationError({"distributions": told}) from None


class ResourceProfile(Reusable):
    """ResourceAllocationProfile. What is empty is not said."""

    vcpus = models.PositiveIntegerField(
        "vCPUs", null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(512)]
    )
    memory_mib = models.PositiveIntegerField(
        "memory (MiB)",
        null=True,
        blank=True,
        validators=[MinValueValidator(64), MaxValueValidator(16 * 2**20)],
    )
    root_disk_gib = models.PositiveIntegerField(
        "root disk (GiB)",
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(64 * 1024)],
    )

    class Meta(Reusable.Meta):
        constraints = unique_in_department("resourceprofile")


class NetworkProfile(Reusable):
    """`security_groups`: [{"name": slug, "rules": [{"protocol", "port_from", "port_to", "cidr"}]}]: what is let in; the
    rest is dropped (see personas/domain/security_groups.py)."""

    bandwidth_mbps = models.PositiveIntegerField(
        "bandwidth (Mbit/s)",
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(400_000)],
    )
    security_groups = models.JSONField(default=list, blank=True)
    addressing = models.CharField(
        max_length=8, blank=True, choices=[("keep", "Keep the addresses"), ("dhcp", "Ask DHCP")]
    )

    class Meta(Reusable.Meta):
        constraints = unique_in_department("networkprofile")

    def clean(self):
        super().clean()
        try:
            self.security_groups = dump_groups(parse_groups(self.security_groups))
        except InvalidSettings as error:
            raise ValidationError({"security_groups": _told(error)}) from None
