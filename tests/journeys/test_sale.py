"""A persona is sold: written, refused by the checks, mended, approved by a second person; tried, bought, let in, run
on a real guest and rated by another department; updated after a look at what it does more; an order given back. It
runs three scripts in three languages and phases, and is given a value and a secret by whoever installs it.

The pages are the only thing that the people touch; the guest, its disk and the workers are real.
"""

import pytest
from django.conf import settings
from playwright.sync_api import expect

from marketplace.models import Order
from marketplace.models.ledger import AccountKind
from marketplace.services.publishing import publisher_create
from migrations_engine.models import MigratedVM
from migrations_engine.services.progress import script_outcomes
from migrations_engine.targets.registry import open_target
from personas.models import Script
from personas.services.scripts import script_create
from tests import factories
from tests.journeys.browser import accessibility_violations
from tests.journeys.test_migration import MIGRATION_MS, WORK_MS
from tests.marketplace.shop import grant, held, ledger_is_balanced, take_fee
from tests.real import instance
from tests.real.estate import real_estate, sha256

BROKEN = '#!/bin/sh\nif [ -d /etc ]; then\n  echo "limits raised"\n'
MENDED = BROKEN + "fi\n"
CHANGED = MENDED + 'echo "and the kernel told"\n'
LISTEN = '#!/usr/bin/env bash\ntold=("port $PORT" "bash ${BASH_VERSINFO[0]}")\nprintf "%s\\n" "${told[@]}"\n'
REPORT = 'import os\n\nkey = os.environ["KEY"]\nprint("the key is", key, "of", len(key))\n'
ENTRIES = [
    {"name": "report", "phase": "after_checks", "secrets": {"KEY": "api-key"}},
    {"name": "listen", "phase": "first_boot", "order": 5, "os": ["debian"]},
]
KEY = "c4n4ry-of-the-buyer"


@pytest.fixture
def shop(transactional_db):
    """The buyer's machine, which nobody has scanned yet, with a template and a target; removed at the end."""
    estate = real_estate(
        "tiny-scripted", script="true", template={"name": "To QEMU"}, persona={"name": "Ours"}
    )
    factories.make_secret("our-key", department=estate.vm.department, value=KEY)
    yield estate
    target = open_target("qemu", root=settings.DISKS_DIR)
    for machine in target.machines():
        target.destroy(machine.key)


@pytest.fixture
def sellers(transactional_db):
    """(who writes, who approves): two admins of a department whose publisher asks for four eyes."""
    databases = factories.make_department("Databases")
    writes = factories.make_member(databases, "admin", "wendy")
    script = factories.make_script("Raise limits", slug="raise-limits", body=BROKEN, department=databases)
    parameters = [{"name": "PORT", "kind": "integer"}]
    own = {"by": writes, "department": databases}
    script_create(name="Listen", body=LISTEN, interpreter="bash", parameters=parameters, **own)
    script_create(name="Report", body=REPORT, interpreter="python3", **own)
    columns = {
        "post_migration_script": script,
        "script_entries": ENTRIES,
        "monitoring_tags": {"team": "databases"},
    }
    factories.make_persona("Raised limits", department=databases, **columns)
    publisher_create(by=writes, department=databases, name="DBA team", needs_second_person=True)
    return writes, factories.make_member(databases, "admin", "adam")


@pytest.mark.once
@pytest.mark.timeout(900)
def test_a_persona_is_sold_from_the_first_draft_to_a_refund(page, login, shop, sellers, workers):
    writes, approves = sellers
    buyer, department = shop.operator, shop.vm.department
    before = sha256(shop.disk)
    take_fee(1000)
    grant(department, 100)

    login(writes)
    publish_what_the_checks_let_through(page)
    set_the_price(page)
    login(approves)
    approve(page, "1.0.0")

    login(buyer)
    try_it_on_ones_own_machine(page, shop.vm)
    buy(page, runs=2)
    install(page, department)
    migrate(page, shop.vm)
    assert KEY not in workers.said()
    rate(page)
    assert sha256(shop.disk) == before

    login(writes)
    hand_in_another_script(page)
    login(approves)
    approve(page, "1.1.0")

    login(buyer)
    update_after_a_look(page)
    buy(page, runs=3)
    give_back(page)

    assert ledger_is_balanced()
    earned = held(AccountKind.EARNINGS, writes.memberships.get().department)
    told = [held(AccountKind.WALLET, department), earned, held(AccountKind.FEE)]
    assert told == [80, 18, 2]  # of 100: two runs at 10, less a tenth; the three others are given back
    assert held(AccountKind.ESCROW) == 0
    assert sorted(Order.objects.values_list("state", "quantity")) == [("paid", 2), ("refunded", 3)]


def to_the_listing(page):
    page.goto("/marketplace/")
    page.get_by_role("link", name="Raised limits").click()
    expect(page.get_by_role("heading", name="Raised limits", level=1)).to_be_visible()


def publish_what_the_checks_let_through(page):
    page.goto("/marketplace/publish/")
    page.get_by_label("Persona").select_option(label="Raised limits")
    page.get_by_label("Publisher", exact=True).select_option(label="DBA team")
    page.get_by_label("Summary").fill("For database servers: limits raised, team tagged.")
    page.get_by_label("What is new").fill("added: the first version")
    page.get_by_role("button", name="Publish").click()
    told = page.get_by_role("alert").first
    expect(told).to_contain_text("Write a read me")
    expect(told).to_contain_text("scripts.raise-limits: line")  # and which: shellcheck's own words follow
    write_the_script(page, MENDED)
    page.goto("/marketplace/publish/")
    page.get_by_label("Persona").select_option(label="Raised limits")
    page.get_by_label("Publisher", exact=True).select_option(label="DBA team")
    page.get_by_label("Summary").fill("For database servers: limits raised, team tagged.")
    page.get_by_label("Read me").fill("# Expects\n\nA Linux with a shell.\n\n# Changes\n\nLimits, and a tag.")
    page.get_by_label("What is new").fill("added: the first version")
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_text("a second person approves it")).to_be_visible()
    expect(page.get_by_role("heading", name="Raised limits", level=1)).to_be_visible()


def write_the_script(page, body):
    page.goto(f"/scripts/{Script.objects.get(slug='raise-limits', department__name='Databases').pk}/edit/")
    page.get_by_label("Text").fill(body)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Raise limits", level=1)).to_be_visible()


def set_the_price(page):
    page.get_by_role("link", name="Set the price").click()
    page.get_by_label("Sold").select_option(label="Per run")
    page.get_by_label("Amount").fill("10")
    page.get_by_role("button", name="Set the price").click()
    expect(page.get_by_text("10 credits per run").first).to_be_visible()


def approve(page, version):
    page.goto("/marketplace/submissions/")
    page.get_by_role("link", name=version).click()
    expect(page.get_by_text("runs “Raise limits” as root").first).to_be_visible()
    assert accessibility_violations(page) == []
    page.get_by_role("button", name="Approve and publish").click()
    expect(page.get_by_text("it is published")).to_be_visible()


def try_it_on_ones_own_machine(page, vm):
    page.goto(vm.get_absolute_url())
    page.get_by_role("button", name="Scan").click()
    expect(page.get_by_text("Scanned")).to_be_visible(timeout=WORK_MS)
    to_the_listing(page)
    expect(page.get_by_text("when bought").first).to_be_visible()
    expect(page.get_by_text("limits raised", exact=True)).to_be_hidden()
    page.get_by_role("link", name="Would it fit?").click()
    page.get_by_label("Machines").select_option(label=str(vm))
    page.get_by_label("Template").select_option(label="To QEMU")
    page.get_by_role("button", name="Try it").click()
    expect(page.get_by_text("It could be migrated with it.")).to_be_visible()
    assert accessibility_violations(page) == []


def buy(page, runs):
    to_the_listing(page)
    page.get_by_role("link", name="Buy").click()
    page.get_by_label("Runs").fill(str(runs))
    page.get_by_role("button", name="Order with obligation to pay").click()
    expect(page.get_by_text("Bought: order")).to_be_visible()
    expect(page.get_by_text(f"{10 * runs} credits").first).to_be_visible()


def install(page, department):
    page.get_by_role("link", name="Install", exact=True).click()
    expect(page.get_by_text("limits raised").first).to_be_visible()
    page.get_by_label("I have read the 3 scripts").check()
    page.get_by_label("Secret “api-key”").select_option(label=f"our-key ({department})")
    page.get_by_label("PORT of “Listen”").fill("8443")
    page.get_by_role("button", name="Install").click()
    expect(page.get_by_text("Installed Raised limits 1.0.0")).to_be_visible()


def migrate(page, vm):
    page.goto(vm.get_absolute_url())
    page.get_by_role("link", name="Migrate", exact=True).click()
    page.get_by_role("checkbox", name="Raised limits").check()
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("link", name="Choose To QEMU").click()
    page.get_by_role("button", name="Start the migration").click()
    expect(page.get_by_text("exit code 0")).to_have_count(3, timeout=MIGRATION_MS)
    expect(page.get_by_text("Succeeded").first).to_be_visible(timeout=WORK_MS)
    machine = MigratedVM.objects.get()
    told = [(each["name"], each["exit_code"], each["stdout"]) for each in script_outcomes(machine.run)]
    assert told == [
        ("listen", 0, "port 8443\nbash 5\n"),
        ("raise-limits", 0, "limits raised\n"),
        ("report", 0, f"the key is [redacted] of {len(KEY)}\n"),
    ]
    assert KEY not in page.content()
    page.get_by_role("link", name="Open the machine").click()
    page.get_by_role("link", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.get_by_text("Removed").first).to_be_visible(timeout=WORK_MS)
    assert instance.processes_that_name(settings.DISKS_DIR) == []


def rate(page):
    to_the_listing(page)
    expect(page.get_by_text("1 run left")).to_be_visible()
    page.get_by_role("link", name="Write or change yours").click()
    page.get_by_label("Stars").select_option(label="4 of 5")
    page.get_by_label("Text").fill("It raised them.")
    page.get_by_role("button", name="Publish the review").click()
    expect(page.get_by_text("of 1 department that ran it")).to_be_visible()
    expect(page.get_by_text("It raised them.")).to_be_visible()


def hand_in_another_script(page):
    write_the_script(page, CHANGED)
    to_the_listing(page)
    page.get_by_role("link", name="New version").click()
    expect(page.get_by_label("Version")).to_have_value("1.1.0")
    page.get_by_label("What is new").fill("changed: the kernel is told")
    page.get_by_role("button", name="Hand in").click()
    expect(page.get_by_text("a second person approves it")).to_be_visible()


def update_after_a_look(page):
    to_the_listing(page)
    page.get_by_role("link", name="Update to 1.1.0").click()
    expect(page.get_by_text("the kernel is told").first).to_be_visible()
    expect(page.get_by_text("runs “Raise limits” as root").first).to_be_visible()
    assert accessibility_violations(page) == []
    page.get_by_role("button", name="Update to 1.1.0").click()
    expect(page.get_by_role("alert").first).to_contain_text("Read the 3 scripts")
    expect(page.get_by_label("PORT of “Listen”")).to_have_value("8443")
    page.get_by_label("I have read the changed 3 scripts").check()
    page.get_by_role("button", name="Update to 1.1.0").click()
    expect(page.get_by_text("to Raised limits 1.1.0")).to_be_visible()


def give_back(page):
    page.get_by_role("link", name="Refund").click()
    page.get_by_role("dialog").get_by_label("Reason").fill("Too many.")
    page.get_by_role("dialog").get_by_role("button", name="Refund").click()
    expect(page.get_by_text("is given back")).to_be_visible()
    expect(page.get_by_text("Too many.").first).to_be_visible()
    page.goto("/marketplace/accounts/")
    page.get_by_role("link", name="Wallet").click()
    expect(page.get_by_text("80 credits").first).to_be_visible()
