"""`/api/v1/`: plans, migrations, migrated machines, targets."""

import uuid

import pytest
from rest_framework.test import APIClient

from analyzer.services.vm_personas import vm_persona_assign
from migrations_engine import pipeline
from migrations_engine.models import MigratedVM, MigrationRun
from migrations_engine.services.power import power_switch
from personas.models import AuditEntry, Membership
from personas.services.rows import row_archive
from tests import factories
from tests.migrations_engine.estate import copying

MIGRATIONS = "/api/v1/migrations/"


def client_of(user) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


@pytest.fixture
def alice(estate):
    return client_of(estate.operator)


@pytest.fixture
def charlie(estate):
    return client_of(factories.make_member(role="admin"))


def body(estate, **changes):
    asked = {"template": str(estate.template.pk), "vm": str(estate.vm.pk), "persona": str(estate.persona.pk)}
    return {key: value for key, value in (asked | changes).items() if value is not None}


def problem(response, status):
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    return response.json()


def pointers(response):
    return [error["pointer"] for error in problem(response, 400)["errors"]]


def test_steps_tell_percent_bytes_elapsed_and_the_time_left(alice, estate, frozen):
    run = pipeline.run_start(**estate.launch())
    copying(run, since=frozen)
    shown = alice.get(f"{MIGRATIONS}{run.pk}/").json()
    assert (shown["percent"], shown["elapsed_s"]) == (10 + 2 + 73 * 0.4, 30)
    steps = {step["name"]: step for step in shown["steps"]}
    figures = ("percent", "bytes_done", "bytes_total", "elapsed_s", "eta_s")
    assert [steps["migrate"][name] for name in figures] == [40, 512, 1024, 20, 10]
    assert [steps["merge"][name] for name in figures] == [100, 0, 0, None, None]
    assert [steps["post_script"][name] for name in figures] == [0, 0, 0, None, None]


def test_migration_is_accepted_and_says_where_to_look(alice, estate):
    response = alice.post(MIGRATIONS, body(estate))
    assert response.status_code == 202
    assert response["Location"].endswith(f"{MIGRATIONS}{response.json()['id']}/")
    shown = alice.get(response["Location"]).json()
    assert shown["state"] == "queued"
    assert [step["name"] for step in shown["steps"]] == ["analyze", "merge", "migrate", "post_script"]
    assert shown["personas"] == [{"id": str(estate.persona.pk), "name": "DatabaseAdmin"}]
    assert shown["merged"]["merged"]["kernel"]["version"] == "6.1.0-2-amd64"


def test_launch_is_audited(alice, estate):
    run = alice.post(MIGRATIONS, body(estate)).json()["id"]
    assert AuditEntry.objects.filter(action="migration.start", object_id=run, actor=estate.operator).exists()


@pytest.mark.parametrize("field", ["template", "vm", "persona"])
def test_unknown_id_is_not_found(alice, estate, field):
    told = problem(alice.post(MIGRATIONS, body(estate, **{field: str(uuid.uuid4())})), 404)
    assert told["errors"][0]["pointer"] == f"#/{field}"


def test_what_is_not_yours_is_not_found(charlie, estate):
    problem(charlie.post(MIGRATIONS, body(estate)), 404)


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"vm": "no-uuid"}, "#/vm"),
        ({"template": None}, "#/template"),
        ({"colour": "red"}, "#/colour"),
        ({"overrides": [1]}, "#/overrides"),
        ({"overrides": {"resources": {"vcpus": "many"}}}, "#/overrides/resources/vcpus"),
        ({"overrides": {"nonsense": 1}}, "#/overrides/nonsense"),
        ({"plan_sha256": "xyz"}, "#/plan_sha256"),
        ({"persona": None, "use_case": "nightly"}, "#/use_case"),
    ],
)
def test_bad_value_is_told_with_its_place(alice, estate, changes, pointer):
    assert pointer in pointers(alice.post(MIGRATIONS, body(estate, **changes)))
    assert MigrationRun.objects.count() == 0


def test_persona_and_personas_at_once_are_refused(alice, estate):
    asked = body(estate, personas=[str(estate.persona.pk)])
    assert pointers(alice.post(MIGRATIONS, asked)) == ["#/persona"]


def test_viewer_may_look_and_not_start(estate):
    viewer = client_of(factories.make_member(estate.department, role="viewer"))
    assert viewer.get(MIGRATIONS).status_code == 200
    assert viewer.post("/api/v1/plans/", body(estate)).status_code == 200
    problem(viewer.post(MIGRATIONS, body(estate)), 403)


def test_plan_tells_what_would_happen_and_stores_nothing(alice, estate):
    asked = body(estate, overrides={"resources": {"vcpus": 4, "memory_mib": 2048}})
    plan = alice.post("/api/v1/plans/", asked).json()
    assert plan["launchable"] is True
    changes = {row["setting"]: (row["current"], row["planned"], row["changes"]) for row in plan["changes"]}
    assert changes["resources.vcpus"] == ("1", "4", True)
    assert changes["kernel.version"] == ("6.1.0-1-amd64", "6.1.0-2-amd64", True)
    assert MigrationRun.objects.count() == 0
    assert alice.post("/api/v1/plans/", asked).json()["sha256"] == plan["sha256"]


def test_stale_plan_is_refused(alice, estate):
    seen = alice.post("/api/v1/plans/", body(estate)).json()["sha256"]
    estate.persona.monitoring_tags = {"cost-centre": "4711"}
    estate.persona.save()
    told = problem(alice.post(MIGRATIONS, body(estate, plan_sha256=seen)), 409)
    fresh = alice.post(MIGRATIONS, body(estate, plan_sha256=told["plan_sha256"]))
    assert fresh.status_code == 202


def test_plan_with_a_critical_concern_is_refused_with_the_reasons(alice, estate):
    asked = body(estate, overrides={"kernel": {"version": "9.9.9-none", "intent": "require"}})
    told = problem(alice.post(MIGRATIONS, asked), 409)
    assert [concern["id"] for concern in told["concerns"]] == ["kernel.unavailable"]


def test_same_key_replays_the_same_run(alice, estate):
    first = alice.post(MIGRATIONS, body(estate), headers={"Idempotency-Key": "k1"})
    again = alice.post(MIGRATIONS, body(estate), headers={"Idempotency-Key": "k1"})
    assert (again.status_code, again["Location"]) == (202, first["Location"])
    assert MigrationRun.objects.count() == 1


def test_same_key_with_another_body_is_refused(alice, estate):
    alice.post(MIGRATIONS, body(estate), headers={"Idempotency-Key": "k1"})
    other = body(estate, overrides={"resources": {"vcpus": 2}})
    problem(alice.post(MIGRATIONS, other, headers={"Idempotency-Key": "k1"}), 422)


def archive_persona(estate):
    row_archive(row=estate.persona, by=factories.make_user(superuser=True))


def archive_template(estate):
    row_archive(row=estate.template, by=factories.make_user(superuser=True))


def give_default_persona(estate):
    web = factories.make_persona("WebDev", department=estate.department)
    vm_persona_assign(vm=estate.vm, persona=web, by=estate.operator)


@pytest.mark.parametrize(
    ("changes", "since"),
    [({}, archive_persona), ({}, archive_template), ({"persona": None}, give_default_persona)],
)
def test_key_replays_its_run_whatever_has_changed_since(alice, estate, changes, since):
    asked = body(estate, **changes)
    first = alice.post(MIGRATIONS, asked, headers={"Idempotency-Key": "k1"})
    since(estate)
    again = alice.post(MIGRATIONS, asked, headers={"Idempotency-Key": "k1"})
    assert (again.status_code, again["Location"]) == (202, first["Location"]), again.content
    problem(alice.post(MIGRATIONS, body(estate, use_case="x"), headers={"Idempotency-Key": "k1"}), 422)


def test_key_replays_nothing_to_who_may_not_start_runs_any_more(alice, estate):
    alice.post(MIGRATIONS, body(estate), headers={"Idempotency-Key": "k1"})
    membership = estate.operator.memberships.get()
    Membership.objects.create(user=estate.operator, department=factories.make_department(), role="operator")
    membership.role = "viewer"
    membership.save()
    problem(alice.post(MIGRATIONS, body(estate), headers={"Idempotency-Key": "k1"}), 403)
    membership.delete()
    problem(alice.post(MIGRATIONS, body(estate), headers={"Idempotency-Key": "k1"}), 404)


def test_key_belongs_to_its_user(alice, estate):
    colleague = client_of(factories.make_member(estate.department, role="operator"))
    first = alice.post(MIGRATIONS, body(estate), headers={"Idempotency-Key": "k1"})
    MigrationRun.objects.update(state="cancelled")  # one run of a machine at a time
    second = colleague.post(MIGRATIONS, body(estate), headers={"Idempotency-Key": "k1"})
    assert first["Location"] != second["Location"]


def test_use_case_takes_the_personas_that_the_machine_carries(alice, estate):
    web = factories.make_persona("WebDev", department=estate.department)
    for persona, priority in ((estate.persona, 10), (web, 20)):
        vm_persona_assign(
            vm=estate.vm, persona=persona, use_case="nightly", priority=priority, by=estate.operator
        )
    run = alice.post(MIGRATIONS, body(estate, persona=None, use_case="nightly")).json()
    assert [persona["name"] for persona in run["personas"]] == ["DatabaseAdmin", "WebDev"]


def test_template_brings_its_own_persona(alice, estate):
    estate.template.persona = estate.persona
    estate.template.save()
    run = alice.post(MIGRATIONS, body(estate, persona=None)).json()
    assert [persona["name"] for persona in run["personas"]] == ["DatabaseAdmin"]


def test_cancel_and_retry_are_steered_by_api(alice, estate, world, run_all):
    world.on["copy"] = lambda: (_ for _ in ()).throw(OSError("disk full"))
    run = run_all(pipeline.run_start, **estate.launch())
    assert alice.get(f"{MIGRATIONS}{run.pk}/").json()["root_cause"] == "disk full"
    assert alice.post(f"{MIGRATIONS}{run.pk}/retry/").json()["state"] == "queued"
    assert alice.post(f"{MIGRATIONS}{run.pk}/cancel/").json()["state"] == "cancelling"
    problem(alice.post(f"{MIGRATIONS}{run.pk}/retry/"), 409)


def test_runs_are_found_by_state_and_words(alice, estate):
    run = alice.post(MIGRATIONS, body(estate)).json()["id"]
    for query, count in (
        ("state=queued", 1),
        ("state=failed", 0),
        ("search=web01", 1),
        ("search=other", 0),
        (f"vm={estate.vm.pk}", 1),
    ):
        found = alice.get(f"{MIGRATIONS}?{query}").json()["results"]
        assert [row["id"] for row in found] == [run] * count, query


def test_stranger_sees_nothing_and_touches_nothing(charlie, estate, run_all):
    run = run_all(pipeline.run_start, **estate.launch())
    machine = MigratedVM.objects.get(run=run)
    assert charlie.get(MIGRATIONS).json()["results"] == []
    assert charlie.get("/api/v1/migrated-vms/").json()["results"] == []
    for url in (
        f"{MIGRATIONS}{run.pk}/",
        f"/api/v1/migrated-vms/{machine.pk}/",
        f"/api/v1/migrated-vms/{machine.pk}/console/",
    ):
        problem(charlie.get(url), 404)
    problem(charlie.post(f"{MIGRATIONS}{run.pk}/cancel/"), 404)
    problem(charlie.post(f"/api/v1/migrated-vms/{machine.pk}/power/", {"power": "off"}), 404)
    problem(charlie.delete(f"/api/v1/migrated-vms/{machine.pk}/"), 404)


def test_machine_is_switched_read_and_removed(alice, estate, world, run_all):
    run = run_all(pipeline.run_start, **estate.launch())
    machine = MigratedVM.objects.get(run=run)
    url = f"/api/v1/migrated-vms/{machine.pk}/"
    accepted = alice.post(f"{url}power/", {"power": "off"})
    assert (accepted.status_code, accepted.json()["is_switching"]) == (202, True)
    power_switch(migrated_vm_id=machine.pk)
    told = alice.get(accepted["Location"]).json()
    assert (told["power_state"], told["is_switching"], told["power_error"]) == ("off", False, "")
    assert pointers(alice.post(f"{url}power/", {"power": "sideways"})) == ["#/power"]
    assert alice.get(f"{url}console/").json()["text"].startswith("login:")
    assert alice.delete(url).status_code == 204
    assert alice.get(url).json()["removed_at"] is not None
    counts = {
        asked: alice.get("/api/v1/migrated-vms/", {"removed": asked}).json()["count"]
        for asked in ("true", "false")
    }
    assert counts == {"true": 1, "false": 0}
    problem(alice.post(f"{url}power/", {"power": "on"}), 409)
    assert world.machines == {}


def test_machine_of_a_living_run_is_left_alone(alice, estate, world, run_all):
    world.scripts["x"] = None
    run = run_all(pipeline.run_start, **estate.launch())
    MigrationRun.objects.filter(pk=run.pk).update(state="running")
    problem(alice.delete(f"/api/v1/migrated-vms/{MigratedVM.objects.get(run=run).pk}/"), 409)
    assert world.machines


def test_targets_are_the_admins_to_write(alice, estate):
    admin = client_of(factories.make_member(estate.department, role="admin"))
    asked = {"name": "rack 2", "kind": "qemu", "department": str(estate.department.pk)}
    problem(alice.post("/api/v1/targets/", asked), 403)
    made = admin.post("/api/v1/targets/", asked)
    assert made.status_code == 201
    assert admin.get(f"/api/v1/targets/{made.json()['id']}/probe/").json()["version"] == "fake 1"
    assert admin.patch(f"/api/v1/targets/{made.json()['id']}/", {"name": "rack 3"}).json()["name"] == "rack 3"
    assert admin.delete(f"/api/v1/targets/{made.json()['id']}/").status_code == 204


def test_organisations_target_is_not_a_departments_to_change(estate):
    admin = client_of(factories.make_member(estate.department, role="admin"))
    problem(admin.delete(f"/api/v1/targets/{estate.target.pk}/"), 403)
    problem(admin.post("/api/v1/targets/", {"name": "mine", "kind": "qemu", "department": None}), 403)


def test_target_of_past_migrations_is_not_deleted(estate, run_all):
    root = client_of(factories.make_user(superuser=True))
    run_all(pipeline.run_start, **estate.launch())
    told = problem(root.delete(f"/api/v1/targets/{estate.target.pk}/"), 409)
    assert told["used_by"][0]["type"] == "migration"


# --- terms -----------------------------------------------------------------------------------------------------------


def test_run_is_launched_on_terms_and_steered(alice, estate, run_all):
    asked = body(estate, commit="by_hand", on_rollback="keep")
    told = alice.post(MIGRATIONS, asked).json()
    assert (told["commit"], told["on_rollback"], told["mode"]) == ("by_hand", "keep", "cold")
    place = f"{MIGRATIONS}{told['id']}/"
    problem(alice.post(f"{place}confirm/"), 409)
    run_all(lambda: pipeline.start(told["id"]) or MigrationRun.objects.get())
    assert alice.get(place).json()["state"] == "confirming"
    assert alice.post(f"{place}confirm/").json()["state"] == "succeeded"
    assert alice.post(f"{place}rollback/", {"reason": "slow"}).status_code == 202


def test_terms_that_contradict_each_other_are_told_with_their_field(alice, estate):
    assert pointers(alice.post(MIGRATIONS, body(estate, commit="timed"))) == ["#/confirm_minutes"]
    assert pointers(alice.post(MIGRATIONS, body(estate, shutdown_minutes=5))) == ["#/shutdown_minutes"]
    assert pointers(alice.post(MIGRATIONS, body(estate, acknowledge={"no.such": "x"}))) == ["#/acknowledge"]


def test_second_run_of_a_machine_is_a_conflict_that_names_the_first(alice, estate):
    first = alice.post(MIGRATIONS, body(estate)).json()["id"]
    assert problem(alice.post(MIGRATIONS, body(estate)), 409)["run"] == first
