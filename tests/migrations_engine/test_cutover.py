"""The cutover of a machine whose hypervisor is played: what is asked of it, in which order, and every way back."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from analyzer.sources.base import Refused as SourceRefused
from analyzer.sources.libvirt.connection import Failed
from analyzer.sources.libvirt.source import DiskFile
from migrations_engine import pipeline
from migrations_engine.domain.machine import GuestDisk, Result
from migrations_engine.domain.states import RunState, StepName
from migrations_engine.domain.terms import Commit, Mode, OnRollback, Terms
from migrations_engine.models import Cutover
from migrations_engine.services import commitment, cutover, runs
from migrations_engine.services.plan import plan_make
from migrations_engine.services.receipt import receipt_of
from migrations_engine.services.runs import Busy
from migrations_engine.targets.base import TargetError
from personas.errors import BadInput, Refused
from tests import factories


class Hypervisor:
    """One machine, which obeys or not; `calls` are what was done to it."""

    def __init__(self, vm):
        self.paths, self.power, self.calls = [disk.path for disk in vm.disks.all()], "on", []
        self.obeys = self.answers = True
        self.unread = ""

    def _did(self, what):
        if not self.answers:
            raise SourceRefused("The hypervisor gave no answer.")
        self.calls.append(what)

    def power_state(self, id):
        return self.power

    def power_refusal(self, id):
        return ""

    def off_refusal(self, id):
        return self.unread

    def ask_shutdown(self, id):
        self._did("ask")
        self.power = "off" if self.obeys else self.power

    def switch_off(self, id):
        self._did("force")
        self.power = "off"

    def switch_on(self, id):
        self._did("on")
        self.power = "on"

    def disk_files(self, id, folder, *, owner, watch):
        self._did(f"read while {self.power}")
        return [DiskFile(path, "raw", False) for path in self.paths]


@pytest.fixture
def host(estate, monkeypatch, settings):
    settings.CUTOVER_SHUTDOWN_S = 0
    source = estate.vm.source
    source.kind, source.location = "libvirt", "qemu+ssh://kvm1/system"
    source.save()
    estate.vm.power_state = "on"
    estate.vm.save()
    host = Hypervisor(estate.vm)
    monkeypatch.setattr("migrations_engine.services.cutover.hypervisor_of", lambda source: host)
    monkeypatch.setattr("migrations_engine.steps.analyze.scan_now", lambda **_: estate.scan)
    return host


@pytest.fixture
def launched(estate, host, run_all):
    def launch(**terms):
        return run_all(pipeline.run_start, **estate.launch(terms=Terms(mode=Mode.CUTOVER, **terms)))

    return launch


def test_the_source_runs_until_its_copy_is_made(launched, host, world):
    run = launched()
    assert run.state == RunState.SUCCEEDED, run.root_cause
    assert host.calls == ["ask", "read while off"] and host.power == "off"
    assert run.cutover.outage_s is not None
    told = receipt_of(run)
    assert (told["cutover"]["power_before"], told["cutover"]["forced"]) == ("on", False)
    assert told["source_sha256"] == world.source_sha256


def test_all_disks_are_copied_of_the_moment_when_it_is_off(launched, host, world, estate):
    path = f"{host.paths[0]}.data"
    Path(path).write_bytes(bytes(4096))
    estate.vm.disks.create(index=1, path=path, format="raw", virtual_size_bytes=2**30)
    host.paths.append(path)
    world.disks = (GuestDisk("vda", 2**30, "disk0"), GuestDisk("vdb", 2**30, "disk1"))
    run = launched()
    assert run.state == RunState.SUCCEEDED, run.root_cause
    assert [each["path"] for each in receipt_of(run)["sources"]] == host.paths


def test_a_source_whose_disks_cannot_be_read_when_it_is_off_is_not_shut_down(launched, host):
    host.unread = "its disk vda is no file"
    run = launched()
    assert run.state == RunState.FAILED and "its disk vda is no file" in run.root_cause
    assert (host.calls, host.power) == ([], "on")


@pytest.mark.parametrize("patience_s", [60, 0])
def test_a_libvirt_that_restarts_is_waited_for(launched, host, monkeypatch, patience_s):
    monkeypatch.setattr("migrations_engine.steps.switch_over.PATIENCE_S", patience_s)
    monkeypatch.setattr("migrations_engine.steps.switch_over.LOOK_S", 0.01)
    shut_down, left = host.ask_shutdown, [2]

    def away(id):
        if left[0]:
            left[0] -= 1
            raise Failed("failed to connect to the hypervisor", "unreachable")
        shut_down(id)

    monkeypatch.setattr(host, "ask_shutdown", away)
    run = launched()
    assert run.state == (RunState.SUCCEEDED if patience_s else RunState.FAILED), run.root_cause
    assert host.power == ("off" if patience_s else "on")


def test_a_source_of_files_knows_no_cutover(estate, run_all):
    why = plan_make(**estate.launch()).document["modes"]
    assert why["cold"] == why["test"] == "" and "cannot switch" in why["cutover"]
    with pytest.raises(BadInput, match="cannot switch"):
        run_all(pipeline.run_start, **estate.launch(terms=Terms(mode=Mode.CUTOVER)))


def test_a_running_machine_is_not_moved_as_if_it_were_off(estate, host, run_all):
    with pytest.raises(BadInput, match="Cutover"):
        run_all(pipeline.run_start, **estate.launch())
    estate.vm.power_state = "off"  # so the last discovery thought
    estate.vm.save()
    run = run_all(pipeline.run_start, **estate.launch())
    assert run.state == RunState.FAILED and "would be lost" in run.root_cause
    assert host.calls == []


def test_a_rehearsal_reads_the_running_machine_and_leaves_it(estate, host, run_all):
    run = run_all(pipeline.run_start, **estate.launch(terms=Terms(mode=Mode.TEST)))
    assert run.state == RunState.SUCCEEDED, run.root_cause
    assert host.calls == ["read while on"] and host.power == "on"


def test_a_machine_that_was_off_before_stays_off(launched, host, run_all, estate):
    host.power = "off"
    run = launched()
    assert run.state == RunState.SUCCEEDED, run.root_cause
    run_all(pipeline.run_rollback, run=run, by=estate.operator)
    assert host.power == "off" and "on" not in host.calls


def test_a_source_that_stays_on_is_decided_on(launched, host, run_all, estate):
    host.obeys = False
    run = launched()
    assert run.state == RunState.DECIDING
    step = run.steps.get(name=StepName.MIGRATE)
    assert step.fence is None and step.lease_until is None
    pipeline.sweep()
    run.refresh_from_db()
    assert run.state == RunState.DECIDING and host.calls == ["ask"]

    assert run_all(pipeline.run_decide, run=run, choice="retry", by=estate.operator).state == RunState.DECIDING
    assert host.calls == ["ask", "ask"]
    run = run_all(pipeline.run_decide, run=run, choice="force", by=estate.operator)
    assert run.state == RunState.SUCCEEDED, run.root_cause
    assert host.calls == ["ask", "ask", "force", "read while off"]
    assert receipt_of(run)["cutover"]["forced"] is True
    with pytest.raises(Refused, match="Nobody waits"):
        cutover.run_decide(run=run, choice="retry", by=estate.operator)


def test_a_run_may_have_limits_of_its_own(launched, host, settings, estate, client, monkeypatch):
    settings.CUTOVER_SHUTDOWN_S = settings.CUTOVER_DECIDE_S = 10**6
    host.obeys = False
    asked_before(monkeypatch, timezone.now() - timedelta(seconds=61))
    run = launched(shutdown_minutes=1, decide_minutes=7)
    assert run.state == RunState.DECIDING
    assert run.cutover.decide_by < timezone.now() + timedelta(minutes=7)
    assert receipt_of(run)["terms"]["decide_minutes"] == 7
    client.force_login(estate.operator)
    place = reverse("migrations_engine:run_detail", args=[run.pk])
    page = client.get(place, {"view": "plan"}).content.decode()
    assert "1 minutes" in page and "7 minutes" in page


@pytest.mark.parametrize("choice", ["retry", "force", "abort"])
def test_a_refused_shutdown_can_be_drilled_and_what_is_decided_then_is_real(estate, host, run_all, client, choice):
    admin = factories.make_member(estate.department, "admin")
    client.force_login(admin)
    launch = estate.launch(by=admin, terms=Terms(mode=Mode.CUTOVER), drill="shutdown_refused")
    run = run_all(pipeline.run_start, **launch)
    assert (run.state, host.calls, host.power) == (RunState.DECIDING, [], "on")
    page = client.get(f"/migrations/{run.pk}/").content.decode()
    assert "Simulated for a drill" in page and "after your decision" in page
    run = run_all(pipeline.run_decide, run=run, choice=choice, by=admin)
    pipeline.sweep()
    run.refresh_from_db()
    done = {"retry": ["ask", "read while off"], "force": ["force", "read while off"], "abort": []}
    assert host.calls == done[choice]
    assert run.state == (RunState.CANCELLED if choice == "abort" else RunState.SUCCEEDED), run.root_cause
    assert host.power == ("on" if choice == "abort" else "off")
    assert receipt_of(run)["drill"] == "shutdown_refused"


@pytest.mark.parametrize("who", ["person", "clock", "cancel"])
def test_a_source_that_stays_on_is_left_alone(launched, host, run_all, estate, who, world):
    host.obeys = False
    run = launched()
    if who == "person":
        run_all(pipeline.run_decide, run=run, choice="abort", by=estate.operator)
    elif who == "cancel":
        run_all(pipeline.run_cancel, run=run, by=estate.operator)
    else:
        Cutover.objects.filter(run=run).update(decide_by=timezone.now() - timedelta(seconds=1))
        pipeline.sweep()
    run.refresh_from_db()
    assert run.state == RunState.CANCELLED
    assert host.power == "on" and "force" not in host.calls
    assert not world.machines


def test_a_guest_that_obeys_after_the_run_was_cancelled_is_switched_on_again(
    launched, host, run_all, estate, settings
):
    host.obeys = False
    run = launched()
    settings.CUTOVER_SHUTDOWN_S = 3600  # it may still obey
    run_all(pipeline.run_cancel, run=run, by=estate.operator)
    run.refresh_from_db()
    assert run.state == RunState.CANCELLED and run.cutover.restored_at is None
    with pytest.raises(Busy):
        run_all(pipeline.run_start, **estate.launch(terms=Terms(mode=Mode.CUTOVER)))
    host.power = "off"
    pipeline.sweep()
    assert host.power == "on"
    settings.CUTOVER_SHUTDOWN_S = 0
    pipeline.sweep()
    assert Cutover.objects.get(run=run).restored_at


def test_a_cancel_in_the_copy_switches_the_source_on_again(launched, host, world, estate):
    def cancel():
        run = estate.vm.runs.get()
        if run.state == RunState.RUNNING:
            runs.run_cancel(run=run, by=estate.operator)

    world.on["copy"] = cancel
    run = launched()
    assert run.state == RunState.CANCELLED, run.root_cause
    assert host.calls == ["ask", "read while off", "on"]
    assert not world.machines


def failing(estate, world):
    estate.persona.post_migration_script = factories.make_script("bad", body="fail now")
    estate.persona.save()
    world.scripts["fail now"] = Result(7, "", "no", 0.1)


@pytest.mark.parametrize("kept", [True, False])
def test_a_failure_switches_the_source_on_and_a_retry_copies_anew(
    launched, host, run_all, estate, world, kept
):
    failing(estate, world)
    run = launched(on_rollback=OnRollback.KEEP if kept else OnRollback.REMOVE)
    assert run.state == RunState.FAILED
    assert host.power == "on" and run.cutover.restored_at
    assert [machine.state for machine in world.machines.values()] == (["off"] if kept else [])

    world.scripts.clear()
    world.finished.clear()
    run = run_all(pipeline.run_retry, run=run, by=estate.operator)
    assert run.state == RunState.SUCCEEDED, run.root_cause
    assert [call for call in host.calls if call.startswith("read")] == ["read while off"] * 2
    assert [call[0] for call in world.calls].count("copy") == 2
    assert host.power == "off"


def test_page_of_a_failed_cutover_tells_what_became_of_the_source(launched, host, estate, world, client):
    failing(estate, world)
    run = launched()
    client.force_login(estate.operator)
    page = client.get(reverse("migrations_engine:run_detail", args=[run.pk])).content.decode()
    assert run.root_cause in page and "switched on again" in page
    assert "only read" not in page and "machine is unchanged" not in page


@pytest.mark.parametrize("edge", ["page", "api"])
def test_a_person_may_answer_for_a_target_that_does_not(launched, host, world, estate, client, edge):
    target_dies(world, "wait_ready")
    run = launched()
    client.force_login(estate.operator)
    page, url = (reverse(f"migrations_engine:{name}", args=args) for name, args in
                 [("run_detail", [run.pk]), ("run_decide", [run.pk, "on_anyway"])])  # fmt: skip
    assert url in client.get(page).content.decode()
    assert "two of a machine" in client.get(url).content.decode()
    if edge == "page":
        client.post(url)
    else:
        api = APIClient()
        api.force_authenticate(estate.operator)
        answer = api.post(f"/api/v1/migrations/{run.pk}/decide/", {"choice": "on_anyway"}, format="json")
        assert answer.status_code == 202
    assert url not in client.get(page).content.decode()
    pipeline.sweep()
    assert host.power == "on"
    decided = receipt_of(run)["decisions"][-1]
    assert (decided["by"], decided["choice"]) == (estate.operator.username, "on_anyway")


def test_nobody_answers_for_a_target_that_is_not_waited_for(launched, estate):
    with pytest.raises(Refused, match="does not wait"):
        pipeline.run_decide(run=launched(), choice="on_anyway", by=estate.operator)


def test_a_rollback_does_not_say_that_a_source_is_on_before_it_is(launched, run_all, estate, monkeypatch):
    run = launched(commit=Commit.BY_HAND)
    monkeypatch.setattr("migrations_engine.services.cutover._is_on_for_good", lambda row: False)
    run = run_all(pipeline.run_rollback, run=run, by=estate.operator)
    told = " ".join(run.events.values_list("text", flat=True))
    assert run.state == RunState.ROLLED_BACK and "The source is being switched on." in told
    assert "as it was before" not in told


def target_dies(world, verb):
    def die():
        for each in ("status", "destroy", "power"):
            world.on[each] = lambda: (_ for _ in ()).throw(TargetError("no answer"))
        raise TargetError("no answer")

    world.on[verb] = die


def test_a_target_that_dies_before_it_has_a_machine_does_not_keep_the_source_off(launched, host, world):
    target_dies(world, "copy")
    run = launched()
    assert run.state == RunState.FAILED
    assert host.power == "on" and run.cutover.restored_at


@pytest.mark.parametrize("kept", [True, False])
def test_a_target_that_dies_with_its_machine_keeps_the_source_off_and_says_what_to_do(launched, host, world, kept):
    target_dies(world, "wait_ready")
    run = launched(on_rollback=OnRollback.KEEP if kept else OnRollback.REMOVE)
    assert run.state == RunState.FAILED and host.power == "off"
    assert "Make sure that it is off there" in run.cutover.problem
    world.on.clear()
    pipeline.sweep()
    assert host.power == "on"
    assert [machine.state for machine in world.machines.values()] == (["off"] if kept else [])


def test_a_rollback_switches_the_source_on(launched, host, run_all, estate, world):
    run = launched(commit=Commit.BY_HAND)
    assert run.state == RunState.CONFIRMING and host.power == "off"
    run = run_all(pipeline.run_rollback, run=run, by=estate.operator)
    assert run.state == RunState.ROLLED_BACK and host.power == "on"
    assert not world.machines


def test_an_old_failure_is_not_tried_again_beside_a_newer_success(launched, host, run_all, estate, world):
    failing(estate, world)
    failed = launched()
    world.scripts.clear()
    world.finished.clear()
    newer = launched()
    assert newer.state == RunState.SUCCEEDED, newer.root_cause
    with pytest.raises(Refused, match="has succeeded since") as refused:
        pipeline.run_retry(run=failed, by=estate.operator)
    assert refused.value.extra["run"] == str(newer.pk)
    run_all(pipeline.run_rollback, run=newer, by=estate.operator)
    assert run_all(pipeline.run_retry, run=failed, by=estate.operator).state == RunState.SUCCEEDED


def test_an_older_success_does_not_go_back_beside_a_newer_run(launched, host, run_all, estate):
    older = launched()
    host.power = "on"  # somebody else did that
    estate.vm.refresh_from_db()
    newer = launched(commit=Commit.BY_HAND)
    with pytest.raises(Refused, match="confirming"):
        pipeline.run_rollback(run=older, by=estate.operator)
    newer = commitment.run_confirm(run=newer, by=estate.operator)
    with pytest.raises(Refused, match="would come on beside") as refused:
        pipeline.run_rollback(run=older, by=estate.operator)
    assert refused.value.extra["run"] == str(newer.pk) and host.power == "off"
    run_all(pipeline.run_rollback, run=newer, by=estate.operator)
    assert run_all(pipeline.run_rollback, run=older, by=estate.operator).state == RunState.ROLLED_BACK


def test_a_retry_while_the_source_is_owed_is_told_to_wait(launched, host, estate):
    """Busy, so that a wave's turn comes again."""
    run = launched(commit=Commit.BY_HAND)
    host.answers = False
    run.steps.filter(name=StepName.POST_SCRIPT).update(state="failed")
    type(run).objects.filter(pk=run.pk).update(state=RunState.FAILED)
    with pytest.raises(Busy, match="still being switched on"):
        pipeline.run_retry(run=run, by=estate.operator)


def test_a_hypervisor_that_is_away_owes_the_source_until_it_is_back(launched, host, run_all, estate):
    run = launched(commit=Commit.BY_HAND)
    host.answers = False
    run = run_all(pipeline.run_rollback, run=run, by=estate.operator)
    assert run.state == RunState.FAILED and "could not be switched on" in run.root_cause
    pipeline.sweep()
    assert "no answer" in Cutover.objects.get(run=run).problem
    assert run.events.filter(text__contains="could not be switched on again yet").count() == 1
    host.answers = True
    pipeline.sweep()
    assert host.power == "on"
    assert Cutover.objects.get(run=run).problem == ""


def asked_before(monkeypatch, moment):
    """Another worker has written down at that moment that it asks the source."""
    begin = cutover.cutover_begin

    def begun(*, run, power):
        row = begin(run=run, power=power)
        cutover.cutover_write(run.pk, asked_at=moment)
        return row

    monkeypatch.setattr("migrations_engine.services.cutover.cutover_begin", begun)


def test_whoever_takes_over_asks_the_guest_again(launched, host, estate, run_all, monkeypatch):
    """Its worker died between writing down that it asks and asking."""
    monkeypatch.setattr("migrations_engine.steps.switch_over.cutover.shutdown_wait", lambda run: timedelta(hours=1))
    asked_before(monkeypatch, timezone.now())
    assert launched().state == RunState.SUCCEEDED
    assert host.calls[0] == "ask"


def test_page_and_api_let_an_operator_decide(launched, host, estate, client):
    host.obeys = False
    run = launched()
    place = reverse("migrations_engine:run_detail", args=[run.pk])
    client.force_login(estate.operator)
    page = client.get(place).content.decode()
    assert "Ask once more" in page and "Leave it running" in page
    assert "pulling the plug" in client.get(f"{place}decide/force/").content.decode()
    assert client.get(f"{place}decide/nothing/").status_code == 404

    api = APIClient()
    api.force_authenticate(estate.operator)
    address = f"/api/v1/migrations/{run.pk}/"
    assert api.get(address).json()["cutover"]["power_before"] == "on"
    assert api.post(f"{address}decide/", {"choice": "perhaps"}, format="json").status_code == 400
    assert api.post(f"{address}decide/", {"choice": "force"}, format="json").status_code == 202
    assert Cutover.objects.get(run=run).force
    assert client.post(f"{place}decide/force/").status_code == 302  # nobody waits any more: a message says so
    run.refresh_from_db()
    assert run.state == RunState.RUNNING


def test_the_plan_says_why_a_machine_cannot_be_cut_over(estate):
    api = APIClient()
    api.force_authenticate(estate.operator)
    ids = {"vm": str(estate.vm.pk), "template": str(estate.template.pk)}
    assert "cannot switch" in api.post("/api/v1/plans/", ids, format="json").json()["modes"]["cutover"]
    refused = api.post("/api/v1/migrations/", ids | {"mode": "cutover"}, format="json")
    assert refused.status_code == 400 and refused.json()["errors"][0]["pointer"] == "#/mode"
