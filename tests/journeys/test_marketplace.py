"""One department shares a persona, another one reads its script and installs it."""

import pytest
from playwright.sync_api import expect

from tests import factories
from tests.journeys.browser import accessibility_violations, both_widths, sideways_scroll_px


@pytest.fixture
def alice(live_server):
    department = factories.make_department("Databases")
    script = factories.make_script("tune", body="#!/bin/sh\necho tuned\n", department=department)
    factories.make_persona(
        "Tuned PostgreSQL", department=department, packages=["postgresql-15"], post_migration_script=script
    )
    return factories.make_member(department, "admin", "alice")


@pytest.fixture
def bob(live_server):
    return factories.make_member(factories.make_department("Web shop"), "admin", "bob")


@both_widths
def test_a_persona_is_published_read_and_installed(page, login, alice, bob):
    login(alice)
    page.goto("/marketplace/publish/")
    page.get_by_label("Persona").select_option(label="Tuned PostgreSQL")
    page.get_by_label("Summary").fill("PostgreSQL, sized to the machine")
    page.get_by_label("Read me").fill("# Expects\n\nA machine with PostgreSQL.")
    page.get_by_label("Name of the new publisher").fill("DBA team")
    page.get_by_label("Licence").fill("whatever")
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_role("alert").first).to_contain_text("SPDX")
    page.get_by_label("Licence").fill("Apache-2.0")
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Tuned PostgreSQL")
    assert accessibility_violations(page) == []

    login(bob)
    page.goto("/marketplace/")
    page.get_by_role("link", name="Tuned PostgreSQL").click()
    expect(page.get_by_text("runs “tune” as root")).to_be_visible()
    page.get_by_role("link", name="Install").first.click()
    expect(page.get_by_text("echo tuned")).to_be_visible()
    assert sideways_scroll_px(page) == 0
    assert accessibility_violations(page) == []
    page.get_by_role("button", name="Install").click()
    expect(page.get_by_role("alert").first).to_contain_text("Read the script")
    page.get_by_label("I have read the script").check()
    page.get_by_role("button", name="Install").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Tuned PostgreSQL")
    expect(page.get_by_text("Installed Tuned PostgreSQL 1.0.0")).to_be_visible()
