"""The components in a real browser: on every screen, in both themes, with the page's own CSP."""

import pytest
from playwright.sync_api import expect

from tests.factories import make_user
from tests.journeys.browser import (
    SCREENS,
    accessibility_violations,
    both_widths,
    scroll_from_end_px,
    show_on,
    sideways_scroll_px,
)

pytestmark = [
    pytest.mark.urls("tests.journeys.gallery.urls"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.once,  # what a page looks like does not depend on the database
]


@pytest.fixture
def anna(login):
    anna = make_user("anna", superuser=True)
    login(anna)
    return anna


@pytest.fixture
def people(django_user_model):
    django_user_model.objects.bulk_create(
        django_user_model(username=f"person-{n:02}", is_staff=n % 2 == 0) for n in range(23)
    )


@pytest.mark.parametrize("path", ["/", "/gallery/", "/gallery/list/", "/gallery/form/", "/gallery/delete/"])
def test_a_page_is_accessible_and_fits_its_screen(page, anna, people, path):
    page.goto(path)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    accessible_on_every_screen(page)


def test_the_login_page_is_accessible_and_says_what_is_wrong(page):
    make_user("anna")
    page.goto("/login/")
    accessible_on_every_screen(page)
    page.get_by_label("Username").fill("anna")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_contain_text("correct username and password")
    expect(page.get_by_label("Username")).to_have_value("anna")
    accessible_on_every_screen(page)


def accessible_on_every_screen(page):
    for screen in SCREENS:
        show_on(page, screen)
        assert accessibility_violations(page) == [], str(screen)
        assert sideways_scroll_px(page) == 0, str(screen)


@both_widths
def test_a_missing_page_says_so_and_leads_home(page, watch, anna):
    watch.expect(404)
    page.goto("/no/such/page/")
    expect(page.get_by_role("heading", name="No such page")).to_be_visible()
    assert accessibility_violations(page) == []
    page.get_by_role("link", name="Home").click()
    expect(page.get_by_role("heading", name="Home", level=1)).to_be_visible()


def test_a_crash_says_so_and_leads_home(page, watch, anna):
    watch.expect(500)
    page.goto("/gallery/crash/")
    expect(page.get_by_role("heading", name="Something broke")).to_be_visible()


def test_polling_stops_by_itself(page, anna):
    page.goto("/gallery/")
    expect(page.get_by_text("Step 3")).to_be_visible()
    with page.expect_response("**/gallery/chart.json"):
        page.reload()  # asks once more, is answered 286 and stops
    expect(page.get_by_text("Step 4")).to_be_visible()


def test_a_log_shows_its_end(page, anna):
    page.goto("/gallery/")
    log = page.locator("#run-log")
    expect(log).to_contain_text("copied 1700 of 1717 MiB")
    assert scroll_from_end_px(page, "#run-log") < 2


def test_a_chart_is_drawn_and_told_in_words(page, anna):
    page.goto("/gallery/")
    expect(page.locator("[data-chart] canvas")).to_be_visible()
    expect(page.locator("[data-chart-note]")).to_contain_text("p95 54 %")


def test_searching_renews_the_list_and_the_address(page, anna, people):
    page.goto("/gallery/list/")
    expect(page.get_by_text("1–10 of 24")).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("person-07")
    expect(page.get_by_text("1–1 of 1")).to_be_visible()
    expect(page.locator("#list-status")).to_have_text("1 found")
    expect(page).to_have_url("/gallery/list/?search=person-07")
    page.reload()
    expect(page.get_by_text("1–1 of 1")).to_be_visible()


def test_sorting_and_paging_keep_what_was_chosen(page, anna, people):
    page.goto("/gallery/list/?is_staff=true")
    page.get_by_role("link", name="Name").click()
    expect(page.locator("th[aria-sort=ascending]")).to_have_text("Name")
    page.get_by_role("link", name="Name").click()
    expect(page.locator("tbody tr").first).to_contain_text("person-22")
    page.get_by_role("link", name="Next").click()
    expect(page.get_by_text("11–13 of 13")).to_be_visible()
    expect(page).to_have_url("/gallery/list/?is_staff=true&ordering=-username&page=2")


def test_nothing_found_offers_the_way_back(page, anna):
    page.goto("/gallery/list/?search=nobody-is-called-so")
    expect(page.get_by_role("heading", name="Nothing matches")).to_be_visible()
    page.get_by_role("link", name="Clear search and filters").click()
    expect(page.get_by_text("1–1 of 1")).to_be_visible()


def test_a_wrong_form_keeps_what_was_typed_and_leads_to_each_field(page, anna):
    page.goto("/gallery/form/")
    page.get_by_label("Name").fill("DatabaseAdmin")
    page.get_by_label("vCPUs").fill("0")
    page.get_by_label("Tags").fill("{not json")
    page.get_by_role("button", name="Save").click()
    summary = page.get_by_role("alert")
    expect(summary).to_be_focused()
    expect(summary).to_contain_text("2 fields need another look")
    expect(page.get_by_label("Name")).to_have_value("DatabaseAdmin")
    expect(page.get_by_label("Tags")).to_have_value("{not json")
    expect(page.get_by_label("vCPUs")).to_have_accessible_description(
        "Ensure this value is greater than or equal to 1."
    )
    summary.get_by_role("link", name="vCPUs").click()
    expect(page.get_by_label("vCPUs")).to_be_focused()
    assert accessibility_violations(page) == []


def test_a_confirmation_is_a_dialog_that_can_be_left_by_keyboard(page, anna):
    page.goto("/gallery/list/")
    page.get_by_role("link", name="Delete").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("Delete the persona")).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.get_by_role("link", name="Delete").first.click()
    dialog.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("status")).to_contain_text("Gone.")


def test_the_theme_is_kept_and_shared_with_the_admin(page, anna):
    page.goto("/gallery/list/")
    html = page.locator("html")
    expect(html).to_have_attribute("data-bs-theme", "light")
    page.get_by_role("button", name="Dark theme").click()
    expect(html).to_have_attribute("data-bs-theme", "dark")
    page.goto("/admin/")
    expect(html).to_have_attribute("data-theme", "dark")
    page.goto("/gallery/list/")
    expect(html).to_have_attribute("data-bs-theme", "dark")
    page.get_by_role("button", name="Light theme").click()
    expect(html).to_have_attribute("data-bs-theme", "light")


@both_widths
def test_the_side_bar_leads_everywhere_by_keyboard(page, screen, anna):
    page.goto("/gallery/list/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    if screen.width < 992:
        page.get_by_role("button", name="Menu").press("Enter")
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Home").press("Enter")
    expect(page.get_by_role("heading", name="Home", level=1)).to_be_visible()


def test_logging_out_ends_at_the_login_page(page, anna):
    page.goto("/")
    page.locator("summary", has_text="anna").click()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()


@pytest.mark.parametrize("path", ["/admin/", "/admin/auth/user/", "/api/docs/"])
def test_what_is_not_ours_keeps_to_our_content_security_policy(page, anna, path):
    page.goto(path)
    expect(page.get_by_role("heading").first).to_be_visible()


def test_a_server_that_is_gone_is_said_and_taken_back(page, watch, anna):
    page.goto("/gallery/list/")
    page.route("**/gallery/list/?*", lambda route: route.abort("connectionrefused"))
    page.get_by_label("Search").fill("a")
    trouble = page.get_by_text("The server does not answer.")
    expect(trouble).to_be_visible()
    page.unroute("**/gallery/list/?*")
    page.get_by_label("Search").fill("an")
    expect(trouble).to_be_hidden()
    told = watch.take()
    assert any("ERR_CONNECTION_REFUSED" in each for each in told)
    assert all("ERR_CONNECTION_REFUSED" in each or "htmx:" in each for each in told), told
