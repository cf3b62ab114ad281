"""What became of a suggestion that was followed: its state, and a second label for the recommender, days later."""

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from analyzer.domain.outcomes import LESSONS, OutcomeKind
from analyzer.models import Fingerprint, SuggestionOutcome
from analyzer.models.recommendation import RecommendationState
from analyzer.services.learning import model_of, recommender_of
from analyzer.services.outcomes import drift_find, outcomes_teach, suggestion_outcome_write
from analyzer.services.recommendations import (
    ranking_of,
    recommendation_accept,
    recommendation_choose_other,
    recommendation_make,
)
from analyzer.services.scans import facts_of
from tests.factories import (
    make_department,
    make_facts,
    make_member,
    make_package,
    make_persona,
    make_scan,
    make_vm,
)

pytestmark = pytest.mark.django_db
NOW = timezone.now()


@pytest.fixture
def team():
    return make_department()


@pytest.fixture
def boss(team):
    return make_member(team, "admin")


@pytest.fixture
def web(team):
    return make_persona("WebDev", department=team)


@pytest.fixture
def data(team):
    return make_persona("DatabaseAdmin", department=team)


def facts_with(*names):
    return make_facts(packages=tuple(make_package(name) for name in names))


@pytest.fixture
def claimed(team, boss, web, data):
    """WebDev was suggested for a machine, and accepted."""
    made = make_scan(make_vm(team), facts=facts_with("nginx", "php8.2-fpm")).recommendations.get()
    assert made.persona == web
    return recommendation_accept(recommendation=made, by=boss)


def end(answered, persona, kind, *, run_id=None, ended_at=NOW, **size):
    told = {"kind": kind, "ended_at": ended_at, "run_id": run_id or uuid.uuid4(), **size}
    suggestion_outcome_write(vm=answered.vm, personas=[persona.pk], **told)
    answered.refresh_from_db()
    return answered.state


def chance(team, persona, *names):
    ranking = ranking_of(vm=make_vm(team), facts=facts_with(*names))
    return next(each.score for each in ranking.ranked if each.persona == str(persona.pk))


@pytest.mark.parametrize("kind", OutcomeKind)
def test_a_claimed_suggestion_ends_as_its_run_did(claimed, web, kind):
    succeeded = kind == OutcomeKind.SUCCEEDED
    state = end(claimed, web, kind)
    assert state == (RecommendationState.SUCCEEDED if succeeded else RecommendationState.FAILED)


def test_the_last_word_of_a_run_counts(claimed, web):
    run = uuid.uuid4()
    assert end(claimed, web, OutcomeKind.FAILED, run_id=run) == "failed"
    assert end(claimed, web, OutcomeKind.SUCCEEDED, run_id=run) == "succeeded"
    assert end(claimed, web, OutcomeKind.ROLLED_BACK, run_id=run) == "failed"
    assert claimed.outcomes.get().kind == OutcomeKind.ROLLED_BACK


def test_a_persona_that_nobody_answered_with_has_no_outcome(claimed, data):
    assert end(claimed, data, OutcomeKind.SUCCEEDED) == "claimed"
    assert not SuggestionOutcome.objects.exists()


def test_a_persona_chosen_instead_is_learned_and_the_suggestion_stays_dismissed(team, boss, web, data):
    made = make_scan(make_vm(team), facts=facts_with("nginx", "phpmyadmin")).recommendations.get()
    recommendation_choose_other(recommendation=made, persona=data, by=boss)
    before = chance(team, data, "nginx", "phpmyadmin")
    assert end(made, data, OutcomeKind.SUCCEEDED) == "dismissed"
    assert outcomes_teach() == 1
    assert chance(team, data, "nginx", "phpmyadmin") > before


def test_success_speaks_for_the_persona_and_a_rollback_against_it(team, claimed, web):
    names = ("nginx", "postgresql-15")
    run, before = uuid.uuid4(), chance(team, web, *names)
    end(claimed, web, OutcomeKind.SUCCEEDED, run_id=run)
    outcomes_teach()
    after_success = chance(team, web, *names)
    end(claimed, web, OutcomeKind.ROLLED_BACK, run_id=run)
    outcomes_teach()
    assert chance(team, web, *names) < before < after_success


def test_an_outcome_is_taught_once_and_leaves_the_answers_as_they_are(team, claimed, web):
    end(claimed, web, OutcomeKind.SUCCEEDED)
    assert (outcomes_teach(), outcomes_teach()) == (1, 0)
    card = model_of(recommender_of(team)).card
    assert (card["answers"], card["outcomes"], card["calibration"]["from"]) == (1, 1, 1)


def test_what_a_full_disk_ended_teaches_nothing(team, claimed, web):
    end(claimed, web, OutcomeKind.FAILED)
    outcomes_teach()
    assert model_of(recommender_of(team)).card["outcomes"] == 0


@pytest.mark.parametrize(("days", "kind"), [(13, "resized"), (15, "succeeded")])
def test_a_success_in_another_size_within_14_days_tells_of_the_one_before(claimed, web, days, kind):
    end(claimed, web, OutcomeKind.SUCCEEDED, vcpus=2, memory_mib=2048)
    state = end(claimed, web, OutcomeKind.SUCCEEDED, ended_at=NOW + timedelta(days=days), vcpus=4, memory_mib=2048)
    assert state == "succeeded"
    assert list(claimed.outcomes.values_list("kind", flat=True)) == ["succeeded", kind]


def test_the_same_size_again_is_no_resize(claimed, web):
    for _ in range(2):
        end(claimed, web, OutcomeKind.SUCCEEDED, vcpus=2, memory_mib=2048)
    assert {each.kind for each in claimed.outcomes.all()} == {"succeeded"}


def test_a_machine_that_became_another_has_drifted_and_its_success_is_forgotten(team, claimed, web, data):
    end(claimed, web, OutcomeKind.SUCCEEDED)
    outcomes_teach()
    assert drift_find() == 0
    later = make_scan(claimed.vm, facts=facts_with("postgresql-15", "pgbouncer", "patroni"))
    Fingerprint.objects.filter(vm=claimed.vm).update(persona=data, score=0.9)
    assert later.vm.fingerprint.persona_id
    assert (drift_find(), drift_find()) == (1, 0)
    claimed.refresh_from_db()
    assert claimed.state == RecommendationState.FAILED
    outcomes_teach()
    assert model_of(recommender_of(team)).card["outcomes"] == 0


def test_facts_of_an_older_form_teach_nothing_and_stop_nobody(team, claimed, web):
    claimed.scan.facts = {"os": "an older form"}
    claimed.scan.save()
    end(claimed, web, OutcomeKind.SUCCEEDED)
    assert outcomes_teach() == 0
    assert SuggestionOutcome.objects.get().taught_at


def test_every_kind_says_what_it_teaches():
    assert set(LESSONS) == set(OutcomeKind)
    assert all(lesson.weight < 1 for lesson in LESSONS.values() if lesson)


def test_a_suggestion_tells_what_it_was_made_without(team, web):
    scan = make_scan(make_vm(team), facts=facts_with("nginx"))
    made = scan.recommendations.get()
    assert made.coverage_stars == 3
    assert made.coverage_missing[-1] == "Its use was not measured: its size is taken as it is."
    assert len(made.coverage_missing) == 2
    assert recommendation_make(scan=scan, facts=facts_of(scan)).coverage_stars == 3
