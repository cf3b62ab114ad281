"""Scripts of a run: phases, systems, retries, parameters, secrets, and what is seen of them while they run."""

import io
import json
import zipfile

import pytest

from migrations_engine import pipeline, runner
from migrations_engine.domain.machine import Result, ScriptOutput
from migrations_engine.domain.redaction import GONE
from migrations_engine.domain.states import STEPS, RunState
from migrations_engine.models import MigrationRun, StepRun
from migrations_engine.services.plan import plan_make
from migrations_engine.services.receipt import receipt_of
from migrations_engine.services.support_bundle import support_bundle
from migrations_engine.steps import scripts
from personas.errors import BadInput
from personas.models import AuditEntry, ScriptRevision
from tests import factories

CANARY = "c4n4ry-Zq9x"


def entries(estate, *said, parameters=(), interpreter="sh"):
    for name in dict.fromkeys(entry["name"] for entry in said):
        script = factories.make_script(name, body=f"echo {name}", interpreter=interpreter)
        ScriptRevision.objects.filter(script=script).update(parameters=list(parameters))
    estate.persona.script_entries = list(said)
    estate.persona.full_clean()
    estate.persona.save()


def outcomes(run) -> list[dict]:
    return run.steps.get(name="post_script").result["scripts"]


def concern(estate, id):
    made = plan_make(template=estate.template, vm=estate.vm, personas=[estate.persona], by=estate.operator)
    return next((each for each in made.concerns if each["id"] == id), None)


def test_phases_come_in_their_order_around_network_and_checks(estate, world, run_all):
    entries(
        estate,
        {"name": "report", "phase": "after_checks"},
        {"name": "tune"},
        {"name": "hello", "phase": "first_boot"},
    )
    estate.persona.monitoring_tags = {"a": "b"}
    estate.persona.save()
    seen = []
    world.on["run"] = lambda: seen.append(bool(world.machines[str(run_id())].tags))
    run = run_all(pipeline.run_start, **estate.launch())
    assert run.state == RunState.SUCCEEDED, run.root_cause
    assert [row["name"] for row in outcomes(run)] == ["hello", "tune", "report"]
    keys = [(call[1] or "").split("-")[0] for call in world.calls if call[0] == "run"]
    tagged = dict(zip(keys, seen, strict=True))
    assert (tagged["hello"], tagged["tune"]) == (False, True)
    assert [row["name"] for row in run.steps.get(name="migrate").result["scripts"]] == ["hello"]
    assert [row["name"] for row in receipt_of(run)["scripts"]] == ["hello", "tune", "report"]


def run_id():
    return MigrationRun.objects.get().pk


def test_script_for_another_system_is_skipped_and_told_before(estate, world, run_all):
    entries(estate, {"name": "tune", "os": ["rocky"]}, {"name": "harden", "os": ["debian"]})
    assert "skipped" in concern(estate, "script.other_system")["text"]
    run = run_all(pipeline.run_start, **estate.launch())
    assert run.state == RunState.SUCCEEDED, run.root_cause
    assert [(row["name"], row.get("skipped", False)) for row in outcomes(run)] == [
        ("tune", True),
        ("harden", False),
    ]
    assert world.started == ["harden-r1-t0"]


def test_script_is_tried_as_often_as_it_may(estate, world, run_all, monkeypatch):
    monkeypatch.setattr(scripts, "RETRY_PAUSE_S", 0)
    entries(estate, {"name": "tune", "retries": 2, "timeout_s": 5})
    world.scripts["echo tune"] = Result(1, "", "not yet", 0.5)
    world.on["run"] = lambda: world.started[-1:] == ["tune-r1-t0-n1"] and world.scripts.clear()
    run = run_all(pipeline.run_start, **estate.launch())
    assert run.state == RunState.SUCCEEDED, run.root_cause
    assert world.started == ["tune-r1-t0", "tune-r1-t0-n1", "tune-r1-t0-n2"]
    assert outcomes(run)[0]["attempts"] == 3


def test_first_boot_script_that_fails_ends_the_step_and_succeeds_on_retry(estate, world, run_all):
    entries(estate, {"name": "hello", "phase": "first_boot"})
    world.scripts["echo hello"] = Result(3, "", "no disk", 1.0)
    run = run_all(pipeline.run_start, **estate.launch())
    assert run.root_cause == "hello ended with exit code 3: no disk"
    world.scripts.clear()
    run = run_all(pipeline.run_retry, run=run, by=estate.operator)
    assert run.state == RunState.SUCCEEDED
    assert world.started == ["hello-r1-t0", "hello-r1-t1"]


def test_one_script_may_run_twice_with_other_parameters(estate, world, run_all):
    declared = [{"name": "PORT", "kind": "integer"}]
    said = [{"name": "open", "parameters": {"PORT": port}} for port in (80, 443)]
    entries(estate, *said, parameters=declared)
    run = run_all(pipeline.run_start, **estate.launch())
    assert run.state == RunState.SUCCEEDED, run.root_cause
    assert world.started == ["open-r1-t0", "open.2-r1-t0"]
    assert "export PORT=80\n" in world.texts["open-r1-t0"]
    assert "export PORT=443\n" in world.texts["open.2-r1-t0"]


def test_plan_says_what_a_script_lacks(estate):
    entries(estate, {"name": "tune", "secrets": {"PW": "nowhere"}}, parameters=[{"name": "PORT"}])
    told = concern(estate, "script.problems")
    assert told["severity"] == "Critical"
    assert "no secret nowhere" in told["text"]
    assert "PORT is not given" in told["text"]


def test_powershell_needs_powershell_in_the_machine(estate):
    entries(estate, {"name": "tune"}, interpreter="pwsh")
    assert concern(estate, "script.interpreter_missing")["severity"] == "Critical"


def test_launch_hands_out_no_secret(estate):
    factories.make_script("tune")
    asked = {"post_migration": {"scripts": [{"name": "tune", "secrets": {"PW": "db"}}]}}
    with pytest.raises(BadInput, match="Only a persona"):
        pipeline.run_start(**estate.launch(overrides=asked))


# --- secrets ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def secret(estate):
    entries(estate, {"name": "tune", "secrets": {"PGPASSWORD": "db-password"}})
    return factories.make_secret("db-password", department=estate.department, value=CANARY)


def everything_kept(run) -> str:
    """All rows and files of the run, as text."""
    with zipfile.ZipFile(io.BytesIO(support_bundle(run))) as packed:
        files = [packed.read(name).decode() for name in packed.namelist()]
    steps = [str(vars(step)) for step in run.steps.all()]
    events = [event.text for event in run.events.all()]
    trail = [f"{entry.before}{entry.after}" for entry in AuditEntry.objects.all()]
    return "\n".join([*files, *steps, *events, *trail, str(vars(run)), json.dumps(receipt_of(run))])


@pytest.mark.parametrize("code", [0, 9])
def test_secret_reaches_the_guest_and_nothing_else(estate, world, run_all, secret, client, code):
    world.scripts["echo tune"] = Result(code, f"login with {CANARY}\n", f"psql: {CANARY} is wrong\n", 1.0)
    world.written = ScriptOutput(f"now {CANARY}\n", False, "", False)
    run = run_all(pipeline.run_start, **estate.launch())
    assert f"export PGPASSWORD={CANARY}\n" in world.texts["tune-r1-t0"]
    assert outcomes(run)[0]["stdout"] == f"login with {GONE}\n"
    assert (GONE in run.root_cause) == (code == 9)
    assert CANARY not in everything_kept(run)
    client.force_login(estate.operator)
    for path in (
        f"/migrations/{run.pk}/",
        f"/api/v1/migrations/{run.pk}/",
        f"/migrations/{run.pk}/?view=plan",
    ):
        page = client.get(path)
        assert page.status_code == 200
        assert CANARY not in page.content.decode()
    assert AuditEntry.objects.get(action="secret.deliver").object_id == str(secret.pk)


def test_secret_that_is_gone_by_then_fails_the_run_by_name(estate, world, run_all, secret):
    world.on["copy"] = secret.delete
    run = run_all(pipeline.run_start, **estate.launch())
    assert run.state == RunState.FAILED
    assert "has no secret db-password" in run.root_cause


# --- while it runs ---------------------------------------------------------------------------------------------------


def test_output_is_seen_while_the_script_runs_and_gone_afterwards(estate, world, secret, client, monkeypatch):
    monkeypatch.setattr(scripts, "LOOK_EVERY_S", 0)
    world.written = ScriptOutput(f"half a li\nnow {CANARY}\nnot yet who", True, "oh\n", False)
    run = pipeline.run_start(**estate.launch())
    client.force_login(estate.operator)
    seen = []
    whole = scripts._show

    def look(*arguments):
        whole(*arguments)
        seen.append(client.get(f"/migrations/{run.pk}/live/").content.decode())

    monkeypatch.setattr(scripts, "_show", look)
    for name in STEPS:
        runner.execute(run_id=run.pk, name=name)
    (page,) = seen
    assert f"now {GONE}" in page
    assert "half a li" not in page
    assert "not yet who" not in page
    assert not StepRun.objects.filter(run=run).exclude(live=None).exists()
