"""Every route and method, as anonymous, as a stranger from another department, as viewer, operator and admin."""

import uuid

import pytest
from rest_framework.test import APIClient

from personas.models import Role
from tests.access.routes import agreed, routes, url_of, walk
from tests.access.rule import NOBODY, Rule
from tests.access.rules import RULES

# who may do what does not depend on the database; an internal error may: the admin, who gets everywhere, asks both
ROLES = [pytest.param(role, marks=[] if role == Role.ADMIN else pytest.mark.once) for role in Role.values]


def test_every_route_has_a_rule():
    missing = sorted({route.name for route in routes()} - set(RULES))
    assert not missing, f"add to rules_*.py beside this file what these routes ask for: {missing}"


def test_every_rule_has_a_route():
    assert sorted(set(RULES) - {route.name for route in routes()}) == []


@pytest.mark.once
def test_anonymous_is_sent_to_the_login(world):
    rows, _ = world

    def expected(rule, route, method, status):
        if rule.public:
            return "it is open to all" if status == 401 and route.name != "logout" else ""
        if status == 405 and not route.exact:
            return ""
        return "" if status == 401 else "nobody is logged in"

    agreed(walk(rows, None, expected))


@pytest.mark.once
def test_a_stranger_finds_nothing(world):
    rows, people = world

    def expected(rule, route, method, status):
        if rule.public or (status == 405 and not route.exact):
            return ""
        if rule.obj:
            return "" if status == 404 else "to a stranger it is not there"
        if rule.needs(method) == NOBODY:
            return "" if status == 403 else "only a superuser may"
        return "he may do so in his own department" if status in (401, 403, 404) else ""

    agreed(walk(rows, people["charlie"], expected))


@pytest.mark.parametrize("role", ROLES)
def test_a_member_may_do_what_the_role_allows(world, role):
    rows, people = world

    def expected(rule, route, method, status):
        if rule.public or (status == 405 and not route.exact):
            return ""
        if rule.own and role != "admin":
            return "" if status == 404 else "it belongs to someone else"
        if rule.needs(method) == NOBODY or Role(role).rank < Role(rule.needs(method)).rank:
            return "" if status == 403 else f"it needs {rule.needs(method)}"
        return f"{role} may" if status in (401, 403, 404, 405) else ""

    agreed(walk(rows, people[role], expected))


def test_lists_show_a_stranger_nothing_of_ours(world):
    rows, people = world
    client = APIClient()
    client.force_login(people["charlie"])
    ids = {str(row.pk) for row in rows.values() if isinstance(row.pk, uuid.UUID)}
    shown = []
    for route in routes():
        rule = RULES.get(route.name, Rule(public=True))
        if "get" in route.methods and not rule.obj and not rule.public and rule.get and rule.get != NOBODY:
            body = client.get(url_of(route, rule, rows)).content.decode()
            shown += [f"{route.name} shows {pk}" for pk in ids if pk in body]
    agreed(shown)
