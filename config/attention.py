"""What home shows: how much there is, what needs a person, what to do first. Every count is what the reader may see."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet

from analyzer.models import Recommendation, Scan, SourceEndpoint, VirtualMachine
from analyzer.models.recommendation import RecommendationState
from analyzer.models.scan import ScanState
from config.navigation import url_or_blank
from migrations_engine.domain.states import RUN_ALIVE, RunState
from migrations_engine.models import MigratedVM, MigrationRun
from personas.models import Department, Persona
from templates_app.models import MigrationTemplate

SHOWN = 6  # of each kind: what does not fit is behind the link to its list
RECENT = timedelta(days=30)


@dataclass
class Estate:
    """Counts; machines that the last discovery did not see are left out."""

    machines: int
    scanned: int
    migrated: int
    personas: int
    templates: int
    sources: int
    runs: int
    succeeded_lately: int
    ended_lately: int


@dataclass
class Attention:
    running: list[MigrationRun] = field(default_factory=list)
    failed: list[MigrationRun] = field(default_factory=list)
    unreadable: list[Scan] = field(default_factory=list)
    unscanned: list[VirtualMachine] = field(default_factory=list)
    unscanned_count: int = 0
    suggestions: list[Recommendation] = field(default_factory=list)
    suggestion_count: int = 0

    @property
    def nothing(self) -> bool:
        return not (self.failed or self.unreadable or self.unscanned or self.suggestions)


@dataclass
class FirstStep:
    title: str
    words: str
    url_name: str
    action: str
    done: bool
    next: bool = False

    @property
    def url(self) -> str:
        return url_or_blank(self.url_name)


def estate(user: Any, now: datetime) -> Estate:
    machines = _machines(user)
    lately = MigrationRun.objects.visible_to(user).filter(finished_at__gte=now - RECENT)
    return Estate(
        machines=machines.count(),
        scanned=machines.filter(_has_scan(ScanState.COMPLETE, ScanState.PARTIAL)).count(),
        migrated=MigratedVM.objects.visible_to(user).filter(removed_at__isnull=True).count(),
        personas=Persona.objects.visible_to(user).active().count(),
        templates=MigrationTemplate.objects.visible_to(user).active().count(),
        sources=SourceEndpoint.objects.visible_to(user).count(),
        runs=MigrationRun.objects.visible_to(user).count(),
        succeeded_lately=lately.filter(state=RunState.SUCCEEDED).count(),
        ended_lately=lately.filter(state__in=(RunState.SUCCEEDED, RunState.FAILED)).count(),
    )


def attention(user: Any) -> Attention:
    unscanned = _machines(user).exclude(Exists(Scan.objects.filter(vm=OuterRef("pk"))))
    suggestions = _unanswered_suggestions(user)
    return Attention(
        running=list(_runs(user).filter(state__in=RUN_ALIVE).prefetch_related("steps")[:SHOWN]),
        failed=list(_unanswered_failures(user)[:SHOWN]),
        unreadable=list(_unreadable(user)[:SHOWN]),
        unscanned=list(unscanned[:SHOWN]),
        unscanned_count=unscanned.count(),
        suggestions=list(suggestions.select_related("vm", "persona")[:SHOWN]),
        suggestion_count=suggestions.count(),
    )


def _unanswered_suggestions(user: Any) -> QuerySet[Recommendation]:
    """Those that nobody has answered, not even by migrating the machine as the persona that is suggested."""
    followed = MigrationRun.objects.filter(
        vm=OuterRef("vm"), persona=OuterRef("persona"), state=RunState.SUCCEEDED
    )
    active = Recommendation.objects.visible_to(user).filter(state=RecommendationState.ACTIVE)
    return active.exclude(Exists(followed))


def recent_runs(user: Any) -> QuerySet[MigrationRun]:
    return _runs(user).exclude(state__in=RUN_ALIVE)[:SHOWN]


def first_steps(user: Any, have: Estate) -> list[FirstStep]:
    """The way from an empty instance to a migrated machine; the first that is not done is `next`."""
    member = user.is_superuser or Department.objects.visible_to(user).exists()
    steps = [
        FirstStep(
            "Belong to a department",
            "Machines, runs and what they cost belong to a department.",
            "personas:department_list",
            "Departments",
            member,
        ),
        FirstStep(
            "Say where the machines are",
            "A source is a directory of disk images that this server may read.",
            "analyzer:source_list",
            "Sources",
            have.sources > 0,
        ),
        FirstStep(
            "Look into one machine",
            "A scan reads the disk, changes nothing, and suggests a persona.",
            "analyzer:vm_list",
            "Machines",
            have.scanned > 0,
        ),
        FirstStep(
            "Decide for whom it moves",
            "A persona carries kernel, drivers, sizes, network and the script that runs afterwards.",
            "personas:persona_list",
            "Personas",
            have.personas > 0,
        ),
        FirstStep(
            "Decide how it moves",
            "A template holds what is the same for every machine; the persona fills in the rest.",
            "templates_app:template_list",
            "Templates",
            have.templates > 0,
        ),
        FirstStep(
            "Migrate it",
            "You see the plan, who set each value and what speaks against it, before anything runs.",
            "migrations_engine:run_create",
            "Migrate a machine",
            have.runs > 0,
        ),
    ]
    for step in steps:
        if not step.done:
            step.next = True
            break
    return steps


def _machines(user):
    return VirtualMachine.objects.visible_to(user).filter(missing_since__isnull=True)


def _runs(user):
    return MigrationRun.objects.visible_to(user).select_related("vm", "persona", "template", "department")


def _has_scan(*states):
    return Exists(Scan.objects.filter(vm=OuterRef("pk"), state__in=states))


def _unanswered_failures(user):
    """Failed runs whose machine has not been tried again since."""
    later = MigrationRun.objects.filter(vm=OuterRef("vm"), created_at__gt=OuterRef("created_at"))
    return _runs(user).filter(state=RunState.FAILED).exclude(Exists(later))


def _unreadable(user):
    later = Scan.objects.filter(vm=OuterRef("vm"), created_at__gt=OuterRef("created_at"))
    scans = Scan.objects.visible_to(user).filter(state=ScanState.UNREADABLE, vm__missing_since__isnull=True)
    return scans.exclude(Exists(later)).select_related("vm")
