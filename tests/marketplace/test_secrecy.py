"""What is not bought is not read: a canary in every value and in the script, looked for in every answer there is.

The routes are those of tests/access, so that a new one is asked as soon as it has its rule there.
"""

import json
import re

import pytest
from django.urls import resolve, reverse
from django_filters import CharFilter
from rest_framework.test import APIClient

from marketplace.models import Listing
from marketplace.models.listing import Visibility
from marketplace.services.prices import price_of
from marketplace.services.publishing import release_publish
from marketplace.services.refunds import order_refund
from marketplace.services.submissions import submission_create
from personas.errors import BadInput
from personas.models import AuditEntry, DriverSet, NetworkProfile, Persona
from personas.services.parts import part_create
from personas.services.personas import persona_update
from personas.services.scripts import script_create
from tests.access.routes import routes, url_of
from tests.access.rows import laid, world
from tests.access.rules import RULES
from tests.factories import make_member, make_target, make_template, make_vm
from tests.marketplace.shop import buy, grant, make_price, superuser

__all__ = ["laid", "world"]  # the fixtures

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.once,  # what an answer holds does not depend on the database
]
CANARY = "kanarie7f3a"
WORDS = (CANARY, "zeisig2b9c1")  # one is hidden, one is nowhere


@pytest.fixture
def hidden(world):
    """(rows with a priced listing for the whole organisation, its seller, an admin of another department)."""
    rows, people = world
    seller, listing = people["admin"], rows["listing"]
    own = {"by": seller, "department": rows["department"]}
    drivers = [{"name": CANARY, "kernel_modules": [CANARY], "packages": [f"{CANARY}-driver"]}]
    groups = [
        {
            "name": CANARY,
            "rules": [{"protocol": "tcp", "port_from": 47113, "port_to": 47113, "cidr": "10.0.0.0/8"}],
        }
    ]
    asks = [{"name": "WORD", "default": CANARY, "description": CANARY}, {"name": "KEY"}]
    for slug, interpreter in (("hidden-python", "python3"), ("hidden-pwsh", "pwsh")):
        text = {"body": f"print('{CANARY}')\n", "interpreter": interpreter, "parameters": asks}
        script_create(name=CANARY, slug=slug, **text, **own)
    entries = [
        {"name": "hidden-python", "os": [CANARY], "parameters": {"WORD": CANARY}, "secrets": {"KEY": CANARY}},
        {"name": "hidden-pwsh", "phase": "after_checks", "secrets": {"KEY": CANARY}},
    ]
    persona_update(
        persona=rows["persona"],
        by=seller,
        script_entries=entries,
        description=f"of {CANARY}",
        default_kernel_version=f"6.1.0-{CANARY}",
        default_driver_set=part_create(model=DriverSet, name=CANARY, drivers=drivers, **own),
        network_profile=part_create(model=NetworkProfile, name=CANARY, security_groups=groups, **own),
        post_migration_script=script_create(name=CANARY, body=f"#!/bin/sh\necho {CANARY}\n", **own),
        packages=[CANARY],
        kernel_modules=[CANARY],
        monitoring_tags={CANARY: CANARY},
        hints=[CANARY],
        acceptance_checks=[
            {"kind": "systemd_unit", "unit": f"{CANARY}.service"},
            {"kind": "command", "command": f"echo {CANARY}"},
        ],
    )
    listing.visibility = Visibility.PUBLIC
    listing.tests = [{"name": "own", "template": {}, "expect": {f"monitoring_tags.{CANARY}": CANARY}}]
    listing.save()
    listing.refresh_from_db()
    rows["release"] = release_publish(listing=listing, by=seller, version="2.0.0", licence="MIT")
    author = make_member(rows["department"])
    rows["submission"] = submission_create(listing=listing, by=author, version="2.1.0", licence="MIT")
    return rows, seller, people["charlie"]


def test_nobody_who_has_not_bought_reads_a_value_or_the_script(hidden, caplog):
    rows, seller, stranger = hidden
    shown = ("release-bundle", "marketplace:listing_detail", "marketplace:release_install", "persona-detail")
    # there is one to find
    assert {f"GET {name}" for name in shown} <= set(hunt(rows, seller, only=shown))
    make_price(rows["listing"], seller, unit_amount=10)
    for user in (None, stranger):
        assert hunt(rows, user) == [], user
    assert CANARY not in caplog.text
    audit = AuditEntry.objects.visible_to(stranger).values_list("before", "after", "object_name")
    assert CANARY not in json.dumps([[str(cell) for cell in row] for row in audit])


def test_who_gave_it_back_reads_what_comes_later_no_more(hidden):
    rows, seller, stranger = hidden
    department, listing = stranger.departments.get(), rows["listing"]
    make_price(listing, seller, unit_amount=10)
    grant(department, 10)
    order = buy(listing, department, stranger)
    asked_for = [
        route.name for route in routes() if route.name.startswith(("release", "listing", "marketplace:"))
    ]
    assert "GET release-bundle" in hunt(rows, stranger, only=asked_for)
    order_refund(order=order, by=stranger)
    assert hunt(rows, stranger, only=asked_for) == []


def test_what_everybody_reads_is_not_sold(hidden):
    """The persona of an organisation's listing: a price would hide the bundle, and the persona's own page shows it."""
    rows, _, stranger = hidden
    Persona.objects.filter(pk=rows["persona"].pk).update(department=None)
    assert "GET persona-detail" in hunt(rows, stranger, only=("persona-detail",))
    listing = Listing.objects.get(pk=rows["listing"].pk)
    with pytest.raises(BadInput) as refused:
        make_price(listing, superuser(), unit_amount=10)
    assert set(refused.value.errors) == {"kind"}
    assert price_of(listing) == rows["price"]


def test_no_list_or_merge_tells_hidden_words_from_others(hidden):
    """What is asked by a hidden word answers as for a word that is nowhere: else one could guess letter by letter."""
    rows, seller, stranger = hidden
    # there is one to tell
    shown = ("persona-list", "personas:persona_list")
    assert {f"{name} search" for name in shown} <= set(told_apart(rows, seller, only=shown))
    make_price(rows["listing"], seller, unit_amount=10)
    for user in (None, stranger):
        assert told_apart(rows, user) == [], user
    client = client_of(stranger)
    template = make_template(department=stranger.departments.get())
    for page in ("template_merge", "template_merge_json"):
        url = reverse(f"templates_app:{page}", args=[template.pk])
        for name in (rows["persona"].pk, rows["persona"].slug):
            assert CANARY not in client.get(url, {"persona": name}).content.decode()
        assert len({plain(client, url, "overrides", "driver_set: {}", word) for word in WORDS}) == 1


def told_apart(rows, user, *, only=()) -> list[str]:
    """`route filter` of every text that a route narrows by and that tells the two WORDS apart."""
    client, found = client_of(user), []
    for route in routes():
        rule = RULES.get(route.name)
        if rule is None or "get" not in route.methods or (only and route.name not in only):
            continue
        if rule.needs("get") is None and not rule.public:
            continue
        url = url_of(route, rule, rows)
        for name in texts_of(url):
            if len({plain(client, url, name, "{}", word) for word in WORDS}) > 1:
                found.append(f"{route.name} {name}")
    return sorted(found)


def texts_of(url: str) -> list[str]:
    view = resolve(url.partition("?")[0]).func
    view = getattr(view, "cls", getattr(view, "view_class", None))
    narrows = getattr(view, "filterset_class", None)
    if narrows is None:
        return []
    return [name for name, each in narrows.base_filters.items() if type(each) is CharFilter]


def plain(client, url: str, name: str, said: str, word: str) -> str:
    """The answer without its echo of the word, and without what differs each time."""
    response = client.get(url, {name: said.format(word)})
    content = b"".join(response.streaming_content) if response.streaming else response.content
    content = re.sub(r"\b[A-Za-z0-9]{64}\b", "", content.decode(errors="replace"))  # CSRF tokens
    return f"{response.status_code} {content}".replace(word, "")


def client_of(user) -> APIClient:
    client = APIClient(raise_request_exception=False)
    if user:
        client.force_login(user)
    return client


def hunt(rows, user, *, only=()) -> list[str]:
    """`METHOD route` of every answer that holds the canary."""
    client, found, bodies = client_of(user), [], asked(rows, user)
    for route in routes():
        rule = RULES.get(route.name)
        if rule is None or route.name == "logout" or (only and route.name not in only):
            continue
        for method in route.methods:
            if rule.needs(method) is None and not rule.public:
                continue
            body = {} if method == "get" else {**rule.body, **bodies.get(route.name, {})}
            if CANARY in answer(client, route, method, url_of(route, rule, rows), rule, body):
                found.append(f"{method.upper()} {route.name}")
    return found


def answer(client, route, method, url, rule, body) -> str:
    from django.db import transaction

    ask = getattr(client, method)
    with transaction.atomic():
        if method == "get":
            response = ask(url)
        elif route.api and rule.media == "application/json":
            response = ask(url, body, format="json")
        elif route.api:
            response = client.generic(method.upper(), url, b"", content_type=rule.media)
        else:
            response = ask(url, body, format="multipart")
        transaction.set_rollback(True)
    content = b"".join(response.streaming_content) if response.streaming else response.content
    return content.decode(errors="replace") + json.dumps(dict(response.headers))


def asked(rows, user) -> dict[str, dict]:
    """Bodies that get as far as the content: who only sends nonsense is refused for that."""
    if user is None:
        return {}
    department = user.departments.get()
    vm = make_vm(department, vcpus=1, memory_mib=512)
    template = make_template(department=department, locks=["monitoring_tags"])  # what it keeps out is told
    make_target()
    ids = {"vm": str(vm.pk), "template": str(template.pk), "department": str(department.pk)}
    return {
        "listing-forecast": {"vm": ids["vm"], "template": ids["template"]},
        "marketplace:listing_try": {"machines": [ids["vm"]], "template": ids["template"]},
        "marketplace:release_install": {
            "department": ids["department"],
            "name": "mine",
            "approved_script_sha256": "on",
        },
        "installation-list": {"release": str(rows["release"].pk), "department": ids["department"]},
        "listing-releases": {"version": "3.0.0", "licence": "MIT"},
        "merge": {"template": ids["template"], "personas": [str(rows["persona"].pk)]},
        "plan": {"template": ids["template"], "vm": ids["vm"], "persona": str(rows["persona"].pk)},
        "migration-list": {"template": ids["template"], "vm": ids["vm"], "persona": str(rows["persona"].pk)},
    }
