"""What a run made: the migrated VM, and every resource on the way to it."""

import uuid

from django.db import models

from personas.models.owned import OwnedQuerySet

RESOURCE_STATES = [("intended", "Intended"), ("created", "Created"), ("removed", "Removed")]


class MigratedVM(models.Model):
    """`verification`: [{"setting", "asked", "found", "verdict": pass|fail|warning|not_checked, "by"}]."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    department = models.ForeignKey("personas.Department", models.PROTECT, related_name="+")
    run = models.OneToOneField("migrations_engine.MigrationRun", models.PROTECT, related_name="migrated_vm")
    name = models.CharField(max_length=200)
    power_state = models.CharField(max_length=8, default="unknown", help_text="As last seen.")
    wanted_power = models.CharField(max_length=3, default="on", help_text="As people want it: on or off.")
    reference = models.JSONField(default=dict, help_text="How the target finds it again.")
    facts = models.JSONField(default=dict)
    verification = models.JSONField(default=list)
    tags = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)
    removed_at = models.DateTimeField(null=True)

    objects = OwnedQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        verbose_name = "migrated VM"

    def __str__(self):
        return self.name


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
