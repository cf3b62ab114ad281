"""A department's admin tries personas on a template and sees who sets what."""

import re

import pytest
from playwright.sync_api import expect

from tests import factories
from tests.journeys.browser import accessibility_violations, both_widths, sideways_scroll_px

pytestmark = pytest.mark.once  # tests/templates_app merges on both databases


@pytest.fixture
def anna(live_server):
    return factories.make_member(factories.make_department("Databases"), "admin", "anna")


@pytest.fixture
def template(anna):
    department = anna.departments.get()
    factories.make_persona(
        "DatabaseAdmin", department=department, packages=["postgresql-15"], firmware="bios", machine="pc"
    )
    factories.make_persona("WebDev", department=department, packages=["nginx"], firmware="uefi")
    return factories.make_template(
        "Debian", department=department, packages=["curl"], machine="q35", firmware="keep", locks=["machine"]
    )


def row(page, path):
    return page.locator(".origins-row").filter(has=page.get_by_text(path, exact=True))


@both_widths
def test_personas_are_added_ordered_and_taken_out(page, login, anna, template):
    login(anna)
    page.goto(f"/templates/{template.pk}/merge/")
    expect(row(page, "firmware")).to_contain_text("keep")

    page.get_by_label("Add a persona").select_option("DatabaseAdmin (Databases)")
    expect(row(page, "firmware")).to_contain_text("bios")
    page.get_by_label("Add a persona").select_option("WebDev (Databases)")
    expect(row(page, "firmware")).to_contain_text("uefi")
    expect(row(page, "firmware").locator("s")).to_have_text(["keep", "bios"])
    expect(row(page, "packages").locator(".chip-added")).to_contain_text(["postgresql-15", "nginx"])
    expect(row(page, "machine")).to_contain_text("refused: pc")

    page.get_by_role("link", name="Apply later").press("Enter")
    expect(row(page, "firmware")).to_contain_text("bios")
    expect(row(page, "firmware").locator("s")).to_have_text(["keep", "uefi"])
    page.get_by_role("link", name="Take out").first.press("Enter")
    expect(page.locator(".merge-layer")).to_have_count(2)
    expect(page).to_have_url(re.compile(r"persona=[0-9a-f-]{36}(&|$)"))

    page.reload()  # the address says it all
    expect(page.locator(".merge-layer")).to_have_count(2)
    assert sideways_scroll_px(page) == 0
    assert accessibility_violations(page) == []


def test_only_changes_and_what_a_launch_would_ask(page, login, anna, template):
    login(anna)
    page.goto(f"/templates/{template.pk}/merge/")
    page.get_by_label("Only what changes").check()
    expect(row(page, "firmware")).to_have_count(0)
    page.get_by_text("What if this launch asked for").click()
    page.get_by_label("Asked for at launch").fill("firmware: null")
    page.get_by_role("button", name="Merge").click()
    expect(row(page, "firmware")).to_contain_text("not set")
    expect(row(page, "firmware")).to_contain_text("this launch")

    page.get_by_label("Asked for at launch").fill("resources: {vcpus: many}")
    page.get_by_role("button", name="Merge").click()
    expect(page.get_by_role("alert")).to_contain_text("launch: resources.vcpus")
    expect(page.get_by_label("Asked for at launch")).to_have_value("resources: {vcpus: many}")
    assert accessibility_violations(page) == []


def test_the_merge_can_be_taken_away_as_json(page, login, anna, template):
    login(anna)
    page.goto(f"/templates/{template.pk}/merge/")
    with page.expect_download() as download:
        page.get_by_role("link", name="JSON").click()
    assert download.value.suggested_filename == "merge-debian.json"
