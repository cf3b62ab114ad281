"""One row of everything, for whoever walks the routes."""

from copy import deepcopy
from datetime import timedelta

import pytest
from django.db import transaction

from migrations_engine.targets import registry
from personas.models import Role
from tests import factories
from tests.migrations_engine.fake_target import FakeTarget, Machine, World


@pytest.fixture
def world(laid, db, monkeypatch):
    """A department with one row of everything, its people, and Charlie of another department."""
    fake_the_target(monkeypatch)
    return deepcopy(laid)


@pytest.fixture(scope="module")
def laid(django_db_setup, django_db_blocker):
    """The rows of `world`, made once for a module: each of its tests takes back what it writes, down to these."""
    with django_db_blocker.unblock(), pytest.MonkeyPatch.context() as patch, transaction.atomic():
        fake_the_target(patch)
        yield make_world()
        transaction.set_rollback(True)


def fake_the_target(patch) -> None:
    patch.setattr(FakeTarget, "world", World(machines={"made": Machine()}))
    patch.setitem(registry.TARGETS, "qemu", FakeTarget)


def make_world() -> tuple[dict, dict]:
    from analyzer.models import Feedback, Recommendation, SoftwareName, UsageProvider, VMPersona
    from migrations_engine.models import MigratedVM
    from migrations_engine.pipeline import run_start
    from personas.models import NetworkProfile, ResourceProfile
    from personas.services.audit import record
    from personas.services.tokens import token_create
    from tests.migrations_engine.estate import make_estate

    estate = make_estate()
    ours = estate.department
    people = {role: factories.make_member(ours, role, role) for role in Role.values}
    people["charlie"] = factories.make_member(factories.make_department("Strangers"), "admin", "charlie")
    run = run_start(**estate.launch())
    made = {"kind": "qemu", "key": "made", "name": "web01"}
    watched = factories.make_source(ours)
    UsageProvider.objects.create(source=watched, url="http://192.0.2.1")
    suggestion = Recommendation.objects.filter(vm=estate.vm).first()
    feedback = {"vm": estate.vm, "recommendation": suggestion, "verdict": "accepted", "by": estate.operator}
    rows = {
        "department": ours,
        "member": factories.make_member(ours, "viewer", "member"),
        "persona": estate.persona,
        "driverset": factories.make_driver_set(department=ours),
        "resourceprofile": ResourceProfile.objects.create(name="Big", slug="big", department=ours, vcpus=2),
        "networkprofile": NetworkProfile.objects.create(name="In", slug="in", department=ours),
        "script": factories.make_script(department=ours),
        "secret": factories.make_secret(department=ours),
        "token": token_create(by=people["admin"], name="ci", scopes=["read"])[0],
        "audit": record(by=people["admin"], action="test.write", obj=estate.persona),
        "template": estate.template,
        "vm": estate.vm,
        "source": estate.vm.source,
        "watched": watched,
        "inventory": factories.make_inventory(ours),
        "scan": estate.scan,
        "draft": factories.make_draft(ours),
        "softwarename": SoftwareName.objects.create(department=ours, name="acme-httpd", means="nginx"),
        "recommendation": suggestion,
        "feedback": Feedback.objects.create(**feedback),
        "vm_persona": VMPersona.objects.create(vm=estate.vm, persona=estate.persona, use_case="default"),
        "run": run,
        "migrated": MigratedVM.objects.create(department=ours, run=run, name="web01", reference=made),
        "target": factories.make_target(department=ours),
        **offered(people["admin"], estate.persona),
        **sold(people["admin"], ours),
        **waved(estate),
        **hooked(people["admin"], ours),
    }
    return rows, people


def hooked(by, department) -> dict:
    """A webhook and what it was told."""
    from migrations_engine.services.webhooks import webhook_create, webhook_test

    webhook, _ = webhook_create(department=department, name="Chat", url="https://chat.example/hook", by=by)
    return {"webhook": webhook, "webhook_delivery": webhook_test(webhook=webhook, by=by)}


def waved(estate) -> dict:
    """A wave with its machine and a window."""
    from django.utils import timezone

    from migrations_engine.services.wave_members import members_add
    from migrations_engine.services.waves import wave_create, window_add

    wave = wave_create(
        department=estate.department, name="First", template=estate.template, by=estate.operator
    )
    members_add(wave=wave, vms=[estate.vm], by=estate.operator)
    now = timezone.now()
    window = window_add(wave=wave, starts_at=now, ends_at=now + timedelta(hours=2), by=estate.operator)
    return {"wave": wave, "wave_member": wave.members.get(), "wave_window": window}


def offered(by, persona) -> dict:
    """A listing for the department only, its release, and an installation of it."""
    from django.utils import timezone

    from marketplace.models import Catalogue, Installation, Review, Takedown
    from marketplace.services.moderation import report_create
    from marketplace.services.publishing import listing_create, publisher_create, release_publish
    from marketplace.services.submissions import submission_create

    department = persona.department
    publisher = publisher_create(by=by, department=department, name="Ours", slug="ours")
    told = {"readme": "For machines of ours.", "summary": "Ours", "visibility": "department"}
    listing = listing_create(by=by, publisher=publisher, persona=persona, **told)
    release = release_publish(listing=listing, by=by, version="1.0.0", licence="Apache-2.0")
    author = factories.make_member(department, "admin")
    submission = submission_create(listing=listing, by=author, version="1.1.0", licence="Apache-2.0")
    installed = {
        "listing": listing,
        "release": release,
        "persona": factories.make_persona(department=department),
    }
    return {
        "publisher": publisher,
        "listing": listing,
        "release": release,
        "submission": submission,
        "catalogue": Catalogue.objects.create(
            department=department, name="Sister", url="http://127.0.0.1:9/marketplace/feed"
        ),
        "review": Review.objects.create(listing=listing, release=release, department=department, stars=4),
        "takedown": Takedown.objects.create(listing=listing, reason="bad", lifted_at=timezone.now()),
        "abusereport": report_create(listing=listing, by=by, kind="other", text="odd"),
        "installation": Installation.objects.create(department=department, **installed),
    }


def sold(by, department) -> dict:
    """The price of that listing, and what a department has that sells and buys."""
    from marketplace.models import Entitlement, Listing, Order, Payout, Subscription
    from marketplace.services.ledger import account_ensure
    from marketplace.services.prices import price_set
    from personas.models import RunAllowance

    listing = Listing.objects.get(slug="databaseadmin")
    bought = {"department": department, "listing": listing}
    order = {"number": "1", "amount": 5, "fee_basis_points": 0, "provider": "invoice", "kind": "one_off"}
    entitlement = Entitlement.objects.create(**bought, allowance=RunAllowance.objects.create())
    placed = Order.objects.create(**bought, **order, unit_amount=5, ordered_by=by)
    return {
        "price": price_set(listing=listing, by=by, kind="one_off", unit_amount=5, trial_runs=1),
        "order": placed,
        "entitlement": entitlement,
        "subscription": Subscription.objects.create(**bought, entitlement=entitlement, terms=placed),
        "account": account_ensure(kind="earnings", unit="EUR", department=department),
        "payout": Payout.objects.create(department=department, unit="EUR", amount=5),
    }
