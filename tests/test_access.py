"""Every route and method, as anonymous, as a stranger from another department, as viewer, operator and admin.

`RULES` says what each route asks for. A route without a rule fails `test_every_route_has_a_rule`: add one line there.
"""

import json
import uuid
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from django.apps import apps
from django.contrib import admin
from django.db import transaction
from django.urls import URLPattern, get_resolver, reverse
from rest_framework.test import APIClient

from migrations_engine.targets import registry
from personas.models import Role
from tests import factories
from tests.migrations_engine.fake_target import FakeTarget, Machine, World

SAFE = {"get"}
NOBODY = "superuser"  # no role of a department is enough
UNTOLD = ("head", "options", "trace")


@dataclass(frozen=True)
class Rule:
    """`obj`: whose id is `pk` (none: the route is not about one row). `get`, `write`, `delete`: the role that is
    needed, None when there is no such method (`delete` as `write` unless said). `query`, `body`, `media`: what the
    endpoint wants to see before it looks for the row."""

    obj: str = ""
    get: str | None = "viewer"
    write: str | None = "admin"
    delete: str | None = None
    public: bool = False
    own: bool = False  # the row is a person's: nobody else in the department sees it either
    kwargs: dict = field(default_factory=dict)
    query: str = ""
    body: dict = field(default_factory=dict)
    media: str = "application/json"

    def needs(self, method: str) -> str | None:
        if method in SAFE:
            return self.get
        return self.delete or self.write if method == "delete" else self.write


def pages(app: str, entity: str, obj: str, *, write="admin", **others: Rule) -> dict[str, Rule]:
    """The pages of a row by their names; `others` are further ones, or differ."""
    usual = {
        "list": Rule(write=None),
        "create": Rule(get=write, write=write),
        "detail": Rule(obj, write=None),
        "edit": Rule(obj, get=write, write=write),
        "delete": Rule(obj, get=write, write=write),
    }
    return {f"{app}:{entity}_{page}": rule for page, rule in {**usual, **others}.items()}


def resource(name: str, obj: str, *, write="admin", **actions: Rule) -> dict[str, Rule]:
    """The routes of a viewset by their names; an action's underscores are hyphens in its name."""
    usual = {"list": Rule(write=write), "detail": Rule(obj, write=write)}
    return {f"{name}-{action.replace('_', '-')}": rule for action, rule in {**usual, **actions}.items()}


def read(obj: str, **kwargs) -> Rule:
    return Rule(obj, write=None, **kwargs)


def act(obj: str, role="admin", **kwargs) -> Rule:
    """POST only."""
    return Rule(obj, get=None, write=role, **kwargs)


def ask(obj: str, role="admin", **kwargs) -> Rule:
    """A page that asks first: GET and POST need the same role."""
    return Rule(obj, get=role, write=role, **kwargs)


def clonable(obj: str) -> dict[str, Rule]:
    return {"clone": ask(obj)}


def archivable(obj: str) -> dict[str, Rule]:
    return {**clonable(obj), "archive": act(obj), "restore": act(obj)}


def part(entity: str) -> dict[str, Rule]:
    routes = {"clone": act(entity), "used_by": read(entity)}
    return {**pages("personas", entity, entity, **clonable(entity)), **resource(entity, entity, **routes)}


API_ARCHIVABLE = ("clone", "archive", "restore")

RULES: dict[str, Rule] = {
    "login": Rule(public=True),
    "logout": Rule(public=True),
    "livez": Rule(public=True),
    "readyz": Rule(public=True),
    "api-schema": Rule(public=True),
    "api-docs": Rule(public=True),
    "api-root": Rule(write=None),
    "home": Rule(write=None),
    # --- personas
    **pages(
        "personas",
        "persona",
        "persona",
        **archivable("persona"),
        document=read("persona"),
        **{"import": ask("")},
    ),
    **resource(
        "persona",
        "persona",
        **{action: act("persona") for action in API_ARCHIVABLE},
        document=read("persona"),
        revisions=read("persona"),
        used_by=read("persona"),
        **{"import-": act("")},
    ),
    **part("driverset"),
    **part("resourceprofile"),
    **part("networkprofile"),
    **pages("personas", "script", "script", approve=act("script"), **archivable("script")),
    **resource(
        "script",
        "script",
        approve=act("script", body={"sha256": "0"}),
        **{action: act("script") for action in API_ARCHIVABLE},
        revisions=read("script"),
        used_by=read("script"),
    ),
    **pages(
        "personas",
        "department",
        "department",
        create=ask("", NOBODY),
        detail=Rule("department"),
        delete=ask("department", NOBODY),
    ),
    "personas:member_remove": ask("department", kwargs={"user": "member"}),
    **resource(
        "department",
        "department",
        list=Rule(write=NOBODY),
        detail=Rule("department", delete=NOBODY),
        members=Rule("department"),
        member=act("department", kwargs={"user": "member"}),
    ),
    "personas:token_list": Rule(write=None),
    "personas:token_create": Rule(write="viewer"),
    "personas:token_revoke": Rule("token", own=True, write="viewer"),
    **resource("token", "token", list=Rule(write="viewer"), detail=Rule("token", own=True, write="viewer")),
    "personas:audit_list": Rule(write=None),
    **resource("auditentry", "audit", write=None),
    # --- templates
    **pages(
        "templates_app",
        "template",
        "template",
        **archivable("template"),
        document=read("template"),
        merge=read("template"),
        merge_json=read("template"),
        **{"import": ask("")},
    ),
    **resource(
        "template",
        "template",
        **{action: act("template") for action in API_ARCHIVABLE},
        document=read("template"),
        revisions=read("template"),
        used_by=read("template"),
        **{"import": act("")},
    ),
    "merge": act("", "viewer"),
    "settings-schema": read(""),
    # --- analyzer
    "analyzer:vm_list": read(""),
    "analyzer:vm_scan_many": act("", "viewer"),  # of those ticked it takes what the reader operates
    **{
        f"analyzer:vm_{page}": read("vm")
        for page in ("detail", "software", "usage", "personas", "scans", "scan_progress")
    },
    "analyzer:vm_usage_upload": ask("vm", "operator"),
    "analyzer:vm_usage_series": read("vm", kwargs={"metric": "cpu_percent"}),
    "analyzer:vm_persona_add": ask("vm", "operator"),
    "analyzer:vm_persona_create": ask("vm"),
    "analyzer:vm_scan": act("vm", "operator"),
    "analyzer:vm_suggest": act("vm", "operator"),
    "analyzer:vm_edit": ask("vm", "operator"),
    "analyzer:vm_delete": ask("vm"),
    "analyzer:vm_persona_remove": ask("vm_persona", "operator"),
    "analyzer:recommendation_accept": act("recommendation", "operator"),
    "analyzer:recommendation_choose": ask("recommendation", "operator"),
    "analyzer:recommendation_dismiss": ask("recommendation", "operator"),
    "analyzer:recommendation_none_fits": ask("recommendation", "operator"),
    "analyzer:recommender_detail": Rule("department"),
    "analyzer:estate": read(""),
    "analyzer:estate_cell": read("", kwargs={"x": 1, "y": 1}),
    "analyzer:vms_assign": act("", "viewer"),  # of those ticked it takes what the reader operates
    "analyzer:outgrown_list": read(""),
    "analyzer:draft_list": read(""),
    "analyzer:draft_detail": read("draft"),
    "analyzer:draft_approve": ask("draft"),
    "analyzer:draft_dismiss": ask("draft"),
    "analyzer:drafts_refresh": act(""),
    **resource("draft", "draft", write=None, approve=act("draft"), dismiss=act("draft")),
    "department-recommender": Rule("department"),
    **{
        f"department-recommender-{deed}": act("department")
        for deed in ("promote", "reset", "revert")
    },
    "department-drafts": act("department"),
    "estate-cells": read(""),
    "analyzer:scan_detail": read("scan"),
    **pages(
        "analyzer",
        "source",
        "source",
        discover=act("source", "operator"),
        check=act("source", "operator"),
        progress=read("source"),
        **{"import": ask("inventory", "operator")},
        import_confirm=act("inventory", "operator"),
        import_discard=act("inventory", "operator"),
        export=read("source", kwargs={"file_format": "csv"}),
        ssh=ask("source"),
        ssh_confirm=act("source"),
        prometheus=ask("source"),
        prometheus_collect=act("source", "operator"),
    ),
    "analyzer:sizing_settings": ask("department"),
    "department-sizing": Rule("department"),
    "analyzer:inventory_sample": read("", kwargs={"file_format": "csv"}),
    **resource(
        "source",
        "source",
        discover=act("source", "operator"),
        check=act("source", "operator"),
        inventory=act("inventory", "operator", media="multipart/form-data"),
        export=read("source"),
        ssh=Rule("source", body={"hosts": ["web1"], "username": "scan"}),
        ssh_confirm=act("source", body={"fingerprints": {"1": "SHA256:x"}}),
        prometheus=Rule("watched", body={"url": "http://p:9090"}, delete="admin"),
        prometheus_collect=act("source", "operator"),
    ),
    **resource(
        "machine",
        "vm",
        list=read(""),
        detail=Rule("vm", write="operator", delete="admin"),
        persona_draft=read("vm"),
        scan=act("vm", "operator"),
        usage=read("vm"),
        usage_csv=act("vm", "operator", media="text/csv"),
        sizing=read("vm"),
        rhythm=read("vm"),
        usage_series=read("vm", query="metric=cpu_percent"),
        packages=read("vm"),
        services=read("vm"),
        recommendations=Rule("vm", write="operator"),
    ),
    **resource("scan", "scan", write=None, changes=read("scan")),
    **resource(
        "recommendation",
        "recommendation",
        write=None,
        accept=act("recommendation", "operator"),
        choose=act("recommendation", "operator"),
        dismiss=act("recommendation", "operator"),
        none_fits=act("recommendation", "operator"),
    ),
    **resource("feedback", "feedback", write=None),
    **resource("vm-persona", "vm_persona", write="operator"),
    "usage-list": Rule(write="operator"),
    # --- the engine
    "migrations_engine:run_list": read(""),
    "migrations_engine:run_create": ask("", "operator"),
    "migrations_engine:wizard": ask("", "operator"),
    **{f"migrations_engine:run_{page}": read("run") for page in ("detail", "live", "receipt")},
    "migrations_engine:run_cancel": ask("run", "operator"),
    "migrations_engine:run_retry": act("run", "operator"),
    **{f"migrations_engine:run_{page}": ask("run", "operator") for page in ("confirm", "rollback", "finalize")},
    "migrations_engine:migratedvm_list": read(""),
    "migrations_engine:migratedvm_detail": read("migrated"),
    "migrations_engine:migratedvm_console": read("migrated"),
    "migrations_engine:migratedvm_live": read("migrated"),
    "migrations_engine:migratedvm_power": ask("migrated", "operator", kwargs={"want": "off"}),
    "migrations_engine:migratedvm_delete": ask("migrated", "operator"),
    **pages("migrations_engine", "target", "target"),
    **resource(
        "migration",
        "run",
        write="operator",
        receipt=read("run"),
        support=Rule("run", get="operator", write=None),
        **{verb: act("run", "operator") for verb in ("cancel", "retry", "confirm", "rollback", "finalize")},
    ),
    **resource(
        "migrated-vm",
        "migrated",
        write="operator",
        console=read("migrated"),
        power=act("migrated", "operator", body={"power": "off"}),
    ),
    **resource("target", "target", probe=read("target")),
    "plan": act("", "viewer"),
    **pages("migrations_engine", "webhook", "webhook", test=act("webhook")),
    "migrations_engine:delivery_replay": act("webhook_delivery"),
    **resource(
        "webhook",
        "webhook",
        deliveries=read("webhook"),
        test=act("webhook"),
        replay=act("webhook", kwargs={"delivery": "webhook_delivery"}),
    ),
    "receipt-key": read(""),
    "metrics": Rule(get=NOBODY, write=None),
    "migrations_engine:run_support": Rule("run", get="operator", write=None),
    **pages(
        "migrations_engine",
        "wave",
        "wave",
        write="operator",
        **{page: read("wave") for page in ("live", "report")},
        calendar=read(""),
        members=ask("wave", "operator"),
        windows=Rule("wave", write="operator"),
        act=ask("wave", "operator", kwargs={"verb": "start"}),
        report_file=read("wave", kwargs={"file_format": "csv"}),
        policy=ask("department"),
    ),
    "migrations_engine:member_edit": ask("wave_member", "operator"),
    "migrations_engine:member_remove": ask("wave_member", "operator"),
    "migrations_engine:window_remove": ask("wave_window", "operator"),
    **resource(
        "wave",
        "wave",
        write="operator",
        **{
            verb: act("wave", "operator")
            for verb in ("start", "approve", "send_back", "pause", "resume", "cancel", "retry_failed")
        },
        members=Rule("wave", write="operator"),
        windows=Rule("wave", write="operator"),
        report=read("wave"),
        report_csv=read("wave"),
    ),
    "wave-member-detail": Rule("wave_member", write="operator"),
    "wave-window-detail": Rule("wave_window", write="operator"),
    # --- the marketplace
    "marketplace:listing_list": read(""),
    "marketplace:publish": ask(""),
    "marketplace:listing_detail": read("listing"),
    "marketplace:listing_edit": ask("listing"),
    "marketplace:submission_list": read(""),
    "marketplace:submission_detail": read("submission"),
    "marketplace:submission_approve": act("submission"),
    "marketplace:submission_refuse": ask("submission"),
    "marketplace:release_create": ask("listing"),
    "marketplace:release_yank": ask("release"),
    "marketplace:release_install": ask("release"),
    "marketplace:installation_list": read(""),
    "marketplace:installation_delete": ask("installation"),
    "marketplace:installation_update": ask("installation"),
    "marketplace:listing_deprecate": ask("listing"),
    "marketplace:listing_undeprecate": act("listing"),
    "marketplace:takedown_create": ask("listing", NOBODY),
    "marketplace:report_create": ask("listing", "viewer"),
    "marketplace:takedown_appeal": ask("takedown"),
    "marketplace:takedown_lift": ask("takedown", NOBODY),
    "marketplace:report_list": read(""),
    "marketplace:report_decide": ask("abusereport", NOBODY, own=True),
    "marketplace:publisher_list": read(""),
    "marketplace:publisher_detail": read("publisher"),
    **{f"marketplace:{page}": ask("publisher") for page in ("publisher_edit", "key_rotate", "key_revoke")},
    "marketplace:proof_begin": ask("publisher"),
    "marketplace:proof_check": act("publisher"),
    "marketplace:publisher_vouch": act("publisher", NOBODY),
    "marketplace:publisher_let_through": act("publisher", NOBODY),
    "marketplace:release_fork": ask("release"),
    "marketplace:fork_update": ask("installation"),
    "marketplace:review_write": ask("listing", NOBODY),  # of those who ran it, and are not the publisher
    "marketplace:review_reply": ask("review"),
    "marketplace:catalogue_list": read(""),
    "marketplace:catalogue_create": ask(""),
    "marketplace:catalogue_detail": read("catalogue"),
    "marketplace:catalogue_refresh": act("catalogue"),
    "marketplace:catalogue_delete": ask("catalogue"),
    "marketplace:bundle_import": ask("", NOBODY),
    "marketplace:release_file": read("release"),
    "marketplace:feed": Rule(public=True),
    "marketplace:feed_keys": Rule(public=True),
    "marketplace:feed_bundle": Rule("release", public=True),
    **resource(
        "publisher",
        "publisher",
        keys=read("publisher"),
        rotate=act("publisher"),
        prove=act("publisher", body={"domain": "example.org"}),
        check_proof=act("publisher", body={"how": "file"}),
        vouch=act("publisher", NOBODY),
        let_through=act("publisher", NOBODY),
        revoke=act("publisher", body={"key": "0", "reason": "stolen"}),
    ),
    **resource("catalogue", "catalogue", detail=Rule("catalogue"), refresh=act("catalogue")),
    "trustedkey-list": Rule(write=NOBODY),
    "trustedkey-remove": act("", NOBODY, body={"public_key": "0"}),
    **resource(
        "review",
        "review",
        write="operator",
        detail=read("review"),
        reply=act("review", body={"reply": "Thanks"}),
    ),
    **resource(
        "takedown",
        "takedown",
        list=read(""),
        detail=read("takedown"),
        appeal=act("takedown", body={"appeal": "mended"}),
        lift=act("takedown", NOBODY, body={"reason": "mended"}),
    ),
    **resource(
        "abusereport",
        "abusereport",
        list=Rule(write="viewer"),
        detail=Rule("abusereport", own=True, write=None),
        decide=act("abusereport", NOBODY, own=True, body={"upheld": False, "outcome": "no"}),
    ),
    **resource(
        "listing",
        "listing",
        deprecate=act("listing", body={"reason": "old"}),
        undeprecate=act("listing"),
        takedown=act("listing", NOBODY, body={"reason": "bad"}),
        releases=Rule("listing"),
        check=act("listing", body={"version": "1.0.0", "licence": "MIT"}),
        price=Rule("listing"),
        trial=act("listing"),
        forecast=act("listing"),
        outcomes=read("listing"),
    ),
    **resource(
        "submission",
        "submission",
        list=read(""),
        detail=read("submission"),
        approve=act("submission"),
        refuse=act("submission", body={"reason": "broken"}),
    ),
    "release-detail": read("release"),
    "release-bundle": read("release"),
    "release-file": read("release"),
    "release-import-": act("", NOBODY, media="application/octet-stream"),
    "release-yank": act("release", body={"reason": "broken"}),
    **resource("installation", "installation", update=act("installation"), merge=act("installation")),
    # --- selling
    **{f"marketplace:{page}": ask("listing") for page in ("price_set", "order_create", "trial_start", "listing_try")},
    "marketplace:order_list": read(""),
    "marketplace:order_detail": read("order"),
    **{f"marketplace:order_{page}": ask("order") for page in ("cancel", "refund")},
    **{f"marketplace:{page}": ask("order", NOBODY) for page in ("order_confirm", "refund_done")},
    "marketplace:account_list": read(""),
    **{f"marketplace:account_{page}": read("account") for page in ("detail", "csv", "series")},
    "marketplace:credits_transfer": ask(""),
    "marketplace:payout_create": ask("account"),
    "marketplace:desk": Rule(get=NOBODY, write=None),
    **{f"marketplace:{page}": ask("", NOBODY) for page in ("fee_set", "credits_grant", "budget_set")},
    "marketplace:payout_settle": ask("payout", NOBODY),
    **resource(
        "order",
        "order",
        cancel=act("order"),
        refund=act("order"),
        confirm=act("order", NOBODY),
        refunded=act("order", NOBODY),
    ),
    **resource("entitlement", "entitlement", write=None),
    **resource("account", "account", write=None, statement=read("account"), statement_csv=read("account")),
    **resource("payout", "payout", settle=act("payout", NOBODY, body={"is_paid": True})),
    "budget-list": Rule(write=NOBODY),
    "credit-transfer": act(""),
    "grant": act("", NOBODY),
    "fee": Rule(write=NOBODY),
    "payment-events": Rule(public=True, kwargs={"provider": "stripe"}),
}


@dataclass(frozen=True)
class Route:
    name: str
    pattern: str
    methods: tuple[str, ...]
    exact: bool  # the methods are known; a function may answer 405

    @property
    def api(self) -> bool:
        return self.pattern.startswith("api/")


def routes(resolver=None, prefix="", namespace="") -> list[Route]:
    found = []
    for entry in (resolver or get_resolver()).url_patterns:
        pattern = prefix + str(entry.pattern)
        if isinstance(entry, URLPattern):
            found.append(Route(namespace + (entry.name or pattern), pattern, *methods_of(entry.callback)))
        elif entry.namespace != "admin":  # walked by itself below
            inner = f"{namespace}{entry.namespace}:" if entry.namespace else namespace
            found += routes(entry, pattern, inner)
    return found


def methods_of(callback) -> tuple[tuple[str, ...], bool]:
    if getattr(callback, "actions", None):
        return tuple(
            m for m in callback.actions if m in callback.cls.http_method_names and m not in UNTOLD
        ), True
    view = getattr(callback, "view_class", getattr(callback, "cls", None))
    if view is None:
        return ("get", "post", "put", "delete"), False
    return tuple(m for m in view.http_method_names if hasattr(view, m) and m not in UNTOLD), True


def test_every_route_has_a_rule():
    missing = sorted({route.name for route in routes()} - set(RULES))
    assert not missing, f"add to RULES in {__file__} what these routes ask for: {missing}"


def test_every_rule_has_a_route():
    assert sorted(set(RULES) - {route.name for route in routes()}) == []


@pytest.fixture
def world(db, monkeypatch):
    """A department with one row of everything, its people, and Charlie of another department."""
    from analyzer.models import Feedback, Recommendation, UsageProvider, VMPersona
    from migrations_engine.models import MigratedVM
    from migrations_engine.pipeline import run_start
    from personas.models import NetworkProfile, ResourceProfile
    from personas.services.audit import record
    from personas.services.tokens import token_create
    from tests.migrations_engine.estate import make_estate

    monkeypatch.setattr(FakeTarget, "world", World(machines={"made": Machine()}))
    monkeypatch.setitem(registry.TARGETS, "qemu", FakeTarget)
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
        "token": token_create(by=people["admin"], name="ci", scopes=["read"])[0],
        "audit": record(by=people["admin"], action="test.write", obj=estate.persona),
        "template": estate.template,
        "vm": estate.vm,
        "source": estate.vm.source,
        "watched": watched,
        "inventory": factories.make_inventory(ours),
        "scan": estate.scan,
        "draft": factories.make_draft(ours),
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

    wave = wave_create(department=estate.department, name="First", template=estate.template, by=estate.operator)
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
    from marketplace.models import Entitlement, Listing, Order, Payout
    from marketplace.services.ledger import account_ensure
    from marketplace.services.prices import price_set
    from personas.models import RunAllowance

    listing = Listing.objects.get(slug="databaseadmin")
    bought = {"department": department, "listing": listing}
    order = {"number": "1", "amount": 5, "fee_basis_points": 0, "provider": "invoice", "kind": "one_off"}
    return {
        "price": price_set(listing=listing, by=by, kind="one_off", unit_amount=5, trial_runs=1),
        "order": Order.objects.create(**bought, **order, unit_amount=5, ordered_by=by),
        "entitlement": Entitlement.objects.create(**bought, allowance=RunAllowance.objects.create()),
        "account": account_ensure(kind="earnings", unit="EUR", department=department),
        "payout": Payout.objects.create(department=department, unit="EUR", amount=5),
    }


def url_of(route: Route, rule: Rule, rows: dict) -> str:
    kwargs = {name: rows[value].pk if value in rows else value for name, value in rule.kwargs.items()}
    if rule.obj:
        kwargs["pk"] = rows[rule.obj].pk
    return reverse(route.name, kwargs=kwargs) + (f"?{rule.query}" if rule.query else "")


def answer(client, route: Route, method: str, url: str, rule: Rule) -> int:
    """The status; whatever the request wrote is taken back, and nothing that waits for a commit runs."""
    with transaction.atomic():
        if route.api and method != "get":
            body = json.dumps(rule.body) if rule.media == "application/json" else ""
            response = client.generic(method.upper(), url, body, content_type=rule.media)
        else:
            response = getattr(client, method)(url)
        transaction.set_rollback(True)
    if response.status_code == 302 and response.url.startswith(reverse("login")):
        return 401
    return response.status_code


def walk(rows, user, expected) -> list[str]:
    """Every route and method as `user`; what is not as `expected(rule, route, method, status)` says, in words."""
    client = APIClient(raise_request_exception=False)
    if user:
        client.force_login(user)
    wrong = []
    for route in sorted(routes(), key=lambda route: route.name == "logout"):  # which ends the session: last
        if route.name not in RULES:
            continue  # test_every_route_has_a_rule says so
        rule = RULES[route.name]
        for method in route.methods:
            if rule.needs(method) is None and not rule.public:
                if route.exact:
                    wrong.append(
                        f"{method.upper()} {route.name}: there is a method for which the rule has no role"
                    )
                continue
            status = answer(client, route, method, url_of(route, rule, rows), rule)
            told = expected(rule, route, method, status)
            if status >= 500 and route.name != "readyz":
                told = "no internal error"
            if told:
                wrong.append(f"{method.upper()} {route.name}: {status}, but {told}")
    return wrong


def agreed(wrong: list[str]) -> None:
    assert not wrong, "\n" + "\n".join(wrong)


def test_anonymous_is_sent_to_the_login(world):
    rows, _ = world

    def expected(rule, route, method, status):
        if rule.public:
            return "it is open to all" if status == 401 and route.name != "logout" else ""
        if status == 405 and not route.exact:
            return ""
        return "" if status == 401 else "nobody is logged in"

    agreed(walk(rows, None, expected))


def test_a_stranger_finds_nothing(world):
    rows, people = world

    def expected(rule, route, method, status):
        if rule.public or (status == 405 and not route.exact):
            return ""
        if rule.obj:
            return "" if status == 404 else "to a stranger it is not there"
        if rule.needs(method) == NOBODY:
            return "" if status == 403 else "only a superuser may"
        return "he may do so in his own department" if status in (401, 403, 404) else ""

    agreed(walk(rows, people["charlie"], expected))


@pytest.mark.parametrize("role", Role.values)
def test_a_member_may_do_what_the_role_allows(world, role):
    rows, people = world

    def expected(rule, route, method, status):
        if rule.public or (status == 405 and not route.exact):
            return ""
        if rule.own and role != "admin":
            return "" if status == 404 else "it belongs to someone else"
        if rule.needs(method) == NOBODY or Role(role).rank < Role(rule.needs(method)).rank:
            return "" if status == 403 else f"it needs {rule.needs(method)}"
        return f"{role} may" if status in (401, 403, 404, 405) else ""

    agreed(walk(rows, people[role], expected))


def test_lists_show_a_stranger_nothing_of_ours(world):
    rows, people = world
    client = APIClient()
    client.force_login(people["charlie"])
    ids = {str(row.pk) for row in rows.values() if isinstance(row.pk, uuid.UUID)}
    shown = []
    for route in routes():
        rule = RULES.get(route.name, Rule(public=True))
        if "get" in route.methods and not rule.obj and not rule.public and rule.get and rule.get != NOBODY:
            body = client.get(url_of(route, rule, rows)).content.decode()
            shown += [f"{route.name} shows {pk}" for pk in ids if pk in body]
    agreed(shown)


ADMIN_PAGES = {"changelist": False, "add": False, "change": True, "delete": True, "history": True}


def admin_urls(world_rows) -> list[str]:
    by_model = {type(row): row for row in world_rows.values()}
    found = [reverse("admin:index")]
    for model in admin.site._registry:
        label = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        row = by_model.get(model) or model._base_manager.first()
        for page, of_row in ADMIN_PAGES.items():
            if not of_row or row is not None:
                found.append(reverse(f"{label}_{page}", args=[row.pk] if of_row else []))
    return found


@pytest.mark.parametrize("who", [None, *Role.values, "charlie"])
def test_the_admin_is_closed_to_who_is_not_staff(world, who):
    rows, people = world
    client = APIClient()
    if who:
        client.force_login(people[who])
    for url in admin_urls(rows):
        for method in ("get", "post"):
            response = getattr(client, method)(url)
            assert (response.status_code, response.url.split("?")[0]) == (302, reverse("admin:login")), url


def test_staff_of_another_department_sees_nothing_of_ours_in_the_admin(world):
    rows, people = world
    charlie = people["charlie"]
    charlie.is_staff = True
    charlie.save()
    client = APIClient()
    client.force_login(charlie)
    ids = {str(row.pk): kind for kind, row in rows.items() if isinstance(row.pk, uuid.UUID)}
    wrong = []
    for url in sorted(
        admin_urls(rows), key=lambda url: any(pk in url for pk in ids)
    ):  # these leave a message behind
        response = client.get(url)
        asked = next((kind for pk, kind in ids.items() if pk in url), None)
        if asked and response.status_code == 200:
            wrong.append(f"{url} opens the {asked}")
        if not asked and response.status_code == 200:
            wrong += [
                f"{url} shows the {kind}" for pk, kind in ids.items() if pk in response.content.decode()
            ]
    agreed(wrong)


def test_a_superuser_opens_every_page_of_the_admin(world):
    rows, _ = world
    client = APIClient()
    client.force_login(factories.make_user(superuser=True))
    codes = {url: client.get(url).status_code for url in admin_urls(rows)}
    assert {url: code for url, code in codes.items() if code not in (200, 403)} == {}


def relational_fields() -> list[tuple[str, str, str]]:
    """(list route, its rule's object or "", field) of every writable foreign key of every resource of the API."""
    from rest_framework.relations import ManyRelatedField, RelatedField

    from config.api import router

    found = []
    for _, viewset, basename in router().registry:
        serializer = getattr(viewset, "serializer_class", None)
        if serializer is None or not hasattr(viewset, "create"):
            continue
        view = viewset(action="create", request=None, format_kwarg=None, kwargs={})
        for name, each in serializer(context={"view": view, "request": None}).get_fields().items():
            if isinstance(each, (RelatedField, ManyRelatedField)) and not each.read_only:
                found.append((basename, name))
    return found


FIELDS = relational_fields()


def test_there_are_relational_fields_to_try():
    assert ("persona", "default_driver_set") in FIELDS
    assert ("persona", "department") in FIELDS


RELATED = {
    "default_driver_set": "driverset",
    "resource_allocation_profile": "resourceprofile",
    "network_profile": "networkprofile",
    "post_migration_script": "script",
    "after": "wave",
}
"""Fields that are called otherwise than the row that they point to."""


@pytest.mark.parametrize(("basename", "name"), FIELDS)
def test_a_new_row_can_not_point_into_another_department(world, basename, name):
    """Charlie names our row; an id that nobody has gets the very same answer."""
    rows, people = world
    client = logged_in(people["charlie"])
    told = []
    for value in (rows[RELATED.get(name, name)].pk, uuid.uuid4()):
        response = client.post(reverse(f"{basename}-list"), {name: str(value)}, format="json")
        assert response.status_code == 400
        told.append(complaint(response, name))
    assert told[0]
    assert told[0] == told[1]


def test_what_has_no_own_row_here_can_not_be_changed():
    for basename in {basename for basename, _ in FIELDS if basename not in OWN_ROWS}:
        route = next(route for route in routes() if route.name == f"{basename}-detail")
        assert not {"put", "patch"} & set(route.methods), basename


def own_vm_persona(department):
    from analyzer.models import VMPersona

    persona = factories.make_persona(department=department)
    return VMPersona.objects.create(vm=factories.make_vm(department), persona=persona, use_case="default")


def own_profile(model: str):
    def make(department):
        return apps.get_model("personas", model).objects.create(
            name="Mine", slug="mine", department=department
        )

    return make


def own_listing(department):
    from marketplace.models import Listing, Publisher

    publisher = Publisher.objects.create(department=department, name="Mine", slug="mine")
    persona = factories.make_persona(department=department)
    return Listing.objects.create(publisher=publisher, persona=persona, slug="mine", name="Mine")


def own_publisher(department):
    from marketplace.models import Publisher

    return Publisher.objects.create(department=department, name="Mine", slug="mine")


def own_wave(department):
    from migrations_engine.services.waves import wave_create

    template = factories.make_template(department=department)
    return wave_create(
        department=department, name="Mine", template=template, by=factories.make_user(superuser=True)
    )


def own_webhook(department):
    from migrations_engine.models import Webhook

    return Webhook.objects.create(department=department, name="Mine", url="https://mine.example/", secret="-")


OWN_ROWS = {
    "webhook": own_webhook,
    "wave": own_wave,
    "persona": lambda department: factories.make_persona(department=department),
    "driverset": lambda department: factories.make_driver_set(department=department),
    "resourceprofile": own_profile("ResourceProfile"),
    "networkprofile": own_profile("NetworkProfile"),
    "script": lambda department: factories.make_script(department=department),
    "template": lambda department: factories.make_template(department=department),
    "source": lambda department: factories.make_source(department),
    "vm-persona": own_vm_persona,
    "target": lambda department: factories.make_target(department=department),
    "listing": own_listing,
    "publisher": own_publisher,
}


CHANGEABLE = [(basename, name) for basename, name in FIELDS if basename in OWN_ROWS]


@pytest.mark.parametrize(("basename", "name"), CHANGEABLE)
def test_a_row_can_not_be_turned_to_another_department(world, basename, name):
    """Refused, or (where the field is fixed once it is made) left as it is."""
    rows, people = world
    mine = OWN_ROWS[basename](people["charlie"].departments.get())
    before = getattr(mine, f"{name}_id")
    body = {name: str(rows[RELATED.get(name, name)].pk)}
    response = logged_in(people["charlie"]).patch(
        reverse(f"{basename}-detail", args=[mine.pk]), body, format="json", headers={"if-match": "*"}
    )
    refused = response.status_code == 400 and complaint(response, name)
    assert refused or response.json()[name] == str(before)
    mine.refresh_from_db()
    assert getattr(mine, f"{name}_id") == before


def logged_in(user) -> APIClient:
    client = APIClient()
    client.force_login(user)
    return client


def complaint(response, name: str) -> str:
    """What the problem says of the field, ids left out."""
    told = [e["detail"] for e in response.json().get("errors", []) if e["pointer"].startswith(f"#/{name}")]
    return " ".join(" ".join(word for word in text.split() if "-" not in word) for text in told)
