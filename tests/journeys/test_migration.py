"""A department admin's whole way: log in, connect a source, scan, take the suggestion, see the plan, migrate, verify.

A real disk, real workers, a real guest that boots: the pages are the only thing that the person touches.
"""

import os
import shutil

import pytest
from django.conf import settings
from playwright.sync_api import expect

from config.quickstart.guests import build_guest
from migrations_engine.models import MigratedVM
from migrations_engine.services.targets import target_ensure_local
from migrations_engine.targets.registry import open_target
from personas.services.catalogue import catalogue_install
from templates_app.services.starter_templates import starter_templates_install
from tests import factories
from tests.journeys.browser import DESKTOP, PHONE
from tests.journeys.hands import Keyboard, Pointer
from tests.real import instance
from tests.real.estate import sha256

MIGRATION_MS = 240_000  # emulation on two busy cores
WORK_MS = 60_000


@pytest.fixture
def company(transactional_db):
    """An instance as quickstart seeds it, with one disk image that nobody has looked at yet."""
    root = factories.make_user("root", superuser=True)
    catalogue_install(by=root)
    starter_templates_install(by=root)
    target_ensure_local(by=root)
    images = settings.IMAGE_ROOTS[0] / "journey"
    images.mkdir(parents=True)
    guest = build_guest("tiny-web", settings.CACHE_DIR / "guests")
    os.link(guest.path, images / "shop-web-01.raw")
    yield images
    shutil.rmtree(images)
    target = open_target("qemu", root=settings.DISKS_DIR)
    for machine in target.machines():
        target.destroy(machine.key)


@pytest.mark.once
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("screen", "by"),
    [(DESKTOP, "pointer"), (PHONE, "pointer"), (DESKTOP, "keyboard")],
    indirect=["screen"],
    ids=["1280", "390", "keyboard-only"],
)
def test_admin_migrates_a_machine_from_login_to_the_verified_vm(page, by, company, workers):
    hand = Keyboard(page) if by == "keyboard" else Pointer()
    admin = factories.make_member(factories.make_department("Web Shop"), role="admin", name="wanda")
    disk = company / "shop-web-01.raw"
    before = sha256(disk)

    _log_in(page, hand, admin)
    _connect_source(page, hand, company)
    _scan(page, hand)
    _accept_suggestion(page, hand)
    _choose_and_start(page, hand)
    expect(page.get_by_text("exit code 0")).to_be_visible(timeout=MIGRATION_MS)
    expect(page.get_by_text("Succeeded").first).to_be_visible(timeout=WORK_MS)

    hand.press(page.get_by_role("link", name="Open the machine"))
    expect(page.get_by_role("heading", name="shop-web-01", level=1)).to_be_visible()
    expect(page.get_by_text("As asked").first).to_be_visible()
    machine = MigratedVM.objects.get()
    assert {row["verdict"] for row in machine.verification} == {"pass"}
    assert machine.run.created_by == admin
    assert sha256(disk) == before

    hand.press(page.get_by_role("link", name="Remove"))
    hand.press(page.get_by_role("dialog").get_by_role("button", name="Remove"))
    expect(page.get_by_text("Removed").first).to_be_visible(timeout=WORK_MS)
    assert instance.processes_that_name(settings.DISKS_DIR) == []


def _log_in(page, hand, user):
    page.goto("/login/")
    hand.write(page.get_by_label("Username"), user.get_username())
    hand.write(page.get_by_label("Password"), factories.PASSWORD)
    hand.press(page.get_by_role("button", name="Log in"))
    expect(page.get_by_role("heading", name="Home", level=1)).to_be_visible()


def _connect_source(page, hand, images):
    hand.press(page.get_by_role("main").get_by_role("link", name="Sources"))  # of the first steps
    hand.press(page.get_by_role("link", name="New source").first)
    hand.write(page.get_by_label("Name"), "Shop images")
    hand.write(page.get_by_label("Directory"), str(images))
    hand.press(page.get_by_role("button", name="Save"))
    hand.press(page.get_by_role("button", name="Discover"))
    machine = page.get_by_role("link", name="shop-web-01")
    expect(machine).to_be_visible(timeout=WORK_MS)
    hand.press(machine)


def _scan(page, hand):
    hand.press(page.get_by_role("button", name="Scan"))
    expect(page.get_by_text("Scanned")).to_be_visible(timeout=WORK_MS)
    expect(page.get_by_text("Debian GNU/Linux 12").first).to_be_visible()


def _accept_suggestion(page, hand):
    expect(page.get_by_text("Suggested persona")).to_be_visible()
    hand.press(page.get_by_role("button", name="Accept"))
    expect(page.get_by_role("button", name="Accept")).to_be_hidden()


def _choose_and_start(page, hand):
    hand.press(page.get_by_role("link", name="Migrate", exact=True))
    expect(page.get_by_role("heading", name="For whom?")).to_be_visible()
    hand.press(page.get_by_role("link", name="Take WebDev"))
    hand.press(page.get_by_role("link", name="Choose Debian server to QEMU"))
    expect(page.get_by_role("heading", name="The plan")).to_be_visible()
    expect(page.get_by_text("Settings, and who set them")).to_be_visible()
    hand.press(page.get_by_role("button", name="Start the migration"))
