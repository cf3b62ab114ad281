"""Nothing that a client sends is an internal error: every API route with junk, as a department's admin."""

import re
from urllib.parse import urlencode

import pytest
from django.db import transaction
from django.urls import resolve, reverse
from rest_framework.test import APIClient

from config.api import public_schema
from tests.access import junk
from tests.access.forms import forms_in
from tests.access.routes import agreed, routes, url_of
from tests.access.rules import RULES

TYPED = (*junk.QUESTIONS, "²", "--5")  # what looks like a number and is none
ROWS = {
    "default_driver_set": "driverset",
    "resource_allocation_profile": "resourceprofile",
    "network_profile": "networkprofile",
    "post_migration_script": "script",
    "after": "wave",
    "successor": "listing",
}  # fields that are not called like the row (tests/access/rows.py) that they point to


@pytest.fixture
def send(world):
    """`send(method, url, media, body, **headers)`: `(status, problem?)`, with whatever it wrote taken back."""
    client = APIClient(raise_request_exception=False)
    client.force_login(world[1]["admin"])

    def request(method, url, media="application/json", body=b"", **headers):
        with transaction.atomic():
            answer = client.generic(method.upper(), url, body, content_type=media, **headers)
            transaction.set_rollback(True)
        return answer

    return request


@pytest.fixture(scope="module")
def document():
    return public_schema()


def operations(rows, document, methods):
    """`(name, method, url, operation)` of every API route that the document tells of."""
    for route in routes():
        if not route.api or route.name not in RULES:
            continue
        url = url_of(route, RULES[route.name], rows).split("?")[0]
        for path, told in document["paths"].items():
            if re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", path), url):
                for method in set(methods) & set(route.methods) & set(told):
                    yield route.name, method, url, told[method]


def complaint(answer) -> str:
    if answer.status_code >= 500:
        return f"{answer.status_code} is no answer"
    if answer.status_code >= 400 and not answer["Content-Type"].startswith("application/problem+json"):
        return f"{answer.status_code} as {answer['Content-Type']} is no problem+json"
    return ""


def test_no_field_takes_the_server_down(world, document, send):
    wrong, both = [], fields_of_both(document)
    for name, method, url, told in operations(world[0], document, ("post", "patch")):
        body = plausible_body(told, document, world[0])
        headers = {"HTTP_IF_MATCH": send("get", url).get("ETag", "*")} if method == "patch" else {}
        for field in body:
            if both.get((shape_of(told), field), method) != method:
                continue
            value = junk.chosen(junk.VALUES, f"{name} {method} {field}")
            rest = {} if method == "patch" else body
            answer = send(method, url, body=junk.encoded({**rest, field: value}), **headers)
            if said := complaint(answer):
                wrong.append(f"{method} {url} with {field} = {str(value)[:40]!r}: {said}")
    agreed(wrong)


def shape_of(told) -> str:
    content = told.get("requestBody", {}).get("content", {}).get("application/json", {})
    return content.get("schema", {}).get("$ref", "").rsplit("/", 1)[-1].removeprefix("Patched")


def fields_of_both(document) -> dict[tuple[str, str], str]:
    """{(shape, field): post or patch} where a row is made and changed in one shape: half of its fields each way."""
    shapes = document["components"]["schemas"]
    return {
        (name, field): junk.chosen(("post", "patch"), name + field)
        for name, shape in shapes.items()
        if f"Patched{name}" in shapes
        for field in shape["properties"]
    }


def plausible_body(told, document, rows) -> dict:
    content = told.get("requestBody", {}).get("content", {}).get("application/json")
    body = junk.plausible(content["schema"], document["components"]["schemas"]) if content else {}
    for field in set(body) & ({*ROWS} | {*rows}):
        body[field] = str(rows[ROWS.get(field, field)].pk)
    return body


def test_no_body_takes_the_server_down(world, document, send):
    wrong = []
    for name, method, url, _ in operations(world[0], document, ("post", "put", "patch", "delete")):
        media, body = junk.chosen(junk.BODIES, f"{name} {method}")
        if said := complaint(send(method, url, media, body)):
            wrong.append(f"{method} {url} with {body[:40]!r} as {media!r}: {said}")
    agreed(wrong)


def test_no_question_takes_the_server_down(world, document, send):
    wrong = []
    for name, method, url, told in operations(world[0], document, ("get",)):
        asked = [each["name"] for each in told.get("parameters", []) if each["in"] == "query"]
        first = {"search": junk.NUL} if "search" in asked else {"page": "-1"}
        every = {each: junk.chosen(junk.QUESTIONS, f"{name} {each}") for each in asked}
        for question in (first, every) if every else (first,):
            if said := complaint(send(method, f"{url}?{urlencode(question)}")):
                wrong.append(f"{method} {url} asked {question}: {said}")
    agreed(wrong)


def test_no_form_of_a_page_takes_the_server_down(world, send):
    """Every field of every form with junk; then only what is typed, beside what was picked."""
    wrong, seen = [], {("post", reverse("logout"))}
    for url in pages(world[0]):
        for form in forms_in(send("get", url), url):
            what = form.method, form.action.split("?")[0]
            if what in seen:
                continue
            seen.add(what)
            form_name = f"{form.method} {resolve(what[1]).view_name}"  # no id of a row: the same junk in each run
            for names in (set(form.values), form.typed):
                junked = {name: junk.chosen(TYPED, f"{form_name} {name}") for name in sorted(names)}
                if (status := sent(send, form, form.values | junked)) >= 500:
                    wrong.append(f"{form.method} {form.action} with {junked}: {status}")
    agreed(wrong)


def pages(rows):
    for route in routes():
        rule = RULES.get(route.name)
        if rule and not route.api and "get" in route.methods and rule.needs("get"):
            yield url_of(route, rule, rows)


def sent(send, form, values) -> int:
    encoded = urlencode(values)
    if form.method == "get":
        return send("get", f"{form.action.split('?')[0]}?{encoded}").status_code
    return send("post", form.action, "application/x-www-form-urlencoded", encoded).status_code


def test_no_header_takes_the_server_down(world, send):
    rows, _ = world
    persona = {"name": "Fresh", "department": str(rows["department"].pk)}
    run = {each: str(rows[each].pk) for each in ("vm", "template", "persona")}
    wrong = []
    for url, body in (("/api/v1/personas/", persona), ("/api/v1/migrations/", run)):
        for header in ("X_REQUEST_ID", "IDEMPOTENCY_KEY", "IF_MATCH", "AUTHORIZATION", "ACCEPT"):
            for value in ("x" * 5_000, "\x7f", "Bearer mp_", "*/*;q=x"):
                if said := complaint(send("post", url, body=junk.encoded(body), **{f"HTTP_{header}": value})):
                    wrong.append(f"post {url} with {header} {value[:20]!r}: {said}")
    agreed(wrong)


def test_an_answer_names_its_request(client):
    assert client.get("/livez", headers={"x-request-id": "mine-7"})["X-Request-ID"] == "mine-7"
    assert len(client.get("/livez", headers={"x-request-id": "x" * 65})["X-Request-ID"]) == 36
