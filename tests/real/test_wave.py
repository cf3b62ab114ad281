"""A wave of small real guests, started by the clock, moved by real workers, one of which is killed."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone

from migrations_engine import pipeline
from migrations_engine.domain.seal import verify
from migrations_engine.domain.states import RunState, StepName, StepState
from migrations_engine.domain.terms import Commit
from migrations_engine.domain.waves import WaveState
from migrations_engine.models import MigrationRun, StepRun
from migrations_engine.services import wave_board, wave_members, waves
from migrations_engine.services.receipt import receipt_key, receipt_of
from tests import factories
from tests.real import instance
from tests.real.estate import real_estate, sha256

CHECK = {"acceptance_checks": [{"kind": "package", "package": "no-such-package"}]}


@pytest.mark.once
def test_wave_goes_on_through_a_failed_check_a_killed_worker_and_a_rollback_by_the_clock(own_instance):
    estate = real_estate("tiny", script="exit 0", template={}, persona={})
    before = sha256(estate.disk)
    wave = made_wave(estate)
    clock, worker = instance.clock(), instance.worker()
    with instance.running(clock, worker):
        instance.wait_until(is_copied, "the first machine is copied", said=worker.said)
        worker.kill()
        worker = instance.worker()
        with instance.running(worker):
            instance.wait_until(lambda: waits(wave), "one waits to be confirmed", said=worker.said)
            run = MigrationRun.objects.get(state=RunState.CONFIRMING)
            MigrationRun.objects.filter(pk=run.pk).update(confirm_by=timezone.now() - timedelta(seconds=1))
            instance.wait_until(lambda: is_done(wave), "the wave is finished", said=worker.said)
    report = wave_board.report_of(wave)
    assert [row["standing"] for row in report["machines"]] == ["rolled_back", "failed"]
    assert report["counts"] | {"machines": 2, "failed": 2, "waiting": 0} == report["counts"]
    assert "not accepted" in report["machines"][1]["error"]
    for run in MigrationRun.objects.all():
        verify(receipt_of(run), receipt_key())
    failed = MigrationRun.objects.get(state=RunState.FAILED)
    assert pipeline.run_cancel(run=failed, by=estate.operator).state == RunState.CANCELLING
    pipeline.sweep()
    assert sha256(estate.disk) == before
    assert instance.left_behind(settings.DISKS_DIR) == []


def made_wave(estate):
    """Two machines of one disk; the second has a check that it cannot pass."""
    size = estate.disk.stat().st_size
    second = factories.make_vm(source=estate.vm.source, path=estate.disk, size=size, name="second")
    wave = waves.wave_create(
        department=estate.vm.department, name="Night", template=estate.template, persona=estate.persona,
        concurrency=2, commit=Commit.TIMED, confirm_minutes=60, by=estate.operator,
    )  # fmt: skip
    wave_members.members_add(wave=wave, vms=[estate.vm, second], by=estate.operator)
    last = wave.members.get(vm=second)
    wave_members.member_update(member=last, persona=None, overrides=CHECK, order=last.order, by=estate.operator)
    return waves.wave_start(wave=wave, by=estate.operator)


def is_copied():
    return StepRun.objects.filter(name=StepName.MIGRATE, state=StepState.RUNNING, percent__gt=40).exists()


def waits(wave):
    return wave.members.filter(run__state=RunState.CONFIRMING).exists()


def is_done(wave):
    wave.refresh_from_db()
    return wave.state == WaveState.FINISHED
