"""What a department's machines can be suggested is read once, and again after a change of what it is made of."""

import pytest

from analyzer.services.candidates import candidates_of
from analyzer.services.fleet import department_rescore
from analyzer.services.learning import scorer_of
from analyzer.services.recommendations import recommendation_make
from personas.models import Persona
from tests.factories import (
    make_department,
    make_driver_set,
    make_facts,
    make_package,
    make_persona,
    make_scan,
    make_vm,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def team():
    return make_department("Team")


def test_they_are_read_once_as_long_as_nothing_changes(team, django_assert_num_queries):
    make_persona("WebDev", department=team, hints=["nginx"])
    first = candidates_of(team)
    with django_assert_num_queries(1):  # when they were changed
        assert candidates_of(team) is first
    assert scorer_of(team, first) is scorer_of(team, first)


def test_a_changed_persona_is_read_again(team):
    web = make_persona("WebDev", department=team, hints=["nginx"])
    assert candidates_of(team)[0].hints == ("nginx",)
    web.hints = ["apache2"]
    web.save()
    assert candidates_of(team)[0].hints == ("apache2",)


def test_one_that_is_new_or_gone_is_seen_at_once(team):
    make_persona("WebDev", department=team)
    assert [each.name for each in candidates_of(team)] == ["WebDev"]
    make_persona("Audio", department=team)
    assert [each.name for each in candidates_of(team)] == ["Audio", "WebDev"]
    Persona.objects.filter(name="WebDev").delete()
    assert [each.name for each in candidates_of(team)] == ["Audio"]


def test_a_changed_part_is_read_again_and_the_fleet_scored_again(team):
    drivers = make_driver_set(distributions=["debian"])
    make_persona("WebDev", department=team, hints=["nginx"], default_driver_set=drivers)
    facts = make_facts(packages=(make_package("nginx"),))
    recommendation_make(scan=make_scan(make_vm(team), facts=facts), facts=facts)
    assert department_rescore(department=team) == 1
    assert department_rescore(department=team) == 0
    drivers.distributions = ["fedora"]
    drivers.save()
    assert candidates_of(team)[0].distributions == {"fedora"}
    assert department_rescore(department=team) == 1


def test_other_departments_have_their_own(team):
    make_persona("WebDev", department=team)
    assert candidates_of(make_department("Other")) == ()
    assert candidates_of(None) == ()
