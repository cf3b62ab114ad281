"""Every page there is, with something on it: fits its screen, can be used by everybody, keeps to its own policy."""

import json

import pytest

from migrations_engine.targets import registry
from tests.journeys.browser import (
    DESKTOP,
    PHONE_DARK,
    accessibility_violations,
    evaluate,
    settle,
    show_on,
    sideways_scroll_px,
    titles,
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
    """Each is loaded as the one before it was left and then made the other: narrow and dark, or wide and light."""
    deciding = f"/migrations/{site.deciding.pk}/"
    paths = [*site.paths(), f"/migrations/{site.failed.pk}/", deciding, f"{deciding}decide/force/"]
    assert len(paths) > 50, paths
    login(site.admin)
    troubles, (now, then) = {}, (PHONE_DARK, DESKTOP)
    for path in paths:
        page.goto(path)
        for screen in (now, then):
            if screen != now:
                show_on(page, screen)
            if found := troubles_of(page) + watch.take():
                troubles[f"{path} on {screen}"] = found
        now, then = then, now
    assert troubles == {}


# what is said of it → (markup, style of all in it: by script, since the page's policy allows none in the markup)
PLANTED = {
    "color-contrast": ("<p>Faint</p>", "color: light-dark(#ddd, #222); background: light-dark(#eee, #111)"),
    "image-alt": ("<img width=20 height=20>", ""),
    "target-size": ("<a href='/a'>a</a><br><a href='/b'>b</a>", "font-size: 4px; line-height: 4px"),
    "wider than the screen": ("<p>Wide</p>", "width: 3000px"),
    "seen headings": ("<h1>Another</h1>", ""),
}


@pytest.mark.parametrize("screen", [PHONE_DARK, DESKTOP], ids=str, indirect=True)
def test_a_planted_fault_is_found(page, screen):
    page.goto("/login/")
    assert troubles_of(page) == []
    for fault, (markup, style) in PLANTED.items():
        div = f"Object.assign(document.createElement('div'), {{id: 'planted', innerHTML: {json.dumps(markup)}}})"
        evaluate(page, f"document.querySelector('main').append({div})")
        styled = f"for (const each of planted.querySelectorAll('*')) each.style.cssText = {json.dumps(style)}"
        evaluate(page, styled)
        assert any(fault in told for told in troubles_of(page)), fault
        evaluate(page, "planted.remove()")


def troubles_of(page) -> list[str]:
    settle(page)
    found = accessibility_violations(page)
    if len(seen := titles(page)) != 1:
        found.append(f"seen headings: {seen}")
    if (wider := sideways_scroll_px(page)) > 0:
        found.append(f"{wider} px wider than the screen")
    return found
