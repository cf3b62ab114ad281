"""Where machines come from."""

from django.conf import settings
from django.db import models

from personas.models.owned import Owned, unique_in_department

IMAGES = "images"
SSH = "ssh"  # running machines, looked into over the network; their disks are elsewhere
LIBVIRT = "libvirt"  # a hypervisor: its machines are off or running, and it can switch them
INVENTORY = "inventory"  # what a file told: there are no disks to read, and nothing to discover


class Rescan(models.TextChoices):
    OFF = "off", "Only when asked for"
    DAILY = "daily", "Every day"
    WEEKLY = "weekly", "Every week"


class SourceEndpoint(Owned):
    name = models.CharField(max_length=80)
    kind = models.CharField(
        max_length=16,
        default=IMAGES,
        choices=[
            (IMAGES, "Directory of disk images"),
            (LIBVIRT, "Hypervisor (libvirt)"),
            (SSH, "Running machines, over SSH"),
            (INVENTORY, "Inventory file"),
        ],
    )
    location = models.CharField(
        max_length=500,
        blank=True,
        help_text="For images: a directory below one of IMAGE_ROOTS. For libvirt: its connection URI. Else empty.",
    )
    rescan = models.CharField(
        max_length=8,
        default=Rescan.OFF,
        choices=Rescan,
        help_text="Machines whose last scan is older are scanned again by themselves.",
    )
    discovery_requested_at = models.DateTimeField(null=True, blank=True, editable=False)
    discovery_requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", editable=False
    )
    discovery_due_at = models.DateTimeField(null=True, blank=True, editable=False)
    discovered_at = models.DateTimeField(null=True, blank=True, editable=False)
    discovery_error = models.CharField(max_length=500, blank=True, editable=False)
    discovery_report = models.JSONField(
        default=dict,
        blank=True,
        editable=False,
        help_text="{found, added, moved, kept, missing, skipped: [{name, reason}]}",
    )

    class Meta:
        ordering = ["name"]
        constraints = unique_in_department("sourceendpoint", "name")

    def __str__(self):
        return self.name

    @property
    def is_inventory(self) -> bool:
        return self.kind == INVENTORY

    @property
    def location_label(self) -> str:
        return "Connection" if self.is_libvirt else "Directory"

    @property
    def is_libvirt(self) -> bool:
        return self.kind == LIBVIRT

    @property
    def is_ssh(self) -> bool:
        return self.kind == SSH
