"""A wave: many machines, moved in an order, within limits and windows. What happens to one machine is its run's row."""

import uuid

from django.conf import settings
from django.db import models
from django.urls import reverse

from migrations_engine.domain.terms import Commit, Mode, OnRollback, Terms, terms_of
from migrations_engine.domain.waves import Limits, MemberState, WaveState, Window
from migrations_engine.models.run import COMMITS, MODES, ON_ROLLBACK
from personas.models.owned import OwnedQuerySet

WAVE_STATES = [(s.value, s.value) for s in WaveState]
WAVE_OVER = (WaveState.FINISHED, WaveState.CANCELLED)
MEMBER_STATES = [(s.value, s.value) for s in MemberState]


class WaveQuerySet(OwnedQuerySet):
    def in_use(self):
        return self.exclude(state__in=WAVE_OVER)


class Wave(models.Model):
    """Its persona, template, target and terms are those of every member that does not say otherwise."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    department = models.ForeignKey("personas.Department", models.PROTECT, related_name="waves")
    name = models.CharField(max_length=80)
    description = models.TextField(blank=True, max_length=2000)
    template = models.ForeignKey("templates_app.MigrationTemplate", models.PROTECT, related_name="waves")
    persona = models.ForeignKey(
        "personas.Persona", models.PROTECT, null=True, blank=True, related_name="waves",
        help_text="Empty: what each machine carries, else the template's own.",
    )  # fmt: skip
    target = models.ForeignKey(
        "migrations_engine.TargetEndpoint", models.PROTECT, null=True, blank=True, related_name="waves",
        help_text="Empty: the department's own, or the organisation's.",
    )  # fmt: skip
    rule = models.CharField(
        max_length=2000, blank=True, help_text="The rule that members were last added by."
    )
    after = models.ForeignKey(
        "self", models.PROTECT, null=True, blank=True, related_name="followers",
        help_text="Starts nothing before that wave is finished.",
    )  # fmt: skip
    mode = models.CharField(max_length=8, choices=MODES, default=Mode.COLD)
    commit = models.CharField(max_length=8, choices=COMMITS, default=Commit.AT_ONCE)
    confirm_minutes = models.PositiveIntegerField(null=True, blank=True)
    checks_confirm = models.BooleanField(default=False)
    on_rollback = models.CharField(max_length=8, choices=ON_ROLLBACK, default=OnRollback.REMOVE)
    concurrency = models.PositiveSmallIntegerField(default=2, help_text="Runs of this wave at once.")
    per_source = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="Runs at once from one source."
    )
    per_target = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="Runs at once to one target."
    )
    bandwidth_mbps = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="Start no run where the mean demand of those at work would exceed it.",
    )
    stop_after = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="Failures after which nothing more is started."
    )
    forgiven = models.PositiveIntegerField(default=0, help_text="Failures that a person has looked at.")
    minutes_each = models.PositiveIntegerField(
        null=True, blank=True, help_text="How long one machine takes; empty: forecast from earlier runs."
    )
    needs_approval = models.BooleanField(
        default=False, help_text="Somebody approves it before it starts anything."
    )
    state = models.CharField(max_length=10, choices=WAVE_STATES, default=WaveState.DRAFT, db_index=True)
    reason = models.CharField(max_length=300, blank=True, help_text="Why it is in this state.")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )
    approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = WaveQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["department", "name"], name="wave_name_in_department"),
            models.CheckConstraint(
                condition=models.Q(state__in=[s.value for s in WaveState]), name="wave_state_is_known"
            ),
        ]

    def __str__(self):
        return self.name

    def get_absolute_url(self):
        return reverse("migrations_engine:wave_detail", args=[self.pk])

    @property
    def terms(self) -> Terms:
        return terms_of({name: getattr(self, name, None) for name in Terms.__dataclass_fields__})

    @property
    def limits(self) -> Limits:
        return Limits(self.concurrency, self.per_source, self.per_target, self.bandwidth_mbps)


class WaveMemberQuerySet(OwnedQuerySet):
    department_path = "wave__department"

    def in_use(self):
        return self.exclude(wave__state__in=WAVE_OVER)


class WaveMember(models.Model):
    """`claimed_at` stands while a dispatcher starts it. `attempt` grows with each retry that makes a new run."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    wave = models.ForeignKey(Wave, models.CASCADE, related_name="members")
    vm = models.ForeignKey("analyzer.VirtualMachine", models.PROTECT, related_name="wave_members")
    persona = models.ForeignKey("personas.Persona", models.PROTECT, null=True, blank=True, related_name="+")
    overrides = models.JSONField(default=dict, blank=True)
    order = models.PositiveIntegerField(default=100)
    state = models.CharField(max_length=8, choices=MEMBER_STATES, default=MemberState.WAITING)
    run = models.OneToOneField(
        "migrations_engine.MigrationRun", models.PROTECT, null=True, blank=True, related_name="wave_member"
    )
    attempt = models.PositiveSmallIntegerField(default=1)
    claimed_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True)

    objects = WaveMemberQuerySet.as_manager()

    class Meta:
        ordering = ["wave", "order", "id"]
        constraints = [models.UniqueConstraint(fields=["wave", "vm"], name="one_member_per_vm_and_wave")]
        indexes = [models.Index(fields=["wave", "state", "order"])]

    def __str__(self):
        return f"{self.vm} in {self.wave}"

    def get_absolute_url(self):
        return self.wave.get_absolute_url()

    @property
    def standing(self) -> str:
        """One word for the board: the run's state where there is a run."""
        return self.run.state if self.run is not None and self.state == MemberState.STARTED else self.state


class WaveWindowQuerySet(OwnedQuerySet):
    department_path = "wave__department"


class WaveWindow(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    wave = models.ForeignKey(Wave, models.CASCADE, related_name="windows")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    weekly = models.BooleanField(default=False)

    objects = WaveWindowQuerySet.as_manager()

    class Meta:
        ordering = ["starts_at"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(ends_at__gt=models.F("starts_at")), name="window_ends_after_it_starts"
            )
        ]

    def __str__(self):
        return f"{self.starts_at:%Y-%m-%d %H:%M} to {self.ends_at:%H:%M}"

    @property
    def window(self) -> Window:
        return Window(self.starts_at, self.ends_at, self.weekly)


class WavePolicy(models.Model):
    """What a department wants of every wave of its own."""

    department = models.OneToOneField("personas.Department", models.CASCADE, related_name="wave_policy")
    four_eyes = models.BooleanField(
        default=False, help_text="Every wave is approved by somebody else than the one who started it."
    )

    def __str__(self):
        return f"wave policy of {self.department}"


class Dispatcher(models.Model):
    """One row: who starts members of waves right now, so that two never count the same free place."""

    held_until = models.DateTimeField(null=True)
    token = models.UUIDField(null=True)

    def __str__(self):
        return "dispatcher of waves"
