"""A real Chromium on a live server. A journey fails on any console error, CSP violation or failed request."""

import os
import shutil
from urllib.parse import urlparse, urlunparse

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from playwright.sync_api import expect, sync_playwright

from tests.journeys.browser import CHROMIUM_ARGS, DESKTOP, Watch
from tests.real import instance

# Playwright's synchronous interface runs an event loop in this thread, and Django would refuse the database there
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"

PATIENCE_MS = 20_000  # two busy cores; an expectation that holds returns at once


@pytest.fixture(scope="session")
def chromium():
    expect.set_options(timeout=PATIENCE_MS)
    Client().get("/livez")  # imports every view: the first page would spend its patience on that
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM_ARGS)
        yield browser
        browser.close()


@pytest.fixture
def screen(request):
    """The screen of this journey; `@both_widths` (tests/journeys/browser.py) asks for others."""
    return getattr(request, "param", DESKTOP)


@pytest.fixture
def watch():
    return Watch()


@pytest.fixture
def page(chromium, live_server, screen, watch):
    """A page with a browser profile of its own; `page.goto("/personas/")` is relative to the live server."""
    context = chromium.new_context(
        base_url=live_server.url,
        viewport={"width": screen.width, "height": screen.height},
        color_scheme=screen.scheme,
        has_touch=screen.width < 768,
        reduced_motion="reduce",
        locale="en-GB",
        timezone_id="UTC",
    )
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    watch.follow(page)
    yield page
    context.close()
    assert watch.troubles == []


@pytest.fixture
def login(page, live_server):
    """`login(user)`: the browser is theirs from now on, on no page yet. The form is gone through by test_migration."""

    def given_a_session(user):
        client = Client()
        client.force_login(user)
        session = {"name": settings.SESSION_COOKIE_NAME, "value": client.session.session_key}
        page.context.clear_cookies()
        page.context.add_cookies([{**session, "url": live_server.url}])

    return given_a_session


@pytest.fixture
def worker_environment() -> dict[str, str]:
    """What `workers` are told beside what every process of this test run is."""
    return {"DATABASE_URL": _database_url()}


@pytest.fixture
def workers(live_server, worker_environment):
    """A worker and a clock on the database that the live server shows."""
    worker, clock = instance.worker(**worker_environment), instance.clock(**worker_environment)
    with instance.running(worker, clock):
        yield worker


def _database_url() -> str:
    name = str(connection.settings_dict["NAME"])
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}"
    return urlunparse(urlparse(os.environ["DATABASE_URL"])._replace(path=f"/{name}"))
