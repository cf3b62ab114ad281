"""A Prometheus that knows the use of a source's machines."""

from django.core.validators import RegexValidator
from django.db import models

from analyzer.models.ssh import OfSourceQuerySet


class UsageProvider(models.Model):
    """Asked every quarter of an hour. `collected_until`: what was before is stored. `report`: {"values", "machines",
    "left_out": [labels that mean no machine, or several]} of the last time."""

    class Exporter(models.TextChoices):
        NODE = "node", "node_exporter, in the machines"
        LIBVIRT = "libvirt", "libvirt exporter, on their hosts"

    class Part(models.TextChoices):
        HOST = "host", "the host, before the port"
        NAME = "name", "the name, before the first dot"
        WHOLE = "whole", "all of it"

    source = models.OneToOneField(
        "analyzer.SourceEndpoint", models.CASCADE, primary_key=True, related_name="usage_provider"
    )
    url = models.CharField(
        max_length=500,
        validators=[
            RegexValidator(r"^https?://[^\s/?#@]+(/[^\s?#]*)?$", "Write it as http://prometheus:9090.")
        ],
    )
    exporter = models.CharField(max_length=8, choices=Exporter, default=Exporter.NODE)
    label = models.CharField(
        max_length=100,
        default="instance",
        validators=[RegexValidator(r"^[a-zA-Z_][a-zA-Z0-9_]*$", "This is no label.")],
    )
    part = models.CharField(max_length=8, choices=Part, default=Part.HOST)
    collected_until = models.DateTimeField(null=True, editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)
    collected_at = models.DateTimeField(null=True, editable=False)
    error = models.CharField(max_length=500, blank=True, editable=False)
    report = models.JSONField(default=dict, editable=False)

    objects = OfSourceQuerySet.as_manager()

    def __str__(self):
        return f"Prometheus of {self.source}"

    @property
    def department(self):
        return self.source.department
