"""`python3 manage.py migrate_vm`."""

import json
import re
import time
from io import StringIO
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command
from rich.console import Console

from analyzer.models import VirtualMachine
from migrations_engine import pipeline, runner
from migrations_engine.domain.states import STEPS, StepState
from migrations_engine.management.commands import migrate_vm
from migrations_engine.models import MigratedVM, MigrationRun, StepRun, TargetEndpoint
from migrations_engine.services.progress import LABELS, run_percent
from tests import factories
from tests.migrations_engine.estate import copying

ODD = "web[/b] [red]:x:"  # as markup: a tag closed that was not opened, a colour, an emoji


def migrate(estate, **options):
    out = StringIO()
    given = {"vm": "web01", "template": estate.template.slug, "persona": ["DatabaseAdmin"]}
    given |= {"user": estate.operator.username, "stdout": out}
    call_command("migrate_vm", **(given | options))
    return out.getvalue()


def test_inline_run_ends_verified_and_prints_its_receipt(estate):
    receipt = json.loads(migrate(estate, inline=True, json=True))
    assert receipt["state"] == "succeeded"
    assert receipt["personas"][0]["name"] == "DatabaseAdmin"
    assert MigrationRun.objects.get().created_by == estate.operator


def test_run_that_succeeds_ends_in_verified_only_where_nothing_differs(estate, capsys):
    migrate(estate, inline=True)
    assert re.search(r"^verified after \d+ s$", capsys.readouterr().out, re.MULTILINE)
    estate.persona.default_kernel_version, estate.persona.default_kernel_intent = "9.9.9", "prefer"
    estate.persona.save()
    migrate(estate, vm=estate.another_vm("web02").name, inline=True)
    said = capsys.readouterr().out
    told = r"^runs, but differs after \d+ s:\n  kernel\.version: asked for 9\.9\.9, found 6\.1\.0"
    assert re.search(told, said, re.MULTILINE), said
    assert "verified" not in said


def test_inline_run_that_fails_exits_with_1(estate, world):
    def full():
        raise OSError("disk full")

    world.on["copy"] = full
    with pytest.raises(SystemExit) as ended:
        migrate(estate, inline=True)
    assert ended.value.code == 1


def test_what_people_and_guests_write_is_printed_as_it_is(estate, capsys):
    VirtualMachine.objects.filter(pk=estate.vm.pk).update(name=ODD)
    TargetEndpoint.objects.filter(pk=estate.target.pk).update(name=ODD)
    migrate(estate, vm=ODD, inline=True)
    out, err = capsys.readouterr()
    assert f"{ODD} as the guest reports it" in out
    assert f" of {ODD} at {ODD}" in err


def test_guest_s_own_words_are_no_markup(estate, capsys):
    migrate(estate, inline=True)
    run = MigrationRun.objects.get()
    told = {"setting": "failed units", "asked": "none", "found": ODD, "verdict": "warning", "by": "guest"}
    MigratedVM.objects.update(verification=[told])
    run.steps.update(state="failed", error=ODD)
    screen = Console(file=StringIO(), width=200)
    migrate_vm.show_end(run, screen)
    screen.print(migrate_vm.picture(migrate_vm.load(run)))
    MigrationRun.objects.update(state="failed", root_cause=ODD)
    migrate_vm.show_end(migrate_vm.load(run), screen)
    said = screen.file.getvalue()
    assert f"failed units: asked for none, found {ODD}\n" in said
    in_both_ends, as_difference, as_root_cause = 2, 1, 1
    assert said.count(ODD) == in_both_ends + as_difference + run.steps.count() + as_root_cause


def test_without_wait_the_run_is_queued(estate):
    receipt = json.loads(migrate(estate, json=True))
    assert receipt["state"] == "queued"


def test_overrides_come_from_a_file(estate, tmp_path):
    file = tmp_path / "override.yaml"
    file.write_text("resources: {memory_mib: 768}")
    migrate(estate, override=file)
    assert MigrationRun.objects.get().plan["machine"]["memory_mib"] == 768


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"vm": "nowhere"}, "No vm 'nowhere'"),
        ({"persona": ["nobody"]}, "No persona 'nobody'"),
        ({"template": "none"}, "No template 'none'"),
        ({"user": "nobody"}, "No active user 'nobody'"),
        ({"target": "none"}, "No target 'none'"),
    ],
)
def test_unknown_name_is_refused_in_one_line(estate, options, told):
    with pytest.raises(CommandError, match=told) as refused:
        migrate(estate, **options)
    assert refused.value.returncode == 2


def test_critical_concern_is_printed_with_what_to_do(estate):
    estate.persona.default_kernel_version = "9.9.9-none"
    estate.persona.save()
    with pytest.raises(CommandError, match="Choose a kernel that the machine has"):
        migrate(estate)


def test_machine_of_another_department_is_not_there(estate):
    with pytest.raises(CommandError, match="No vm"):
        migrate(estate, user=factories.make_member().username)


def test_file_that_is_no_document_is_refused(estate, tmp_path):
    file = tmp_path / "override.yaml"
    file.write_text("- a list")
    with pytest.raises(CommandError, match="a mapping"):
        migrate(estate, override=file)


@pytest.fixture
def worker(monkeypatch):
    """Elsewhere: it does one step whenever this process sleeps."""

    def work(seconds):
        step = StepRun.objects.filter(state=StepState.WAITING).order_by("order").first()
        runner.execute(run_id=step.run_id, name=step.name)

    monkeypatch.setattr("celery.app.control.Control.ping", lambda *args, **options: [{"worker": "pong"}])
    monkeypatch.setattr(migrate_vm, "time", SimpleNamespace(sleep=work))


def test_whoever_waits_sees_the_log_and_gets_the_receipt_of_the_end(estate, worker, capsys):
    receipt = json.loads(migrate(estate, wait=True, json=True))
    assert receipt["state"] == "succeeded"
    assert {row["verdict"] for row in receipt["verification"]} == {"pass"}
    assert [step["state"] for step in receipt["steps"]] == ["succeeded"] * 4
    told = capsys.readouterr().err
    assert "No worker answers" not in told
    assert [told.count(f"{name} succeeded") for name in STEPS] == [1] * 4


def test_whoever_waits_for_a_run_that_fails_gets_its_receipt_and_1(estate, world, worker):
    def full():
        raise OSError("disk full")

    world.on["copy"], out = full, StringIO()
    with pytest.raises(SystemExit) as ended:
        migrate(estate, wait=True, json=True, stdout=out)
    receipt = json.loads(out.getvalue())
    assert (ended.value.code, receipt["state"]) == (1, "failed")
    assert "disk full" in receipt["root_cause"]


def test_terminal_shows_each_step_while_it_is_done_and_the_table_at_the_end(estate, worker):
    run = pipeline.run_start(**estate.launch())
    screen, seen = Console(force_terminal=True, color_system=None, file=StringIO(), width=120), []

    def watch():
        """Until the screen shows where the run stands now: it is drawn four times a second, by a thread."""
        seen.append(f"{run_percent(migrate_vm.load(run)):.0f} %")
        deadline = time.monotonic() + 30
        while seen[-1] not in screen.file.getvalue() and time.monotonic() < deadline:
            time.sleep(0.01)

    migrate_vm.follow(run, screen, meanwhile=watch)
    said = screen.file.getvalue()
    assert seen == ["0 %", "10 %", "12 %", "85 %"]
    assert all(f"running, {percent}" in said for percent in seen[1:])
    for label in LABELS.values():
        assert re.search(rf"{label} +succeeded +100 +\d+ s", said), said
    assert "web01: succeeded, 100 %" in said
    migrate_vm.show_end(migrate_vm.load(run), screen)
    end = screen.file.getvalue().removeprefix(said)
    table = r"web01 as the guest reports it.*kernel\.version.*pass.*^verified after \d+ s"
    assert re.search(table, end, re.DOTALL | re.MULTILINE), end


def test_terminal_shows_percent_time_and_what_is_done_of_a_step_at_work(estate, frozen):
    run = pipeline.run_start(**estate.launch())
    copying(run, since=frozen)
    screen = Console(force_terminal=True, color_system=None, file=StringIO(), width=120)
    screen.print(migrate_vm.picture(migrate_vm.load(run)))
    said = screen.file.getvalue()
    assert "web01: running, 41 %" in said
    assert re.search(r"Migrate +running +40 +20 s +10 s +Copying the disk", said), said


def test_waiting_without_a_worker_says_so(estate, monkeypatch):
    monkeypatch.setattr("celery.app.control.Control.ping", lambda *args, **options: [])
    screen = Console(file=StringIO(), width=200)
    migrate_vm.warn_without_worker(screen)
    assert "No worker answers" in screen.file.getvalue()
