"""One look into a VM, and what was found."""

import uuid

from django.conf import settings
from django.db import models

from personas.models.owned import OwnedQuerySet


class ScanQuerySet(OwnedQuerySet):
    department_path = "vm__department"

    def readable(self):
        return self.filter(state__in=READABLE)

    def looked(self):
        """Of the readable ones those that saw the machine; the others repeat what was known of it."""
        return self.readable().exclude(message__startswith=NO_USAGE)

    def active(self):
        return self.filter(state__in=ACTIVE)

    def overdue(self, now):
        """Queued and not begun in time, or running with nobody alive behind it."""
        return self.active().filter(lease_until__lt=now)


class ScanState(models.TextChoices):
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    COMPLETE = "complete", "Complete"
    PARTIAL = "partial", "Partial"
    UNREADABLE = "unreadable", "Unreadable"

    @property
    def ended(self) -> bool:
        return self in (ScanState.COMPLETE, ScanState.PARTIAL, ScanState.UNREADABLE)


READABLE = [ScanState.COMPLETE, ScanState.PARTIAL]
ACTIVE = [ScanState.QUEUED, ScanState.RUNNING]
NO_USAGE = "partial: no usage."  # so begins the message of a scan that could not reach its machine


class Scan(models.Model):
    """`facts` is `analyzer.domain.facts.Facts` as JSON; history, so it never changes once the scan has ended.

    Claimed like a step of a run: `lease_until` passes when its worker dies (or when a queued scan was not begun), and
    the sweeper starts it again. Only the holder of `fence` may write the outcome. `disk_fingerprint` says which state
    of the disks was read (see analyzer.services.scan_reading.disk_fingerprint).
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    vm = models.ForeignKey("analyzer.VirtualMachine", models.CASCADE, related_name="scans")
    state = models.CharField(max_length=12, choices=ScanState, default=ScanState.QUEUED)
    progress_percent = models.PositiveSmallIntegerField(default=0)
    attempt = models.PositiveSmallIntegerField(default=0)
    fence = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True, db_index=True)
    disk_fingerprint = models.CharField(max_length=64, blank=True)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    message = models.CharField(max_length=500, blank=True)
    facts = models.JSONField(null=True)
    coverage_stars = models.PositiveSmallIntegerField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    objects = ScanQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["vm"], condition=models.Q(state__in=["queued", "running"]), name="one_scan_at_a_time"
            )
        ]

    def __str__(self):
        return f"scan of {self.vm} at {self.created_at:%Y-%m-%d %H:%M}"


class OfScannedVmQuerySet(OwnedQuerySet):
    department_path = "vm__department"


class Package(models.Model):
    """Installed software, as the newest scan found it."""

    vm = models.ForeignKey("analyzer.VirtualMachine", models.CASCADE, related_name="packages")
    name = models.CharField(max_length=256, db_index=True)
    version = models.CharField(max_length=256, blank=True)
    manager = models.CharField(max_length=16)
    manual = models.BooleanField(null=True, help_text="Installed on purpose; null when not known.")
    section = models.CharField(max_length=256, blank=True)

    objects = OfScannedVmQuerySet.as_manager()

    class Meta:
        ordering = ["vm", "name"]

    def __str__(self):
        return f"{self.name} {self.version}"


class Service(models.Model):
    vm = models.ForeignKey("analyzer.VirtualMachine", models.CASCADE, related_name="services")
    name = models.CharField(max_length=256, db_index=True)
    kind = models.CharField(max_length=16, default="service")
    enabled = models.BooleanField()

    objects = OfScannedVmQuerySet.as_manager()

    class Meta:
        ordering = ["vm", "name"]

    def __str__(self):
        return self.name
