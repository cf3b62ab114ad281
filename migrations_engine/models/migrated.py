"""What a run made: the migrated VM, and every resource on the way to it."""

import uuid
from datetime import datetime, timedelta

from django.db import models

from personas.models.owned import OwnedQuerySet

RESOURCE_STATES = [("intended", "Intended"), ("created", "Created"), ("removed", "Removed")]


SWITCHING = timedelta(
    seconds=150
)  # a guest has a minute to shut itself down; whoever needs this long has died


class MigratedVMQuerySet(OwnedQuerySet):
    def to_switch(self, now: datetime):
        """Machines to be switched on or off, at which no living worker is."""
        free = models.Q(power_claimed_at=None) | models.Q(power_claimed_at__lt=now - SWITCHING)
        return self.filter(free, power_asked_at__isnull=False, removed_at=None)


class MigratedVM(models.Model):
    """`verification`: [{"setting", "asked", "found", "verdict": pass|fail|warning|not_checked, "by"}]."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    department = models.ForeignKey("personas.Department", models.PROTECT, related_name="+")
    run = models.OneToOneField("migrations_engine.MigrationRun", models.PROTECT, related_name="migrated_vm")
    name = models.CharField(max_length=200)
    power_state = models.CharField(max_length=8, default="unknown", help_text="As last seen.")
    wanted_power = models.CharField(max_length=3, default="on", help_text="As people want it: on or off.")
    power_asked_at = models.DateTimeField(null=True, editable=False)
    power_claimed_at = models.DateTimeField(null=True, editable=False)
    power_error = models.TextField(
        default="", blank=True, help_text="Why it could not be switched the last time."
    )
    reference = models.JSONField(default=dict, help_text="How the target finds it again.")
    facts = models.JSONField(default=dict)
    verification = models.JSONField(default=list)
    tags = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)
    removed_at = models.DateTimeField(null=True)

    objects = MigratedVMQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        verbose_name = "migrated VM"

    def __str__(self):
        return self.name

    @property
    def is_switching(self) -> bool:
        return self.power_asked_at is not None and self.removed_at is None

    @property
    def shown_power(self) -> str:
        if self.removed_at:
            return "removed"
        return (
            {"on": "starting", "off": "stopping"}[self.wanted_power]
            if self.is_switching
            else self.power_state
        )


class CreatedResource(models.Model):
    """The ledger: written before a resource is made and again after; clean-up removes exactly these."""

    run = models.ForeignKey("migrations_engine.MigrationRun", models.CASCADE, related_name="resources")
    kind = models.CharField(max_length=32)
    reference = models.CharField(max_length=500)
    state = models.CharField(max_length=8, choices=RESOURCE_STATES, default="intended")
    created_at = models.DateTimeField(auto_now_add=True)
    removed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["run", "id"]
        constraints = [
            models.UniqueConstraint(fields=["run", "kind", "reference"], name="one_row_per_resource")
        ]

    def __str__(self):
        return f"{self.kind} {self.reference}"
