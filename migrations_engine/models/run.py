"""A run of a migration: the immutable snapshot of its plan, its four steps, and what happened."""

import uuid
from datetime import timedelta

from django.conf import settings
from django.db import models
from django.urls import reverse

from migrations_engine.domain.drills import WORDS, Fault
from migrations_engine.domain.drills import words as drill_words
from migrations_engine.domain.states import RUN_ALIVE, RUN_AT_WORK, RUN_ENDED, RunState, StepName, StepState
from migrations_engine.domain.terms import Commit, Mode, OnRollback, Terms, terms_of
from personas.models.owned import OwnedQuerySet


def run_out(now) -> models.Q:
    """Leases behind which nobody lives. One that reaches further than a worker gives itself was written by a clock that
    has been set back since; its worker, if it lives, renews it within a second."""
    lease = timedelta(seconds=settings.LEASE_S)
    return models.Q(lease_until__lt=now) | models.Q(lease_until__gt=now + 2 * lease)


class MigrationRunQuerySet(OwnedQuerySet):
    def alive(self):
        return self.filter(state__in=[s.value for s in RUN_ALIVE])

    def in_use(self):
        return self.alive()

    def unattended(self, now):
        """Runs for which there is something to do and on which no living worker works."""
        running = StepRun.objects.filter(run=models.OuterRef("pk"), state=StepState.RUNNING)
        held = running.exclude(run_out(now))
        at_work = self.filter(state__in=[s.value for s in RUN_AT_WORK])
        return at_work.exclude(models.Exists(held))

    def followers(self, run):
        """Moves of its machine that succeeded after it and whose new machine stands: who goes back past them, or does
        it over, has two of one machine."""
        moved = self.filter(vm=run.vm_id, state__in=[RunState.SUCCEEDED, RunState.CONFIRMING]).exclude(mode=Mode.TEST)
        later = models.Q(finished_at=None) | models.Q(finished_at__gt=run.finished_at or run.created_at)
        return moved.filter(later, migrated_vm__removed_at=None, migrated_vm__isnull=False).exclude(pk=run.pk)

    def overdue(self, now):
        """Runs that nobody has confirmed in time."""
        return self.filter(state=RunState.CONFIRMING, confirm_by__lt=now)


RUN_STATES = [(s.value, s.value) for s in RunState]  # named in the OpenAPI document (config/settings.py)

MODES = [
    (Mode.COLD.value, "Migration of a machine that is off"),
    (Mode.CUTOVER.value, "Cutover of a running machine"),
    (Mode.WARM.value, "Warm cutover: only the last changes are copied when it is off"),
    (Mode.TEST.value, "Test migration"),
]
COMMITS = [
    (Commit.AT_ONCE.value, "At once"),
    (Commit.BY_HAND.value, "When a person confirms it"),
    (Commit.TIMED.value, "Rolled back unless confirmed in time"),
]
ON_ROLLBACK = [
    (OnRollback.REMOVE.value, "Remove the machine"),
    (OnRollback.KEEP.value, "Keep it, switched off"),
]
DRILLS = [(fault.value, WORDS[fault].capitalize()) for fault in Fault]


class MigrationRun(models.Model):
    """`plan` is the snapshot that was launched (its shape: migrations_engine/services/plan.py); it never changes."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    department = models.ForeignKey("personas.Department", models.PROTECT, related_name="runs")
    vm = models.ForeignKey("analyzer.VirtualMachine", models.PROTECT, related_name="runs")
    template = models.ForeignKey("templates_app.MigrationTemplate", models.PROTECT, related_name="runs")
    persona = models.ForeignKey("personas.Persona", models.PROTECT, null=True, related_name="runs")
    target = models.ForeignKey("migrations_engine.TargetEndpoint", models.PROTECT, related_name="runs")
    use_case = models.CharField(max_length=80, blank=True)
    overrides = models.JSONField(default=dict, blank=True)
    plan = models.JSONField()
    plan_sha256 = models.CharField(max_length=64)
    state = models.CharField(max_length=12, choices=RUN_STATES, default=RunState.QUEUED, db_index=True)
    root_cause = models.TextField(blank=True)
    mode = models.CharField(max_length=8, choices=MODES, default=Mode.COLD)
    commit = models.CharField(max_length=8, choices=COMMITS, default=Commit.AT_ONCE)
    confirm_minutes = models.PositiveIntegerField(null=True)
    checks_confirm = models.BooleanField(default=False)
    on_rollback = models.CharField(max_length=8, choices=ON_ROLLBACK, default=OnRollback.REMOVE)
    shutdown_minutes = models.PositiveIntegerField(null=True, help_text="A cutover waits so long for its source.")
    decide_minutes = models.PositiveIntegerField(null=True, help_text="And then a person has so long to decide.")
    drill = models.CharField(
        max_length=16, blank=True, choices=DRILLS, help_text="The fault that is simulated."
    )
    confirm_by = models.DateTimeField(null=True, db_index=True, help_text="Then it is rolled back by itself.")
    finalized_at = models.DateTimeField(null=True, help_text="From then on it cannot be rolled back.")
    acknowledged = models.JSONField(
        default=list, help_text='Warnings taken with open eyes: [{"id", "text", "reason"}].'
    )
    idempotency_key = models.CharField(max_length=200, blank=True)
    request_sha256 = models.CharField(
        max_length=64, blank=True, help_text="Of the body that came with the key."
    )
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    dispatched_at = models.DateTimeField(
        null=True, help_text="When its chain was last sent; the sweeper waits for it."
    )

    objects = MigrationRunQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["created_by", "idempotency_key"],
                condition=~models.Q(idempotency_key=""),
                name="one_run_per_idempotency_key",
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=[s.value for s in RunState]), name="run_state_is_known"
            ),
        ]

    def __str__(self):
        return f"run {str(self.id)[:8]} of {self.vm}"

    def get_absolute_url(self):
        return reverse("migrations_engine:run_detail", args=[self.pk])

    @property
    def has_ended(self) -> bool:
        return self.state in RUN_ENDED

    @property
    def terms(self) -> Terms:
        return terms_of({name: getattr(self, name) for name in Terms.__dataclass_fields__})

    @property
    def drill_words(self) -> str:
        return drill_words(self.drill)

    @property
    def is_test(self) -> bool:
        return self.mode == Mode.TEST

    @property
    def is_cutover(self) -> bool:
        """The source is shut down by the run."""
        return self.mode in (Mode.CUTOVER, Mode.WARM)

    @property
    def is_warm(self) -> bool:
        return self.mode == Mode.WARM


class StepRun(models.Model):
    """`fence` is the token of the worker that holds the step; `lease_until` when that worker counts as dead."""

    run = models.ForeignKey(MigrationRun, models.CASCADE, related_name="steps")
    name = models.CharField(max_length=16, choices=[(s, s) for s in StepName])
    order = models.PositiveSmallIntegerField()
    state = models.CharField(max_length=12, choices=[(s, s) for s in StepState], default=StepState.WAITING)
    attempt = models.PositiveIntegerField(
        default=0, help_text="How many workers began it since the last retry."
    )
    retries = models.PositiveIntegerField(default=0, help_text="How often a person asked for it again.")
    fence = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True, db_index=True)
    message = models.CharField(max_length=300, blank=True, help_text="What it does right now.")
    phase_at = models.DateTimeField(
        null=True, help_text="Since when it does that; rates are drawn from here."
    )
    bytes_done = models.PositiveBigIntegerField(default=0)
    bytes_total = models.PositiveBigIntegerField(default=0)
    percent = models.FloatField(default=0)
    live = models.JSONField(
        null=True, help_text="The script that runs right now: {name, stdout, stderr}, the ends of its output."
    )
    result = models.JSONField(null=True)
    error = models.TextField(blank=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["run", "order"]
        constraints = [models.UniqueConstraint(fields=["run", "name"], name="one_step_per_name")]

    def __str__(self):
        return f"{self.name} of {self.run}"


class RunEvent(models.Model):
    run = models.ForeignKey(MigrationRun, models.CASCADE, related_name="events")
    at = models.DateTimeField(auto_now_add=True)
    step = models.CharField(max_length=16, blank=True)
    level = models.CharField(max_length=8, default="info")
    text = models.TextField()

    class Meta:
        ordering = ["run", "id"]

    def __str__(self):
        return self.text[:80]
