"""Reusable parts of a persona: drivers, resources, network."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from personas.models.owned import Owned, unique_in_department


class Named(Owned):
    name = models.CharField(max_length=80)
    slug = models.SlugField(max_length=63)
    description = models.CharField(max_length=400, blank=True)

    class Meta:
        abstract = True
        ordering = ["name"]

    def __str__(self):
        return self.name


class DriverSet(Named):
    """`drivers`: [{"name", "version"?, "kernel_modules": [..], "packages": [..], "devices": {"disk": ..}}] (see
    personas/domain/drivers.py); `distributions`: os-release IDs it is made for, empty for any."""

    drivers = models.JSONField(default=list)
    distributions = models.JSONField(default=list, blank=True)

    class Meta(Named.Meta):
        constraints = unique_in_department("driverset")


class ResourceProfile(Named):
    """ResourceAllocationProfile. What is empty is not said."""

    vcpus = models.PositiveIntegerField(
        "vCPUs", null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(512)]
    )
    memory_mib = models.PositiveIntegerField(
        "memory (MiB)", null=True, blank=True, validators=[MinValueValidator(64), MaxValueValidator(16 * 2**20)]
    )
    root_disk_gib = models.PositiveIntegerField(
        "root disk (GiB)", null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(64 * 1024)]
    )

    class Meta(Named.Meta):
        constraints = unique_in_department("resourceprofile")


class NetworkProfile(Named):
    """`security_groups`: [{"name": slug, "rules": [{"protocol", "port_from", "port_to", "cidr"}]}]: what is let in; the
    rest is dropped (see personas/domain/security_groups.py)."""

    bandwidth_mbps = models.PositiveIntegerField(
        "bandwidth (Mbit/s)", null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(400_000)]
    )
    security_groups = models.JSONField(default=list, blank=True)
    addressing = models.CharField(
        max_length=8, blank=True, choices=[("keep", "Keep the addresses"), ("dhcp", "Ask DHCP")]
    )

    class Meta(Named.Meta):
        constraints = unique_in_department("networkprofile")
