"""What became of a suggestion: whoever migrates tells it here, in the transaction that ends its run; the recommender is
taught a little later, so that no run ever waits for it or falls over it."""

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from analyzer.domain.outcomes import LESSONS, RESIZED_WITHIN_DAYS, OutcomeKind, went_well
from analyzer.models import Fingerprint, Recommendation, SuggestionOutcome, VirtualMachine
from analyzer.models.recommendation import RecommendationState, Verdict
from analyzer.services.candidates import candidates_of
from analyzer.services.learning import outcome_learn
from analyzer.services.name_mapping import named_facts
from analyzer.services.scans import facts_understood

FOLLOWED = (RecommendationState.CLAIMED, RecommendationState.SUCCEEDED, RecommendationState.FAILED)


@transaction.atomic(savepoint=False)
def suggestion_outcome_write(
    *,
    vm: VirtualMachine,
    run_id: uuid.UUID,
    personas: Iterable[uuid.UUID | str],
    kind: OutcomeKind,
    ended_at: datetime,
    vcpus: int | None = None,
    memory_mib: int | None = None,
) -> None:
    """Of each persona that the run gave the machine because a person had answered so. Told again, the last word counts.
    A success in another size within 14 days tells of the one before that its size was wrong."""
    size = {"vcpus": vcpus, "memory_mib": memory_mib}
    for persona in personas:
        answered = _answered_with(vm, persona)
        if answered is None:
            continue
        told = {"vm": vm, "persona_id": persona, "kind": kind, "ended_at": ended_at, "taught_at": None, **size}
        SuggestionOutcome.objects.update_or_create(run_id=run_id, recommendation=answered, defaults=told)
        if kind == OutcomeKind.SUCCEEDED:
            _resized(answered, run_id, ended_at, size)
        _settle(answered, kind)


def _answered_with(vm: VirtualMachine, persona) -> Recommendation | None:
    """The newest suggestion that ended with this persona, suggested or chosen instead."""
    answers = Q(feedback__persona=persona, feedback__verdict__in=[Verdict.ACCEPTED, Verdict.OTHER])
    accepted = Q(persona=persona, state__in=FOLLOWED)
    return Recommendation.objects.filter(answers | accepted, vm=vm).order_by("-created_at").first()


def _resized(answered: Recommendation, run_id, ended_at: datetime, size: dict[str, int | None]) -> None:
    since = ended_at - timedelta(days=RESIZED_WITHIN_DAYS)
    before = answered.outcomes.exclude(run_id=run_id).filter(kind=OutcomeKind.SUCCEEDED, ended_at__gte=since)
    known = before.filter(vcpus__isnull=False, memory_mib__isnull=False)
    known.exclude(**size).update(kind=OutcomeKind.RESIZED, taught_at=None)


def _settle(answered: Recommendation, kind: OutcomeKind) -> None:
    """The state of a suggestion that was followed; one that another persona was chosen over stays dismissed."""
    state = RecommendationState.SUCCEEDED if went_well(kind) else RecommendationState.FAILED
    Recommendation.objects.filter(pk=answered.pk, state__in=FOLLOWED).update(state=state)


def drift_find() -> int:
    """How many machines are no longer what they were migrated as: the newest scan surely says another persona, and it
    is not the scan that the suggestion was made from."""
    found = 0
    succeeded = SuggestionOutcome.objects.filter(kind=OutcomeKind.SUCCEEDED)
    rows = Fingerprint.objects.outgrown().filter(vm__in=succeeded.values("vm"))
    for fingerprint in rows.only("vm_id", "scan_id"):
        migrated = succeeded.filter(vm_id=fingerprint.vm_id)
        newest = migrated.select_related("recommendation").first()
        if newest and newest.recommendation.scan_id != fingerprint.scan_id:
            found += _drifted(newest)
    return found


@transaction.atomic
def _drifted(outcome: SuggestionOutcome) -> int:
    row = SuggestionOutcome.objects.filter(pk=outcome.pk, kind=OutcomeKind.SUCCEEDED)
    changed = row.update(kind=OutcomeKind.DRIFTED, taught_at=None)
    if changed:
        _settle(outcome.recommendation, OutcomeKind.DRIFTED)
    return changed


def outcomes_teach() -> int:
    """How many outcomes the recommenders were taught. Each in a transaction of its own; run again, it does nothing."""
    waiting = SuggestionOutcome.objects.filter(taught_at__isnull=True).order_by("ended_at")
    return sum(_teach(pk) for pk in waiting.values_list("pk", flat=True))


@transaction.atomic
def _teach(pk) -> bool:
    claimed = SuggestionOutcome.objects.filter(pk=pk, taught_at__isnull=True)
    if not claimed.update(taught_at=timezone.now()):  # another worker got there first
        return False
    row = SuggestionOutcome.objects.select_related("recommendation__scan", "vm__department").get(pk=pk)
    facts = facts_understood(row.recommendation.scan)
    if facts is None:
        return False
    outcome_learn(
        department=row.vm.department,
        facts=named_facts(facts, row.vm.department),
        candidates=candidates_of(row.vm.department),
        label=str(row.persona_id),
        source=f"outcome-{row.pk}",
        lesson=LESSONS[OutcomeKind(row.kind)],
    )
    return True
