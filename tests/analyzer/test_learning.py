"""Answers teach: at once, per department, reversibly, and only where it is switched on."""

import json

import pytest
from django.core.management import CommandError, call_command

from analyzer.models import Recommendation, Recommender
from analyzer.models.recommendation import Verdict
from analyzer.services.learning import (
    card_of,
    model_of,
    recommender_of,
    recommender_promote,
    recommender_reset,
    recommender_revert,
    recommender_set,
)
from analyzer.services.recommendations import (
    ranking_of,
    recommendation_accept,
    recommendation_choose_other,
    recommendation_dismiss,
    recommendation_none_fits,
)
from personas.errors import NotAllowed, Refused
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


@pytest.fixture
def team():
    return make_department()


@pytest.fixture
def boss(team):
    return make_member(team, "admin")


def facts_with(*names):
    return make_facts(packages=tuple(make_package(name) for name in names))


def suggestion(team, *names):
    make_scan(make_vm(team), facts=facts_with(*names))
    return Recommendation.objects.filter(vm__department=team).latest("created_at")


def chance(team, persona, *names):
    ranking = ranking_of(vm=make_vm(team), facts=facts_with(*names))
    return next(each.score for each in ranking.ranked if each.persona == str(persona.pk))


def test_the_first_day_follows_the_personas_words(team):
    web, _ = make_persona("WebDev", department=team), make_persona("DatabaseAdmin", department=team)
    made = suggestion(team, "lighttpd", "php8.2-fpm")
    assert made.persona == web
    assert made.model_version == "learner-1.0"
    assert made.no_fit < 0.3
    assert "lighttpd (web serving): installed on purpose." in made.ranking[0]["for"]


def test_an_accepted_suggestion_is_learned_with_the_answer(team, boss):
    web = make_persona("WebDev", department=team)
    make_persona("DatabaseAdmin", department=team)
    made = suggestion(team, "nginx")
    before = chance(team, web, "acme-shop", "nginx")
    recommendation_accept(recommendation=made, by=boss)
    assert model_of(recommender_of(team)).version == 1
    assert chance(team, web, "acme-shop", "nginx") != before


def test_choosing_another_is_learned_as_that_other(team, boss):
    make_persona("WebDev", department=team)
    data = make_persona("DatabaseAdmin", department=team)
    before = chance(team, data, "nginx", "phpmyadmin")
    made = suggestion(team, "nginx", "phpmyadmin")
    recommendation_choose_other(recommendation=made, persona=data, by=boss)
    assert chance(team, data, "nginx", "phpmyadmin") > before


def test_a_dismissed_persona_is_learned_as_what_it_is_not(team, boss):
    web = make_persona("WebDev", department=team)
    make_persona("DatabaseAdmin", department=team)
    before = chance(team, web, "nginx", "postgresql-15")
    made = suggestion(team, "nginx", "php8.2-fpm")
    assert made.persona == web
    recommendation_dismiss(recommendation=made, by=boss)
    assert chance(team, web, "nginx", "postgresql-15") < before


def test_none_fits_is_an_answer_too(team, boss):
    make_persona("WebDev", department=team)
    before = ranking_of(vm=make_vm(team), facts=facts_with("nginx", "asterisk")).no_fit
    made = suggestion(team, "nginx", "asterisk")
    recommendation_none_fits(recommendation=made, by=boss)
    assert made.feedback.get().verdict == Verdict.NONE_FITS
    assert ranking_of(vm=made.vm, facts=facts_with("nginx", "asterisk")).no_fit > before


def test_an_answer_that_is_refused_teaches_nothing(team, boss):
    make_persona("WebDev", department=team)
    made = suggestion(team, "nginx")
    recommendation_accept(recommendation=made, by=boss)
    with pytest.raises(Refused):
        recommendation_dismiss(recommendation=made, by=boss)
    assert model_of(recommender_of(team)).version == 1


def test_departments_learn_apart_unless_both_share(team, boss):
    common = make_persona("Blue")
    make_persona("Green")
    other = make_department()
    his = make_member(other, "admin")

    def teach(department, by):
        for _ in range(4):
            made = suggestion(department, "acme-billing")
            if made.persona == common:
                recommendation_accept(recommendation=made, by=by)
            else:
                recommendation_choose_other(recommendation=made, persona=common, by=by)

    start = chance(other, common, "acme-billing")
    teach(team, boss)
    assert chance(other, common, "acme-billing") == start
    recommender_set(department=team, by=boss, shares=True)
    recommender_set(department=other, by=his, shares=True)
    teach(team, boss)
    assert chance(other, common, "acme-billing") > start


def test_switched_off_the_rules_suggest_and_nothing_is_learned(team, boss):
    make_persona("WebDev", department=team, hints=["nginx"])
    recommender_set(department=team, by=boss, enabled=False)
    made = suggestion(team, "nginx")
    assert made.model_version == "rules-1"
    recommendation_accept(recommendation=made, by=boss)
    assert model_of(recommender_of(team)).version == 0


def answer_in_the_shadow(team, boss, times):
    """A machine that the rules know nothing of, and that the learner can learn."""
    blue = make_persona("Team blue", department=team)
    recommender_set(department=team, by=boss, shadow=True)
    for _ in range(times):
        made = suggestion(team, "acme-billing", "acme-agent")
        recommendation_choose_other(recommendation=made, persona=blue, by=boss)


def test_in_the_shadow_it_learns_while_the_rules_are_shown(team, boss):
    answer_in_the_shadow(team, boss, 3)
    assert suggestion(team, "acme-billing", "acme-agent").model_version == "rules-1"
    card = card_of(recommender_of(team))
    assert (card["version"], card["trial"]["answers"], card["trial"]["shown_right"]) == (3, 3, 0)
    assert card["trial"]["learned_right"] > 0


def test_it_is_promoted_on_a_measured_gain(team, boss):
    answer_in_the_shadow(team, boss, 3)
    with pytest.raises(Refused, match="3 of the 20 answers"):
        recommender_promote(department=team, by=boss)
    row = recommender_of(team)
    row.trial = {"answers": 20, "learned_right": 15, "shown_right": 15}
    row.save()
    with pytest.raises(Refused, match="no gain"):
        recommender_promote(department=team, by=boss)
    row.trial["learned_right"] = 16
    row.save()
    recommender_promote(department=team, by=boss)
    assert suggestion(team, "acme-billing", "acme-agent").model_version == "learner-1.3"


def test_reset_forgets_and_revert_remembers(team, boss):
    make_persona("WebDev", department=team)
    recommendation_accept(recommendation=suggestion(team, "nginx"), by=boss)
    recommender_reset(department=team, by=boss)
    assert model_of(recommender_of(team)).version == 0
    recommender_revert(department=team, by=boss)
    assert model_of(recommender_of(team)).version == 1


def test_there_is_nothing_to_revert_before_a_reset(team, boss):
    with pytest.raises(Refused):
        recommender_revert(department=team, by=boss)


def test_only_an_admin_of_the_department_decides(team):
    with pytest.raises(NotAllowed):
        recommender_set(department=team, by=make_member(team, "operator"), enabled=False)
    assert not Recommender.objects.exists()


def test_the_smallest_change_is_told(team):
    make_persona("WebDev", department=team)
    make_persona("DatabaseAdmin", department=team)
    made = suggestion(team, "nginx", "postgresql-15", "pgbadger")
    against = " ".join(made.ranking[0]["against"])
    assert "fits too" in against
    assert "without" in against
    sure = suggestion(team, "nginx", "php8.2-fpm", "apache2").ranking
    assert sure[0]["score"] > 0.9 and sure[1]["score"] < 0.05
    assert "without" in " ".join(sure[0]["against"])


def test_none_fits_is_answered_over_the_api(client, team, boss):
    make_persona("WebDev", department=team)
    made = suggestion(team, "nginx")
    client.force_login(boss)
    address = f"/api/v1/recommendations/{made.pk}/none-fits/"
    answered = client.post(address, {"reason": "a phone system"}, "application/json")
    assert answered.status_code == 200
    assert made.feedback.get().reason == "a phone system"
    assert model_of(recommender_of(team)).version == 1


def test_the_command_line_shows_and_switches_it(capsys, team, boss):
    call_command("recommender", "--department", team.slug, "--by", boss.username, "--off")
    told = json.loads(capsys.readouterr().out)
    assert told["enabled"] is False
    assert told["answers"] == 0
    assert not recommender_of(team).enabled


@pytest.mark.parametrize("arguments", [["--department", "nowhere"], ["--off"], ["--by", "nobody", "--on"]])
def test_the_command_line_refuses_what_it_cannot_do(arguments):
    with pytest.raises(CommandError):
        call_command("recommender", *arguments)


def test_the_command_line_asks_for_an_admin(team):
    with pytest.raises(CommandError):
        call_command(
            "recommender", "--department", team.slug, "--by", make_member(team, "viewer").username, "--reset"
        )
