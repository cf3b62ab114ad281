"""A running domain of a private libvirtd, cut over to QEMU: shut down, copied, checked; and every way back."""

import pytest
from django.conf import settings as django_settings

from migrations_engine import pipeline
from migrations_engine.domain.states import RunState, StepName
from migrations_engine.domain.terms import Commit, Mode
from migrations_engine.models import Cutover, MigratedVM
from migrations_engine.services.receipt import receipt_of
from migrations_engine.targets.registry import open_target
from personas.errors import BadInput
from tests.real.estate import sha256

pytestmark = [pytest.mark.django_db, pytest.mark.once]


def machines_here() -> tuple:
    return open_target("qemu", root=django_settings.DISKS_DIR).machines()


def log_of(run) -> str:
    return "\n".join(run.events.values_list("text", flat=True))


def test_a_running_machine_is_rehearsed_cut_over_and_taken_back(running, run_all):
    estate = running()
    with pytest.raises(BadInput, match="Cutover"):
        pipeline.run_start(**estate.launch())

    rehearsal = run_all(pipeline.run_start, **estate.launch(mode=Mode.TEST))
    assert rehearsal.state == RunState.SUCCEEDED, rehearsal.root_cause
    assert estate.libvirt.state("web01") == "running"
    run_all(pipeline.run_rollback, run=rehearsal, by=estate.by)

    run = run_all(pipeline.run_start, **estate.launch(mode=Mode.CUTOVER, commit=Commit.BY_HAND))
    assert run.state == RunState.CONFIRMING, run.root_cause + log_of(run)
    assert estate.libvirt.state("web01") == "shut off"
    row = Cutover.objects.get(run=run)
    assert row.power_before == "on" and row.outage_s > 0
    receipt = receipt_of(run)
    assert receipt["source_sha256"] == sha256(estate.disk)
    assert receipt["cutover"]["power_before"] == "on" and receipt["cutover"]["outage_s"] == row.outage_s
    assert MigratedVM.objects.get(run=run).power_state == "on"

    run = run_all(pipeline.run_rollback, run=run, by=estate.by)
    assert run.state == RunState.ROLLED_BACK, run.root_cause
    assert estate.libvirt.state("web01") == "running"
    assert machines_here() == ()
    assert not list((estate.disk.parent / "staging").iterdir())


def test_a_source_that_does_not_go_off_waits_for_a_person(running, run_all, settings):
    settings.CUTOVER_SHUTDOWN_S = 0.5
    estate = running(obeys=False)
    run = run_all(pipeline.run_start, **estate.launch(mode=Mode.CUTOVER))
    assert run.state == RunState.DECIDING, run.root_cause + log_of(run)
    assert estate.libvirt.state("web01") == "running"
    assert Cutover.objects.get(run=run).decide_by

    run = run_all(pipeline.run_decide, run=run, choice="retry", by=estate.by)
    assert run.state == RunState.DECIDING

    run = run_all(pipeline.run_decide, run=run, choice="force", by=estate.by)
    assert run.state == RunState.SUCCEEDED, run.root_cause + log_of(run)
    assert estate.libvirt.state("web01") == "shut off"
    assert run.steps.get(name=StepName.MIGRATE).attempt == 1
