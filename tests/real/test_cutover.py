"""A running domain of a private libvirtd, cut over to QEMU: shut down, copied, checked; and every way back."""

import time

import pytest
from django.conf import settings as django_settings

from analyzer.models import VirtualMachine
from analyzer.services.discovery import source_discover
from migrations_engine import pipeline
from migrations_engine.domain.states import RunState, StepName
from migrations_engine.domain.terms import Commit, Mode, Terms
from migrations_engine.models import Cutover, MigratedVM
from migrations_engine.services.receipt import receipt_of
from migrations_engine.targets.registry import open_target
from personas.errors import BadInput
from tests import factories
from tests.real.estate import sha256
from tests.real.libvirt_machines import define, make_hypervisor_source
from tests.servers import ended

pytestmark = [pytest.mark.django_db, pytest.mark.once]


class Estate:
    def __init__(self, libvirt, source, by, disk):
        self.libvirt, self.source, self.by, self.disk = libvirt, source, by, disk
        source_discover(source=source, by=by)
        self.vm = VirtualMachine.objects.get(source=source)
        script = factories.make_script("tiny-script", body="uname -r; exit 0")
        self.template = factories.make_template(department=source.department)
        self.persona = factories.make_persona(department=source.department, post_migration_script=script)
        self.target = factories.make_target()

    def launch(self, **terms):
        rows = {"template": self.template, "vm": self.vm, "personas": [self.persona], "by": self.by}
        return rows | {"terms": Terms(**terms)}


@pytest.fixture
def run_all(django_capture_on_commit_callbacks, monkeypatch):
    from config.celery import app

    monkeypatch.setattr(app.conf, "task_always_eager", True)

    def call(verb, **arguments):
        with django_capture_on_commit_callbacks(execute=True):
            row = verb(**arguments)
        row.refresh_from_db()
        return row

    return call


@pytest.fixture
def running(libvirt, tiny, tmp_path, settings, own_machines):
    """A function that makes a running domain and the estate to move it in."""
    settings.LIBVIRT_SOCKET_FOLDER, settings.STAGING_DIR = str(tmp_path), tmp_path / "staging"

    def make(*, obeys=True) -> Estate:
        disk = tmp_path / "web01.qcow2"
        define(libvirt, tiny.path, disk, format="qcow2", obeys=obeys)
        libvirt.virsh("start", "web01")
        by = factories.make_user("root", superuser=True)
        source = make_hypervisor_source(libvirt, by=by, department=factories.make_department("Web"))
        if obeys:
            wait_for_agent(libvirt)
        return Estate(libvirt, source, by, disk)

    yield make
    for name in libvirt.virsh("list", "--all", "--name").split():
        libvirt.remove(name)


def wait_for_agent(libvirt) -> None:
    """A guest that is still booting hears no shutdown."""
    deadline = time.monotonic() + 180
    ping = ["virsh", "-q", "-c", libvirt.uri, "qemu-agent-command", "web01", '{"execute":"guest-ping"}']
    while ended(ping, {}).returncode:
        assert time.monotonic() < deadline, "the source's guest does not answer"
        time.sleep(0.5)


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
