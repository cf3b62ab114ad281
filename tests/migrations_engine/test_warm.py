"""A warm cutover whose hypervisor is played: its rounds, its last changes, every way back, what stays on the source."""

from pathlib import Path

import pytest
from django.urls import reverse
from rest_framework.test import APIClient

from analyzer.domain.extents import Changed
from analyzer.sources.base import Refused as SourceRefused
from analyzer.sources.libvirt import sums
from analyzer.sources.libvirt.changes import ChangesLost
from migrations_engine import pipeline
from migrations_engine.domain.states import RunState, StepName
from migrations_engine.domain.terms import Commit, Mode, Terms
from migrations_engine.models import CreatedResource, WarmCopy
from migrations_engine.services import runs
from migrations_engine.services.receipt import receipt_of
from migrations_engine.steps.base import Alive
from personas.errors import BadInput
from tests.migrations_engine import test_cutover

MIB = 2**20


class Hypervisor(test_cutover.Hypervisor):
    """Each round finds one byte changed. `marks`: the checkpoints that it keeps; `loses`: at which round it forgets."""

    def __init__(self, vm):
        super().__init__(vm)
        self.marks, self.loses, self.refuses, self.lies, self.is_paused = [], "", "", False, False
        self.on = {}

    def _did(self, what):
        super()._did(what)
        if hook := self.on.get(what):
            hook()

    def delta_refusal(self, id):
        return self.refuses

    def copy_first(self, id, folder, *, owner, checkpoint, watch):
        self.marks = [checkpoint]
        self._did("whole")
        (folder / "disk0.raw").write_bytes(self._content())
        sums.take(folder / "disk0.raw", watch)
        return MIB

    def copy_changes(self, id, folder, *, owner, base, checkpoint, watch):
        self.marks.append(checkpoint)
        self._did("changes")
        return self._write(folder, "changes", base)

    def copy_last(self, id, folder, *, owner, base, watch):
        assert self.power == "off"
        self._did("last")
        return self._write(folder, "last", base)

    def _write(self, folder, round, base):
        if self.loses == round:
            self.loses = ""
            raise ChangesLost("missing or broken bitmap")
        assert base in self.marks
        (folder / "disk0.raw").write_bytes(self._content())
        sums.renew(folder / "disk0.raw", [Changed(0, MIB, False)])
        return 4096

    def _content(self):
        return Path(self.paths[0]).read_bytes() if not self.lies else b"x" * 4096

    def release_changes(self, id, *, owner):
        self._did("release")
        self.marks = []
        return 1

    def discard_paused(self, id):
        pass

    def is_running(self, id):
        return self.power == "on"


@pytest.fixture
def host(estate, monkeypatch, settings, tmp_path):
    settings.CUTOVER_SHUTDOWN_S, settings.STAGING_DIR = 0, tmp_path / "staging"
    source = estate.vm.source
    source.kind, source.location = "libvirt", "qemu+ssh://kvm1/system"
    source.save()
    estate.vm.power_state = "on"
    estate.vm.save()
    estate.vm.disks.update(format="qcow2")
    host = Hypervisor(estate.vm)
    monkeypatch.setattr("migrations_engine.services.cutover.hypervisor_of", lambda source: host)
    monkeypatch.setattr("migrations_engine.steps.analyze.scan_now", lambda **_: estate.scan)
    return host


@pytest.fixture
def launched(estate, host, run_all):
    def launch(**terms):
        return run_all(pipeline.run_start, **estate.launch(terms=Terms(mode=Mode.WARM, **terms)))

    return launch


def test_the_source_goes_off_after_its_copy_and_only_its_last_changes_are_read(launched, host, world):
    run = launched()
    assert run.state == RunState.SUCCEEDED, run.root_cause
    assert host.calls == ["whole", "changes", "ask", "last", "release", "read while off"]
    assert [call[0] for call in world.calls if call[0] in ("copy", "adopt")] == ["adopt"]
    row = WarmCopy.objects.get(run=run)
    assert [each["bytes"] for each in row.rounds] == [MIB, 4096, 4096]
    assert row.forecast["changes_bytes"] == 4096 and row.forecast["total_s"] is None
    assert row.settled_at and row.proved_at and not row.is_marked
    assert CreatedResource.objects.get(run=run, kind="checkpoint").state == "removed"
    told = receipt_of(run)
    assert told["warm"]["proved_at"] and told["source_sha256"] == world.source_sha256
    assert told["cutover"]["outage_s"] is not None


def test_the_second_time_the_whole_outage_is_forecast(launched, host, estate, run_all, client):
    first = launched(commit=Commit.BY_HAND)
    run_all(pipeline.run_rollback, run=first, by=estate.operator)
    estate.vm.refresh_from_db()
    assert estate.vm.power_state == "on"
    run = launched()
    forecast = WarmCopy.objects.get(run=run).forecast
    assert forecast["rest_s"] is not None
    assert forecast["total_s"] == round(forecast["changes_s"] + forecast["rest_s"], 1)
    client.force_login(estate.operator)
    page = client.get(reverse("migrations_engine:run_detail", args=[run.pk])).content.decode()
    for told in ("Outage, forecast", "The last changes, when it was off", "holds what was copied"):
        assert told in page
    api = APIClient()
    api.force_authenticate(estate.operator)
    told = api.get(f"/api/v1/migrations/{run.pk}/").json()
    assert told["warm"]["forecast"] == forecast and len(told["warm"]["rounds"]) == 3


def test_a_copy_that_differs_fails_the_run_and_the_source_goes_on(launched, host, world):
    host.lies = True
    run = launched()
    assert run.state == RunState.FAILED and "holds something else" in run.root_cause
    assert host.power == "on" and host.marks == [] and not world.machines


@pytest.mark.parametrize("round", ["changes", "last"])
def test_a_lost_list_of_changes_means_a_whole_copy_again(launched, host, world, round):
    host.loses = round
    run = launched()
    assert run.state == RunState.SUCCEEDED, run.root_cause
    assert run.events.filter(text__contains="cannot say any more what changed").exists()
    whole = [call for call in host.calls if call in ("whole", "read while off")]
    if round == "changes":
        assert whole == ["whole", "whole", "read while off"]
    else:
        assert whole == ["whole", "read while off"] and not WarmCopy.objects.get(run=run).settled_at
    assert host.marks == [] and receipt_of(run)["source_sha256"] == world.source_sha256


MOMENTS = ["Copying the disks while", "Reading what changed", "Reading the last changes", "Comparing the source"]


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_cancel_leaves_nothing_on_the_source(launched, host, world, estate, settings, monkeypatch, moment):
    phase = Alive.phase

    def told(self, message, percent):
        phase(self, message, percent)
        if message.startswith(moment):
            runs.run_cancel(run=estate.vm.runs.get(), by=estate.operator)

    monkeypatch.setattr(Alive, "phase", told)
    run = launched()
    assert run.state == RunState.CANCELLED, run.root_cause
    assert host.power == "on" and host.marks == [] and not world.machines
    assert not WarmCopy.objects.get(run=run).is_marked
    assert list(settings.STAGING_DIR.iterdir()) == []


def busy():
    raise SourceRefused("The hypervisor is busy.")


def test_a_mark_that_cannot_be_taken_off_is_owed_until_it_is(launched, host):
    host.on = {"changes": busy, "release": busy}
    run = launched()
    assert run.state == RunState.FAILED and host.marks
    row = WarmCopy.objects.get(run=run)
    assert row.is_marked and "busy" in row.problem
    pipeline.sweep()
    assert run.events.filter(text__contains="could not be taken off").count() == 1
    host.on.clear()
    pipeline.sweep()
    row.refresh_from_db()
    assert not row.is_marked and row.problem == "" and host.marks == []


def test_a_retry_begins_with_a_whole_copy(launched, host, run_all, estate):
    def fail():
        host.on.clear()
        busy()

    host.on["changes"] = fail
    run = launched()
    assert run.state == RunState.FAILED and host.power == "on" and host.marks == []
    run = run_all(pipeline.run_retry, run=run, by=estate.operator)
    assert run.state == RunState.SUCCEEDED, run.root_cause
    assert host.calls.count("whole") == 2
    assert run.steps.get(name=StepName.MIGRATE).retries == 1


def test_what_cannot_tell_its_changes_is_refused_before_the_run(estate, host, run_all):
    def why():
        with pytest.raises(BadInput) as caught:
            run_all(pipeline.run_start, **estate.launch(terms=Terms(mode=Mode.WARM)))
        return str(caught.value.errors["mode"])

    estate.vm.disks.update(format="raw")
    assert "qcow2 only" in why()
    estate.vm.disks.update(format="qcow2")
    estate.vm.power_state = "off"
    estate.vm.save()
    assert "is off" in why()
    source = estate.vm.source
    source.kind = "images"
    source.save()
    assert "cannot switch" in why()
    assert host.calls == []


def test_the_plan_says_what_is_known_of_the_outage(estate, host, client):
    client.force_login(estate.operator)
    asked = {"vm": estate.vm.pk, "template": estate.template.pk, "persona": estate.persona.pk}
    page = client.get(reverse("migrations_engine:run_create"), asked).content.decode()
    assert "Warm cutover: only the last changes" in page and "a test migration tells it" in page


def test_a_machine_with_snapshots_is_refused_before_anything_is_done(launched, host):
    host.refuses = "it has snapshots"
    run = launched()
    assert run.state == RunState.FAILED and "it has snapshots" in run.root_cause
    assert host.calls == []
