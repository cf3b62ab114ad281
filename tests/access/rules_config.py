"""What the routes ask for that belong to no application."""

from tests.access.rule import Rule

SITE: dict[str, Rule] = {
    "login": Rule(public=True),
    "logout": Rule(public=True),
    "livez": Rule(public=True),
    "readyz": Rule(public=True),
    "api-schema": Rule(public=True),
    "api-docs": Rule(public=True),
    "api-root": Rule(write=None),
    "home": Rule(write=None),
}
