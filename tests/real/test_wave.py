"""Twelve small real guests of two departments in two waves at once, started by the clock, moved by real workers: one
machine fails its check, nobody confirms another, a worker is killed. Board, report and receipts tell it as it was."""

import csv
import io
import json
from dataclasses import replace
from datetime import timedelta
from io import StringIO

import pytest
from django.conf import settings
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from migrations_engine import pipeline
from migrations_engine.domain.states import RunState, StepName, StepState
from migrations_engine.domain.terms import Commit
from migrations_engine.domain.waves import WaveState
from migrations_engine.models import MigratedVM, MigrationRun, StepRun
from migrations_engine.services import wave_members, waves
from migrations_engine.services.migrated import migrated_vm_remove
from migrations_engine.services.receipt import receipt_of
from personas.models import ResourceProfile
from tests import factories
from tests.real import instance
from tests.real.estate import RealEstate, real_estate, sha256
from tests.real.promises import require_nothing_left, require_promises

PASSES = [{"kind": "command", "command": "test -d /etc"}]
FAILS = [{"kind": "package", "package": "no-such-package"}]
SHOPS, BANKS = 7, 5
FAILING, UNCONFIRMED = "shop3", "bank1"


@pytest.mark.timeout(1800)
@pytest.mark.once  # two minutes of both cores, and nothing in it depends on the database
def test_twelve_guests_of_two_departments_and_what_became_of_each(own_instance, tmp_path):
    small = ResourceProfile.objects.create(name="Small", slug="small", vcpus=1, memory_mib=160)
    columns = {"acceptance_checks": PASSES, "resource_allocation_profile": small}
    shops = real_estate("tiny", script="exit 0", template={}, persona=columns)
    banks = neighbour(shops, columns)
    before = sha256(shops.disk)
    shop, bank = made_wave(shops, "shop", SHOPS), made_wave(banks, "bank", BANKS)
    clock, worker = instance.clock(), instance.worker()
    with instance.running(clock, worker):
        instance.wait_until(is_copied, "a machine is copied", said=worker.said)
        worker.kill()
        worker = instance.worker()
        with instance.running(worker):
            for count in range(1, SHOPS + BANKS + 1):  # patience for each, not for all of them together
                instance.wait_until(
                    lambda n=count: late(bank) or ended() >= n, f"{count} have ended", said=worker.said, pause_s=0.5
                )
            instance.wait_until(lambda: is_done(shop) and is_done(bank), "both are finished", said=worker.said)
    standings = {FAILING: "failed", UNCONFIRMED: "rolled_back"}
    for wave, estate, count in ((shop, shops, SHOPS), (bank, banks, BANKS)):
        names = [f"{wave.name}{number}" for number in range(1, count + 1)]
        told_everywhere(wave, estate.operator, {name: standings.get(name, "succeeded") for name in names})
    runs = [require_promises(run) for run in MigrationRun.objects.all()]
    assert max(step.attempt for step in StepRun.objects.all()) > 1  # somebody took over from the dead worker
    for run in runs:
        verified_offline(run, tmp_path / f"{run.pk}.json")
    assert sha256(shops.disk) == before
    cleaned_up(shops, banks)
    require_nothing_left(*runs)


def neighbour(estate: RealEstate, columns: dict) -> RealEstate:
    """Another department with a persona like the first one's."""
    operator = factories.make_member(role="admin")
    department = operator.memberships.get().department
    source = factories.make_source(department, location=str(settings.IMAGE_ROOTS[0]))
    vm = factories.make_vm(source=source, path=estate.disk, size=estate.disk.stat().st_size)
    persona = factories.make_persona(
        department=department, post_migration_script=estate.persona.post_migration_script, **columns
    )
    template = factories.make_template(department=department)
    return replace(estate, vm=vm, operator=operator, template=template, persona=persona)


def made_wave(estate: RealEstate, name: str, count: int):
    """Machines of one disk. One whose check passes is confirmed by that; UNCONFIRMED has none, FAILING one more."""
    wave = waves.wave_create(
        department=estate.vm.department, name=name, template=estate.template, persona=estate.persona, concurrency=3,
        commit=Commit.TIMED, confirm_minutes=60, checks_confirm=True, by=estate.operator,
    )  # fmt: skip
    size, source = estate.disk.stat().st_size, estate.vm.source
    machines = [
        factories.make_vm(source=source, path=estate.disk, size=size, name=f"{name}{number}")
        for number in range(1, count + 1)
    ]
    wave_members.members_add(wave=wave, vms=machines, by=estate.operator)
    for member in wave.members.select_related("vm"):
        if member.vm.name == FAILING:
            change(member, estate, overrides={"acceptance_checks": FAILS})
        if member.vm.name == UNCONFIRMED:
            change(member, estate, overrides={"acceptance_checks": None})
    return waves.wave_start(wave=wave, by=estate.operator)


def change(member, estate, overrides) -> None:
    wave_members.member_update(
        member=member, persona=None, overrides=overrides, order=member.order, by=estate.operator
    )


def is_copied() -> bool:
    return StepRun.objects.filter(name=StepName.MIGRATE, state=StepState.RUNNING, percent__gt=40).exists()


def late(wave) -> bool:
    """The hour of whoever waits to be confirmed is over; never True."""
    for member in wave.members.filter(run__state=RunState.CONFIRMING, run__confirm_by__gt=timezone.now()):
        assert member.vm.name == UNCONFIRMED
        MigrationRun.objects.filter(pk=member.run_id).update(confirm_by=timezone.now() - timedelta(seconds=1))
    return False


def ended() -> int:
    return MigrationRun.objects.filter(finished_at__isnull=False).count()


def is_done(wave) -> bool:
    wave.refresh_from_db()
    return wave.state == WaveState.FINISHED


def told_everywhere(wave, reader, standings: dict[str, str]) -> None:
    """The board, the page of the report, its CSV and its JSON say of each machine what became of it."""
    client = Client()
    client.force_login(reader)
    address = reverse("migrations_engine:wave_detail", args=[wave.pk])
    report = json.loads(client.get(f"{address}report/json/").content)
    assert {row["vm"]: row["standing"] for row in report["machines"]} == standings
    failed = list(standings.values()).count("failed") + list(standings.values()).count("rolled_back")
    assert report["counts"] | {"machines": len(standings), "failed": failed, "waiting": 0} == report["counts"]
    table = list(csv.DictReader(io.StringIO(client.get(f"{address}report/csv/").content.decode())))
    assert {row["vm"]: row["standing"] for row in table} == standings
    for row in (*report["machines"], *table):
        assert bool(row["error"]) == (row["standing"] == "failed")
        assert int(row["checks_passed"]) == (row["standing"] != "rolled_back")
        assert int(row["checks_failed"]) == (row["standing"] == "failed")
    for page in (address, f"{address}report/"):
        html = client.get(page).content.decode()
        assert [name for name in standings if f">{name}</a>" not in html] == []
        assert ("no-such-package" in html) == ("failed" in standings.values())


def verified_offline(run, file) -> None:
    file.write_text(json.dumps(receipt_of(run)))
    call_command("verify_receipt", file, stdout=StringIO())


def cleaned_up(*estates: RealEstate) -> None:
    """The failed run is given up, the machines that stay are removed by hand."""
    by = {estate.vm.department_id: estate.operator for estate in estates}
    for run in MigrationRun.objects.filter(state=RunState.FAILED):
        pipeline.run_cancel(run=run, by=by[run.department_id])
        pipeline.sweep()
    for machine in MigratedVM.objects.filter(removed_at=None):
        migrated_vm_remove(migrated_vm=machine, by=by[machine.department_id])
