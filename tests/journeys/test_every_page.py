"""Every page there is, with something on it: fits its screen, can be used by everybody, keeps to its own policy."""

import pytest
from playwright.sync_api import expect

from migrations_engine.targets import registry
from tests.journeys.browser import (
    DESKTOP,
    Screen,
    accessibility_violations,
    settle,
    sideways_scroll_px,
)
from tests.journeys.site import make_site
from tests.migrations_engine.fake_target import FakeTarget, World

PHONE_DARK = Screen(390, 844, "dark")  # with DESKTOP: both widths and both themes, each page twice

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.once,  # what a page looks like does not depend on the database
]


@pytest.fixture
def site(transactional_db, tmp_path, monkeypatch):
    monkeypatch.setattr(FakeTarget, "world", World())
    monkeypatch.setitem(registry.TARGETS, "qemu", FakeTarget)
    return make_site(tmp_path, FakeTarget.world, monkeypatch)


@pytest.mark.parametrize("screen", [DESKTOP, PHONE_DARK], ids=str, indirect=True)
def test_every_page_is_accessible_and_fits_its_screen(page, screen, login, watch, site):
    deciding = f"/migrations/{site.deciding.pk}/"
    paths = [*site.paths(), f"/migrations/{site.failed.pk}/", deciding, f"{deciding}decide/force/"]
    assert len(paths) > 50, paths
    login(site.admin)
    troubles = {}
    for path in paths:
        page.goto(path)
        expect(page.get_by_role("heading", level=1), f"{path} has a visible heading").to_be_visible()
        settle(page)
        found = accessibility_violations(page) + watch.take()
        if (wider := sideways_scroll_px(page)) > 0:
            found.append(f"{wider} px wider than the screen")
        if found:
            troubles[path] = found
    assert troubles == {}
