"""What a journey needs of a browser: screens, what to watch while it runs, the accessibility check."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from weakref import WeakKeyDictionary

import pytest
from playwright.sync_api import expect

SESSIONS: WeakKeyDictionary = WeakKeyDictionary()  # page → its debugging session, wherever it goes
AXE = Path(__file__).parent / "vendor" / "axe.min.js"
CHROMIUM_ARGS = [
    "--no-sandbox",  # the tests may run as root, where Chromium's own sandbox refuses to start
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",  # it would ask hosts that this machine cannot reach, and print errors
    "--disable-component-update",
    "--disable-sync",
]


@dataclass(frozen=True)
class Screen:
    width: int
    height: int
    scheme: str

    def __str__(self):
        return f"{self.width}-{self.scheme}"


DESKTOP = Screen(1280, 800, "light")
PHONE = Screen(390, 844, "light")
PHONE_DARK = Screen(390, 844, "dark")
SCREENS = [PHONE_DARK, PHONE, DESKTOP, Screen(1280, 800, "dark")]

both_widths = pytest.mark.parametrize(
    "screen",
    [DESKTOP, pytest.param(PHONE, marks=pytest.mark.once)],  # a width does not depend on the database
    ids=str,
    indirect=True,
)


@dataclass
class Watch:
    """Everything that went wrong behind the page. `expect(404)` before a step that is meant to be refused."""

    troubles: list[str] = field(default_factory=list)
    expected: set[int] = field(default_factory=set)

    def expect(self, *statuses: int) -> None:
        self.expected.update(statuses)

    def take(self) -> list[str]:
        """The troubles so far, for a journey that brings them about; they no longer fail it."""
        taken, self.troubles = self.troubles, []
        return taken

    def follow(self, page) -> None:
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.troubles.append(f"script error: {error}"))
        page.on("requestfailed", self._failed)
        page.on("response", self._response)

    def _console(self, message):
        # the status of a failed load is judged by `_response`; a CSP violation is a console error and stays here
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self.troubles.append(f"console: {message.text}")

    def _failed(self, request):
        # ERR_ABORTED: the page was left while it was still polling
        if "ERR_ABORTED" not in (request.failure or ""):
            self.troubles.append(f"request failed: {request.method} {request.url}: {request.failure}")

    def _response(self, response):
        if response.status >= 400 and response.status not in self.expected:
            self.troubles.append(f"{response.status} for {response.request.method} {response.url}")


def show_on(page, screen: Screen) -> None:
    """The page as it is, on another screen: the theme follows the system's while it is open."""
    page.set_viewport_size({"width": screen.width, "height": screen.height})
    page.emulate_media(color_scheme=screen.scheme)


def evaluate(page, expression: str):
    """The value of a JavaScript expression (promises are awaited), over the debugging protocol.

    The page's CSP does not apply there, so that the page under test keeps its own. Raises AssertionError with the
    script's own error.
    """
    if page not in SESSIONS:
        SESSIONS[page] = page.context.new_cdp_session(page)
    session = SESSIONS[page]
    answer = session.send(
        "Runtime.evaluate", {"expression": expression, "awaitPromise": True, "returnByValue": True}
    )
    assert "exceptionDetails" not in answer, answer["exceptionDetails"]
    return answer["result"].get("value")


def accessibility_violations(page) -> list[str]:
    """What axe finds against WCAG 2.2 AA on the page as it is now: one line for each rule, with the elements."""
    if not evaluate(page, "'axe' in window"):  # it stays with the page, on another screen too
        evaluate(page, AXE.read_text() + ";0")
    told = ["violations", "incomplete"]
    options = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"], "resultTypes": told}
    run = f"axe.run(document, {json.dumps(options)}).then(({{violations, incomplete}}) => ({{violations, incomplete}}))"
    found = evaluate(page, run)
    return [_violation(each) for each in found["violations"] + list(_invisible(found["incomplete"]))]


def _invisible(incomplete: list[dict]):
    """Text in the very colour of its ground: axe calls that undecided, a reader calls it missing."""
    for each in incomplete:
        nodes = [node for node in each["nodes"] if '"messageKey": "equalRatio"' in json.dumps(node)]
        if nodes:
            yield {**each, "nodes": nodes}


def _violation(each: dict) -> str:
    places = "; ".join(f"{node['html'][:120]} ({_reason(node)})" for node in each["nodes"][:4])
    return f"{each['id']}: {each['help']}: {places}"


def _reason(node: dict) -> str:
    return re.sub(r"\s+", " ", node.get("failureSummary", ""))[:200]


def settle(page) -> None:
    """Returns when the charts that the page has are drawn, or say why not."""
    if not evaluate(page, "document.querySelector('[data-chart-note]') !== null"):
        return
    notes = page.locator("[data-chart-note]")
    for n in range(notes.count()):
        expect(notes.nth(n)).not_to_have_text("Reading the figures…")


def sideways_scroll_px(page) -> int:
    """How many CSS pixels the page is wider than its screen; 0 is right."""
    return evaluate(page, "document.documentElement.scrollWidth - document.documentElement.clientWidth")


def titles(page) -> list[str]:
    """The headings of the first level that are to be seen; one is right."""
    seen = "each.checkVisibility({visibilityProperty: true}) && !each.closest('[aria-hidden=true]')"
    found = f"[...document.querySelectorAll('h1')].filter((each) => {seen})"
    return evaluate(page, f"{found}.map((each) => each.textContent.trim()).filter(Boolean)")


def scroll_from_end_px(page, selector: str) -> float:
    """How far an element that scrolls is from showing its end."""
    element = f"document.querySelector({json.dumps(selector)})"
    return evaluate(page, f"{element}.scrollHeight - {element}.scrollTop - {element}.clientHeight")
