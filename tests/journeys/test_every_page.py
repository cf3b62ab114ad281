"""Every page there is, with something on it: fits its screen, can be used by everybody, keeps to its own policy."""

import pytest
from playwright.sync_api import expect

from migrations_engine.targets import registry
from tests.journeys.browser import (
    DESKTOP,
    PHONE_DARK,
    accessibility_violations,
    settle,
    show_on,
    sideways_scroll_px,
)
from tests.journeys.site import make_site
from tests.migrations_engine.fake_target import FakeTarget, World

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.once,  # what a page looks like does not depend on the database
]


@pytest.fixture
def site(transactional_db, tmp_path, monkeypatch):
    monkeypatch.setattr(FakeTarget, "world", World())
    monkeypatch.setitem(registry.TARGETS, "qemu", FakeTarget)
    return make_site(tmp_path, FakeTarget.world, monkeypatch)


@pytest.mark.parametrize("screen", [PHONE_DARK], ids=str, indirect=True)
def test_every_page_is_accessible_and_fits_its_screen(page, login, watch, site):
    """Each is loaded narrow and dark, where it is harder to fit, and then made wide and light: both of either."""
    deciding = f"/migrations/{site.deciding.pk}/"
    paths = [*site.paths(), f"/migrations/{site.failed.pk}/", deciding, f"{deciding}decide/force/"]
    assert len(paths) > 50, paths
    login(site.admin)
    troubles = {}
    for path in paths:
        show_on(page, PHONE_DARK)
        page.goto(path)
        for screen in (PHONE_DARK, DESKTOP):
            show_on(page, screen)
            if found := troubles_of(page, path) + watch.take():
                troubles[f"{path} on {screen}"] = found
    assert troubles == {}


def troubles_of(page, path: str) -> list[str]:
    expect(page.get_by_role("heading", level=1), f"{path} has a visible heading").to_be_visible()
    settle(page)
    found = accessibility_violations(page)
    if (wider := sideways_scroll_px(page)) > 0:
        found.append(f"{wider} px wider than the screen")
    return found
