"""Every route there is, and what it answers to whom."""

import json
from dataclasses import dataclass

from django.db import transaction
from django.urls import URLPattern, get_resolver, reverse
from rest_framework.test import APIClient

from tests.access.rule import Rule
from tests.access.rules import RULES

UNTOLD = ("head", "options", "trace")


@dataclass(frozen=True)
class Route:
    name: str
    pattern: str
    methods: tuple[str, ...]
    exact: bool  # the methods are known; a function may answer 405

    @property
    def api(self) -> bool:
        return self.pattern.startswith("api/")


def routes(resolver=None, prefix="", namespace="") -> list[Route]:
    found = []
    for entry in (resolver or get_resolver()).url_patterns:
        pattern = prefix + str(entry.pattern)
        if isinstance(entry, URLPattern):
            found.append(Route(namespace + (entry.name or pattern), pattern, *methods_of(entry.callback)))
        elif entry.namespace != "admin":  # walked by itself below
            inner = f"{namespace}{entry.namespace}:" if entry.namespace else namespace
            found += routes(entry, pattern, inner)
    return found


def methods_of(callback) -> tuple[tuple[str, ...], bool]:
    if getattr(callback, "actions", None):
        return tuple(
            m for m in callback.actions if m in callback.cls.http_method_names and m not in UNTOLD
        ), True
    view = getattr(callback, "view_class", getattr(callback, "cls", None))
    if view is None:
        return ("get", "post", "put", "delete"), False
    return tuple(m for m in view.http_method_names if hasattr(view, m) and m not in UNTOLD), True


def url_of(route: Route, rule: Rule, rows: dict) -> str:
    kwargs = {name: rows[value].pk if value in rows else value for name, value in rule.kwargs.items()}
    if rule.obj:
        kwargs["pk"] = rows[rule.obj].pk
    return reverse(route.name, kwargs=kwargs) + (f"?{rule.query}" if rule.query else "")


def answer(client, route: Route, method: str, url: str, rule: Rule) -> int:
    """The status; whatever the request wrote is taken back, and nothing that waits for a commit runs."""
    with transaction.atomic():
        if route.api and method != "get":
            body = json.dumps(rule.body) if rule.media == "application/json" else ""
            response = client.generic(method.upper(), url, body, content_type=rule.media)
        else:
            response = getattr(client, method)(url)
        transaction.set_rollback(True)
    if response.status_code == 302 and response.url.startswith(reverse("login")):
        return 401
    return response.status_code


def walk(rows, user, expected) -> list[str]:
    """Every route and method as `user`; what is not as `expected(rule, route, method, status)` says, in words."""
    client = APIClient(raise_request_exception=False)
    if user:
        client.force_login(user)
    wrong = []
    for route in sorted(routes(), key=lambda route: route.name == "logout"):  # which ends the session: last
        if route.name not in RULES:
            continue  # test_every_route_has_a_rule says so
        rule = RULES[route.name]
        for method in route.methods:
            if rule.needs(method) is None and not rule.public:
                if route.exact:
                    wrong.append(
                        f"{method.upper()} {route.name}: there is a method for which the rule has no role"
                    )
                continue
            status = answer(client, route, method, url_of(route, rule, rows), rule)
            told = expected(rule, route, method, status)
            if status >= 500 and route.name != "readyz":
                told = "no internal error"
            if told:
                wrong.append(f"{method.upper()} {route.name}: {status}, but {told}")
    return wrong


def agreed(wrong: list[str]) -> None:
    assert not wrong, "\n" + "\n".join(wrong)
