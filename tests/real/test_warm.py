"""A warm cutover of a running domain that keeps writing: copied while it runs, then only what changed."""

import json
import subprocess

import pytest
from django.conf import settings

from analyzer.sources.libvirt.nbd import NbdExport
from migrations_engine import pipeline
from migrations_engine.domain.states import RunState, StepName
from migrations_engine.domain.terms import Commit, Mode
from migrations_engine.models import Cutover, MigrationRun, StepRun, WarmCopy
from migrations_engine.services import runs
from migrations_engine.services.receipt import receipt_of
from migrations_engine.steps.base import Alive
from migrations_engine.targets.qemu.workbench import Workbench
from tests.real import instance
from tests.real.estate import sha256 as file_sha256

pytestmark = pytest.mark.once

WRITER = "n=0; while :; do n=$((n+1)); dd if=/dev/urandom of=/root/kept-$((n%4)) bs=64k count=8; sync; sleep 0.3; done"


def start_writing(libvirt) -> None:
    """A guest that never rests: every third of a second half a MiB of noise, written out."""
    asked = {"execute": "guest-exec", "arguments": {"path": "/bin/sh", "arg": ["-c", WRITER]}}
    libvirt.virsh("qemu-agent-command", "web01", json.dumps(asked))


def log_of(run) -> str:
    return "\n".join(run.events.values_list("text", flat=True))


def content(disk, folder) -> str:
    """What a guest would read of the disk."""
    raw = folder / "content.raw"
    subprocess.run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", disk, raw], check=True)
    found = file_sha256(raw)
    raw.unlink()
    return found


@pytest.fixture
def adopted(monkeypatch):
    """{path: what the disk held when the target took it}"""
    found, adopt = {}, Workbench.adopt

    def summed(self, key, index, source, format, progress):
        found[index] = file_sha256(source.path)
        return adopt(self, key, index, source, format, progress)

    monkeypatch.setattr(Workbench, "adopt", summed)
    return found


@pytest.fixture
def read(monkeypatch):
    """Lengths of what was read of changes, over the wire."""
    found, ask = [], NbdExport.read

    def counted(self, offset, length):
        found.append(length)
        return ask(self, offset, length)

    monkeypatch.setattr(NbdExport, "read", counted)
    return found


@pytest.mark.django_db
def test_a_guest_that_writes_all_the_time_is_moved_with_its_last_changes(
    running, run_all, adopted, read, tmp_path
):
    estate = running()
    start_writing(estate.libvirt)
    run = run_all(pipeline.run_start, **estate.launch(mode=Mode.WARM, commit=Commit.BY_HAND))
    assert run.state == RunState.CONFIRMING, run.root_cause + log_of(run)
    assert estate.libvirt.state("web01") == "shut off"
    row = WarmCopy.objects.get(run=run)
    whole, *rounds = [each["bytes"] for each in row.rounds]
    assert len(rounds) >= 2 and all(0 < each < whole / 2 for each in rounds)
    assert 0 < sum(read) <= sum(rounds)  # nothing but what changed came over the wire
    assert adopted[0] == content(estate.disk, tmp_path)
    assert row.proved_at and receipt_of(run)["source_sha256"] == file_sha256(estate.disk)
    assert row.forecast["changes_bytes"] == rounds[-2] and Cutover.objects.get(run=run).outage_s > 0
    require_no_trace(estate)

    run = run_all(pipeline.run_rollback, run=run, by=estate.by)
    assert run.state == RunState.ROLLED_BACK, run.root_cause
    assert estate.libvirt.state("web01") == "running"


@pytest.mark.django_db
def test_a_cancel_in_the_middle_leaves_a_source_that_knows_of_nothing(running, run_all, monkeypatch):
    estate = running()
    start_writing(estate.libvirt)
    phase = Alive.phase

    def told(self, message, percent):
        phase(self, message, percent)
        if message.startswith("Reading what changed"):
            runs.run_cancel(run=estate.vm.runs.get(), by=estate.by)

    monkeypatch.setattr(Alive, "phase", told)
    run = run_all(pipeline.run_start, **estate.launch(mode=Mode.WARM))
    assert run.state == RunState.CANCELLED, run.root_cause + log_of(run)
    assert estate.libvirt.state("web01") == "running"
    require_no_trace(estate)


def test_kill_9_between_the_rounds_and_in_the_last_one(own_instance, running, settings):
    settings.STAGING_DIR = settings.VAR_DIR / "staging"  # where worker processes have theirs
    estate = running()
    start_writing(estate.libvirt)
    options = {"LIBVIRT_SOCKET_FOLDER": str(estate.disk.parent), "LEASE_S": "6"}  # a live one may be slow for 3 s
    migrate = StepRun.objects.filter(name=StepName.MIGRATE)

    def killed_when(condition, what):
        slow = instance.worker("tests.real.slow_changes", **options)
        with instance.running(slow):
            instance.wait_until(condition, what, said=slow.said)

    with instance.running(instance.clock(LEASE_S="6")):
        run = pipeline.run_start(**estate.launch(mode=Mode.WARM))
        killed_when(
            migrate.filter(attempt=1, message__startswith="Reading what changed").exists, "a worker reads what changed"
        )
        killed_when(lambda: estate.libvirt.state("web01") == "paused", "a worker reads the last changes")
        worker = instance.worker(**options)
        with instance.running(worker):
            instance.wait_until(
                lambda: MigrationRun.objects.get(pk=run.pk).has_ended, "the run ends", said=worker.said
            )
    run.refresh_from_db()
    assert run.state == RunState.SUCCEEDED, run.root_cause + log_of(run)
    assert migrate.get(run=run).attempt >= 3
    assert WarmCopy.objects.get(run=run).proved_at
    assert estate.libvirt.state("web01") == "shut off"
    require_no_trace(estate)


def require_no_trace(estate) -> None:
    """Neither with its hypervisor nor in its disk nor beside it."""
    assert estate.libvirt.virsh("checkpoint-list", "web01", "--name") == ""
    assert "None" in estate.libvirt.virsh("domjobinfo", "web01", check=False) or (
        estate.libvirt.state("web01") == "shut off"
    )
    command = ["qemu-img", "info", "-U", "--output=json", estate.disk]
    told = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    assert "bitmaps" not in told["format-specific"]["data"]
    assert not list(settings.STAGING_DIR.iterdir())
    assert not list(estate.disk.parent.glob("*scratch*"))
