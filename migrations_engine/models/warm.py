"""How far the copy of a running machine is, so that any worker can go on with it, and what it left on the source."""

from django.db import models

from migrations_engine.domain.states import RUN_ENDED
from migrations_engine.models.run import MigrationRun
from personas.models.owned import OwnedQuerySet


class WarmCopyQuerySet(OwnedQuerySet):
    department_path = "run__department"

    def owed(self):
        """Runs that are over, and whose source may still keep a list of changes for them."""
        return self.filter(is_marked=True, run__state__in=[state.value for state in RUN_ENDED])


class WarmCopy(models.Model):
    """`base` is the moment whose state the staged disks hold whole: "" before the first copy is done."""

    run = models.OneToOneField(MigrationRun, models.CASCADE, primary_key=True, related_name="warm")
    base = models.CharField(max_length=64, blank=True, help_text="The checkpoint from which changes count.")
    rounds = models.JSONField(default=list, help_text='[{"bytes", "seconds"}], the first one of the whole disks.')
    forecast = models.JSONField(null=True, help_text="Of the outage, made before it: domain/outage.py.")
    settled_at = models.DateTimeField(null=True, help_text="When the last changes, of a source that is off, were in.")
    content = models.JSONField(default=list, help_text="One SHA-256 a disk, over those of its 4 MiB pieces.")
    proved_at = models.DateTimeField(null=True, help_text="When the source was read whole and held the same.")
    is_marked = models.BooleanField(default=False, help_text="The source may have a checkpoint of this run.")
    problem = models.TextField(blank=True, help_text="Why that is not removed yet.")

    objects = WarmCopyQuerySet.as_manager()

    def __str__(self):
        return f"warm copy of {self.run}"

    @property
    def department(self):
        return self.run.department
