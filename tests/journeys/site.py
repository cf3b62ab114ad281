"""A site with something on every page, and the address of each page that it has."""

import math
import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from analyzer.domain import facts as found
from analyzer.models import UsageSeries, VMPersona
from analyzer.models.usage import Metric
from config.celery import app
from migrations_engine import pipeline
from migrations_engine.domain.machine import Result
from migrations_engine.domain.states import STEPS, RunState
from migrations_engine.domain.terms import Mode
from migrations_engine.models import Cutover, MigrationRun, StepRun
from migrations_engine.services.wave_members import member_update, members_add
from migrations_engine.services.waves import wave_create, window_add
from migrations_engine.services.webhooks import webhook_create, webhook_test
from personas.models import ApiToken, NetworkProfile, Persona, ResourceProfile
from personas.services.catalogue import catalogue_install
from templates_app.services.starter_templates import starter_templates_install
from tests import factories
from tests.journeys.market import market_rows
from tests.migrations_engine.estate import Estate, facts, make_estate
from tests.migrations_engine.fake_target import World

DATABASE_GROUP = {
    "name": "db-internal",
    "rules": [{"protocol": "tcp", "port_from": 5432, "port_to": 5432, "cidr": "10.0.0.0/8"}],
}
SCRIPT = "#!/bin/sh\nset -eu\necho tuning\n"


@dataclass
class Site:
    admin: object
    estate: Estate
    run: MigrationRun
    failed: MigrationRun
    deciding: MigrationRun
    rows: dict[str, object]

    def paths(self) -> list[str]:
        """Every address that answers with a whole page to a superuser; what only takes a POST is not among them."""
        client = Client(raise_request_exception=False)
        client.force_login(self.admin)
        return [path for path in sorted(set(self._addresses())) if _is_page(client.get(path))]

    def _addresses(self):
        for route in _routes(get_resolver().url_patterns):
            kind = _kind(route)
            if "<" not in route:
                yield f"/{route}"
            elif kind in self.rows:
                filled = re.sub(r"<(?:\w+:)?pk>", str(self.rows[kind].pk), route)
                if "<" not in filled:
                    yield f"/{filled}"


def _kind(route: str) -> str:
    """The key of the row that fills a route."""
    first, *rest = route.split("/")
    return f"{first}/{rest[0]}" if first == "marketplace" and rest else first


def _routes(patterns, prefix=""):
    for each in patterns:
        route = prefix + str(each.pattern)
        if isinstance(each, URLResolver) and not route.startswith(("admin/", "api/")):
            yield from _routes(each.url_patterns, route)
        elif isinstance(each, URLPattern):
            yield route


def _is_page(response) -> bool:
    """A crash counts: the journey that opens the page reports it."""
    return response.status_code >= 500 or (response.status_code == 200 and b"<main" in response.content)


def make_site(folder: Path, world: World, monkeypatch) -> Site:
    """The starter catalogue; one department with a scanned machine, a run that ended well and one that failed."""
    monkeypatch.setattr(app.conf, "task_always_eager", True)  # a run runs here, on a target that is a dictionary
    admin = factories.make_user("anna", superuser=True)
    catalogue_install(by=admin)
    starter_templates_install(by=admin)
    script = factories.make_script("tune-postgres-once", body=SCRIPT)
    estate = make_estate(role="admin", facts_found=_facts(), post_migration_script=script)
    _measure(estate.vm)
    world.scripts["echo tuning"] = Result(0, "shared_buffers = 128MB\n", "", 1.5)
    run = pipeline.run_start(**estate.launch())
    world.on["copy"] = _disk_full
    failed = pipeline.run_start(**estate.launch())
    world.on.clear()
    factories.make_vm(estate.department, source=estate.vm.source, name="not-scanned")
    return Site(admin, estate, run, failed, _deciding(estate, run), _rows(admin, estate, run))


def _deciding(estate: Estate, like: MigrationRun) -> MigrationRun:
    """A cutover whose source does not go off."""
    now, vm = timezone.now(), factories.make_vm(estate.department, source=estate.vm.source, name="stubborn")
    columns = {
        name: getattr(like, name)
        for name in ("department", "template", "persona", "target", "plan", "plan_sha256", "created_by")
    }
    run = MigrationRun.objects.create(vm=vm, state=RunState.DECIDING, mode=Mode.CUTOVER, started_at=now, **columns)
    StepRun.objects.bulk_create(StepRun(run=run, name=name, order=order) for order, name in enumerate(STEPS))
    Cutover.objects.create(run=run, power_before="on", asked_at=now, decide_by=now + timedelta(hours=1))
    return run


def _rows(admin, estate: Estate, run: MigrationRun) -> dict[str, object]:
    """By the first part of its address (`_kind`): one row of every kind that has pages of its own."""
    owner = {"department": estate.department}
    run.refresh_from_db()
    return {
        "machines": estate.vm,
        "scans": estate.scan,
        "sources": estate.vm.source,
        "suggestions": estate.vm.recommendations.get(),
        "machine-personas": VMPersona.objects.create(vm=estate.vm, persona=estate.persona),
        "drafts": factories.make_draft(**owner),
        "migrations": run,
        "migrated": run.migrated_vm,
        "targets": estate.target,
        **_wave(estate),
        "webhooks": _webhook(admin, estate),
        "personas": Persona.objects.get(name="DatabaseAdmin", department=None),
        "scripts": _script(estate),
        "secrets": factories.make_secret("db-password", **owner),
        "departments": estate.department,
        "templates": estate.template,
        "tokens": ApiToken.objects.create(user=admin, name="monitoring", prefix="abcdef12", scopes=["read"]),
        "driver-sets": factories.make_driver_set("virtio only", **owner),
        "resource-profiles": ResourceProfile.objects.create(name="Middle", slug="middle", vcpus=4, **owner),
        "network-profiles": NetworkProfile.objects.create(
            name="Inside", slug="inside", bandwidth_mbps=1000, security_groups=[DATABASE_GROUP], **owner
        ),
        **market_rows(admin, estate.department),
    }


def _wave(estate: Estate) -> dict[str, object]:
    """A draft with a machine that has settings of its own, and a window."""
    wave = wave_create(department=estate.department, name="Friday", template=estate.template, by=estate.operator)
    members_add(wave=wave, vms=[estate.vm], by=estate.operator)
    member, now = wave.members.get(), timezone.now()
    own = {"persona": estate.persona, "overrides": {"resources": {"vcpus": 2}}, "order": 5}
    member = member_update(member=member, by=estate.operator, **own)
    window = window_add(
        wave=wave, starts_at=now, ends_at=now + timedelta(hours=3), weekly=True, by=estate.operator
    )
    return {"waves": wave, "wave-members": member, "wave-windows": window}


def _script(estate: Estate):
    """With parameters of every kind."""
    declared = [
        {"name": "PORT", "kind": "integer", "default": 5432, "description": "Where the database listens."},
        {"name": "TIER", "kind": "choice", "choices": ["small", "large"]},
        {"name": "DEBUG", "kind": "boolean", "required": False},
    ]
    script = factories.make_script("report", body="echo $PORT $TIER", department=estate.department)
    script.revisions.update(parameters=declared)
    return script


def _webhook(admin, estate: Estate):
    """With a delivery that waits."""
    webhook, _ = webhook_create(department=estate.department, name="Chat", url="https://chat.example/h", by=admin)
    webhook_test(webhook=webhook, by=admin)
    return webhook


def _disk_full():
    raise OSError("No space left on the target.")


def _facts():
    """A machine that runs a web server and a database, not all of it readable."""
    return facts(
        services=(
            found.Service(name="nginx.service", enabled=True),
            found.Service(name="postgresql.service", enabled=True),
            found.Service(name="cups.service", enabled=False, state="disabled"),
        ),
        packages=tuple(
            factories.make_package(name, version="1.22.1-9+deb12u1")
            for name in ("nginx", "postgresql-15", "bash", "python3", "nftables", *(f"lib-{n}" for n in range(60)))
        ),
        users=(found.User(name="root", uid=0), found.User(name="deploy", uid=1000, can_login=True)),
        listening=(found.Listening(port=5432, service="postgresql", address="127.0.0.1"),),
        filesystems=(
            found.Filesystem(device="p2", kind="ext4", mount_point="/", size_bytes=2**30, used_bytes=2**29),
            found.Filesystem(device="p3", kind="swap", size_bytes=2**28),
        ),
        nics=(found.Nic(name="ens3", addressing="static", addresses=("10.0.0.5/24",)),),
        concerns=(found.Concern(severity="warning", code="lvm", text="One volume group was not read."),),
    )


def _measure(vm) -> None:
    """Two days of every metric, with a hole in the night."""
    today = timezone.now().date()
    for metric in Metric:
        for age in (1, 2):
            values = [None if 20 < n < 40 else round(30 + 25 * math.sin(n / 30) + n % 7, 1) for n in range(288)]
            UsageSeries.objects.create(vm=vm, metric=metric, day=today - timedelta(days=age), values=values)
