"""How a department sizes its machines."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from personas.models.owned import OwnedQuerySet

LEAST_WINDOW_DAYS = 7  # a week has its rhythm


def between(low, high) -> list:
    return [MinValueValidator(low), MaxValueValidator(high)]


class SizingSettings(models.Model):
    """What is left empty is the standard (analyzer.domain.sizing)."""

    department = models.OneToOneField(
        "personas.Department", models.CASCADE, primary_key=True, related_name="sizing"
    )
    cpu_percentile = models.FloatField("CPU percentile", null=True, blank=True, validators=between(50, 99.9))
    cpu_headroom = models.FloatField("CPU headroom", null=True, blank=True, validators=between(1, 5))
    memory_percentile = models.FloatField(null=True, blank=True, validators=between(50, 99.9))
    memory_headroom = models.FloatField(null=True, blank=True, validators=between(1, 5))
    window_days = models.PositiveSmallIntegerField(
        "window (days)", null=True, blank=True, validators=between(LEAST_WINDOW_DAYS, 400)
    )
    minimum_vcpus = models.PositiveIntegerField(
        "minimum vCPUs", null=True, blank=True, validators=between(1, 1024)
    )
    minimum_memory_mib = models.PositiveIntegerField(
        "minimum memory (MiB)", null=True, blank=True, validators=between(64, 2**24)
    )

    objects = OwnedQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "sizing settings"

    def __str__(self):
        return f"sizing of {self.department}"
