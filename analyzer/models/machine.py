"""A virtual machine of the inventory, its disks and NICs, and the personas it carries."""

import uuid

from django.db import models
from django.db.models import OuterRef, Subquery, Sum
from django.db.models.functions import Coalesce
from django.urls import reverse

from analyzer.models.recommendation import Recommendation, RecommendationState
from analyzer.models.scan import Scan
from personas.models.owned import Owned, OwnedQuerySet


class VirtualMachineQuerySet(OwnedQuerySet):
    def with_overview(self):
        """What a list shows of each: scan_state, scanned_at, coverage_stars of the newest scan (None: never asked for),
        disk_bytes, and suggested (a persona's name) where a suggestion is open."""
        newest = Scan.objects.filter(vm=OuterRef("pk")).order_by("-created_at")
        open_ones = Recommendation.objects.filter(vm=OuterRef("pk"), state=RecommendationState.ACTIVE)
        size = Disk.objects.filter(vm=OuterRef("pk")).order_by().values("vm")
        return self.annotate(
            scan_state=Subquery(newest.values("state")[:1]),
            scanned_at=Subquery(newest.values("finished_at")[:1]),
            coverage_stars=Subquery(newest.values("coverage_stars")[:1]),
            disk_bytes=Coalesce(Subquery(size.annotate(total=Sum("virtual_size_bytes")).values("total")), 0),
            suggested=Subquery(open_ones.values("persona__name")[:1]),
        )


class VirtualMachine(Owned):
    """VMID is `id`. What a scan found is in `scans`; these columns are what lists and filters need."""

    source = models.ForeignKey("analyzer.SourceEndpoint", models.PROTECT, related_name="machines")
    external_id = models.CharField(max_length=200, help_text="Stable in its source; never the name.")
    name = models.CharField(max_length=200)
    power_state = models.CharField(
        max_length=8, default="unknown", choices=[("on", "On"), ("off", "Off"), ("unknown", "Unknown")]
    )
    firmware = models.CharField(max_length=8, blank=True, help_text="bios, uefi, or empty when not known")
    vcpus = models.PositiveIntegerField("vCPUs", null=True, blank=True)
    memory_mib = models.PositiveIntegerField("memory (MiB)", null=True, blank=True)
    os_id = models.CharField(max_length=256, blank=True, db_index=True)
    os_version = models.CharField(max_length=256, blank=True)
    hostname = models.CharField(max_length=256, blank=True)
    tags = models.JSONField(default=dict, blank=True)
    missing_since = models.DateTimeField(null=True, blank=True, help_text="Not seen by the last discovery.")

    objects = VirtualMachineQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["source", "external_id"], name="one_vm_per_external_id")]

    def __str__(self):
        return self.name

    def get_absolute_url(self):
        return reverse("analyzer:vm_detail", args=[self.pk])


class Disk(models.Model):
    vm = models.ForeignKey(VirtualMachine, models.CASCADE, related_name="disks")
    index = models.PositiveSmallIntegerField()
    path = models.CharField(
        max_length=1000, blank=True, help_text="Absolute; below one of IMAGE_ROOTS. Empty: only its size is known."
    )
    format = models.CharField(max_length=8, blank=True)
    virtual_size_bytes = models.PositiveBigIntegerField()
    allocated_bytes = models.PositiveBigIntegerField(null=True)

    class Meta:
        ordering = ["vm", "index"]
        constraints = [models.UniqueConstraint(fields=["vm", "index"], name="one_disk_per_index")]

    def __str__(self):
        return f"{self.vm} disk {self.index}"


class Nic(models.Model):
    vm = models.ForeignKey(VirtualMachine, models.CASCADE, related_name="nics")
    index = models.PositiveSmallIntegerField()
    mac = models.CharField(max_length=17, blank=True)
    network = models.CharField(max_length=120, blank=True)

    class Meta:
        ordering = ["vm", "index"]
        constraints = [models.UniqueConstraint(fields=["vm", "index"], name="one_nic_per_index")]

    def __str__(self):
        return f"{self.vm} NIC {self.index}"


class VMPersonaQuerySet(OwnedQuerySet):
    department_path = "vm__department"


class VMPersona(models.Model):
    """One persona of a VM for one use case. Lower `priority` is applied first, so the higher one wins."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    vm = models.ForeignKey(VirtualMachine, models.CASCADE, related_name="vm_personas")
    persona = models.ForeignKey("personas.Persona", models.PROTECT, related_name="vm_personas")
    use_case = models.CharField(max_length=80, default="default")
    priority = models.PositiveSmallIntegerField(default=100)

    objects = VMPersonaQuerySet.as_manager()

    class Meta:
        ordering = ["vm", "use_case", "priority", "persona"]
        verbose_name = "VM persona"
        constraints = [
            models.UniqueConstraint(fields=["vm", "persona", "use_case"], name="one_persona_per_vm_and_use_case")
        ]

    def __str__(self):
        return f"{self.persona} on {self.vm} for {self.use_case}"

    def get_absolute_url(self):
        return reverse("analyzer:vm_personas", args=[self.vm_id])
