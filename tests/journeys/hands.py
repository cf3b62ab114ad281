"""How a person uses a page: with a pointer, or with nothing but the keyboard."""

from playwright.sync_api import Locator, Page, expect

MOST_TABS = 80  # more stops than this before a control, and nobody would get there


class Pointer:
    def press(self, control: Locator) -> None:
        control.click()

    def write(self, box: Locator, text: str) -> None:
        box.fill(text)


class Keyboard:
    """Reaches a control as a person without a pointer does: by Tab, past the side bar with the skip link."""

    def __init__(self, page: Page):
        self.page = page

    def press(self, control: Locator) -> None:
        self._reach(control)
        self.page.keyboard.press("Enter")

    def write(self, box: Locator, text: str) -> None:
        self._reach(box)
        self.page.keyboard.press("ControlOrMeta+a")
        self.page.keyboard.type(text)

    def _reach(self, control: Locator) -> None:
        expect(control).to_be_visible()
        for _ in range(MOST_TABS):
            if control.evaluate("element => element === document.activeElement"):
                return
            self.page.keyboard.press("Tab")
            skip_link = self.page.get_by_role("link", name="Skip to content")
            if skip_link.count() and skip_link.evaluate("element => element === document.activeElement"):
                self.page.keyboard.press("Enter")
        raise AssertionError(f"{MOST_TABS} presses of Tab do not reach {control}")
