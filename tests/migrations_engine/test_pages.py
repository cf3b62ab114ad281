"""The pages as plain requests: what is shown, to whom, and what a button does."""

import re
from html import unescape

import pytest
from django.urls import reverse
from django.utils.html import strip_tags

from config.templatetags.components import state
from migrations_engine import pipeline
from migrations_engine.domain.machine import Result
from migrations_engine.domain.states import RunState
from migrations_engine.domain.terms import Commit, Mode, Terms
from migrations_engine.models import MigratedVM, MigrationRun, TargetEndpoint
from migrations_engine.services.power import power_switch
from personas.services.rows import row_archive
from tests import factories
from tests.migrations_engine.estate import copying

pytestmark = pytest.mark.once  # tests/access opens each page and sends each form on PostgreSQL too


@pytest.fixture
def alice(client, estate):
    client.force_login(estate.operator)
    return client


@pytest.fixture
def charlie(client, estate):
    """A member of another department."""
    client.force_login(factories.make_member(role="admin"))
    return client


@pytest.fixture
def done(estate, world, run_all):
    """A migrated machine's run, with a script."""
    estate.persona.post_migration_script = factories.make_script("tune", body="echo tuning")
    estate.persona.save()
    world.scripts["echo tuning"] = Result(0, "shared_buffers = 128MB\n", "", 1.5)
    return run_all(pipeline.run_start, **estate.launch())


@pytest.fixture
def failed(estate, world, run_all):
    def break_down():
        raise OSError("disk full")

    world.on["copy"] = break_down
    run = run_all(pipeline.run_start, **estate.launch())
    world.on.clear()
    return run


def page(name, *arguments, query=""):
    return reverse(f"migrations_engine:{name}", args=arguments) + query


def text(response):
    assert response.status_code == 200, response.content[:500]
    return response.content.decode()


def test_run_list_shows_and_finds_runs(alice, done):
    assert "web01" in text(alice.get(page("run_list")))
    assert "web01" in text(
        alice.get(page("run_list", query="?search=web&state=succeeded&ordering=-created_at"))
    )
    assert "web01" not in text(alice.get(page("run_list", query="?state=failed")))


def test_run_page_shows_steps_verification_script_and_origins(alice, done):
    shown = text(alice.get(page("run_detail", done.pk)))
    for expected in ("Post-migration script", "kernel.version", "shared_buffers = 128MB", "DatabaseAdmin"):
        assert expected in shown
    assert "data-poll" not in shown  # an ended run is not polled
    assert "What changes" in text(alice.get(page("run_detail", done.pk, query="?view=plan")))
    assert "Set by" in text(alice.get(page("run_detail", done.pk, query="?view=settings")))


def test_live_part_of_an_ended_run_stops_the_polling(alice, done):
    assert alice.get(page("run_live", done.pk)).status_code == 286


def test_live_part_of_a_running_run_goes_on(alice, estate):
    run = pipeline.run_start(**estate.launch())
    assert "data-poll" in text(alice.get(page("run_detail", run.pk)))
    assert alice.get(page("run_live", run.pk)).status_code == 200


def test_live_part_shows_percent_bytes_elapsed_and_the_time_left(alice, estate, frozen):
    run = pipeline.run_start(**estate.launch())
    copying(run, since=frozen)
    shown = strip_tags(text(alice.get(page("run_live", run.pk))))
    lines = [line.strip() for line in shown.splitlines() if line.strip()]
    assert {"30 s so far", "The whole run41 %"} <= set(lines)
    begun = lines.index("Migrate Running")
    assert lines[begun + 1 : begun + 5] == [
        "Copying the disk40 %",
        "512 B of 1 KiB",
        "20 s so far",
        "about 10 s left",
    ]


def test_failed_run_tells_its_root_cause_and_offers_a_retry(alice, failed):
    shown = text(alice.get(page("run_detail", failed.pk)))
    assert "disk full" in shown
    assert page("run_retry", failed.pk) in shown
    assert "disk full" in text(alice.get(page("run_retry", failed.pk)))
    alice.post(page("run_retry", failed.pk))
    failed.refresh_from_db()
    assert failed.state == RunState.QUEUED


def test_root_cause_claims_no_more_of_the_source_than_the_run_knows(alice, estate, world, run_all):
    world.on["copy"] = lambda: setattr(world, "source_sha256", "6" * 64)
    run = run_all(pipeline.run_start, **estate.launch())
    shown = text(alice.get(page("run_detail", run.pk)))
    assert "The source was written to while it was copied" in shown
    assert "This run only read the source." in shown
    assert "machine is unchanged" not in shown


def test_cancel_asks_first(alice, estate):
    run = pipeline.run_start(**estate.launch())
    assert "Stop the migration of web01?" in text(alice.get(page("run_cancel", run.pk)))
    run.refresh_from_db()
    assert run.state == RunState.QUEUED
    alice.post(page("run_cancel", run.pk))
    run.refresh_from_db()
    assert run.state == RunState.CANCELLING


def test_refused_cancel_is_told_on_the_page_that_follows(alice, done):
    assert "has succeeded" in text(alice.post(page("run_cancel", done.pk), follow=True))


def test_receipt_is_a_file(alice, done):
    response = alice.get(page("run_receipt", done.pk))
    assert response.json()["state"] == "succeeded"
    assert "attachment" in response["Content-Disposition"]


def test_machine_page_shows_what_was_found(alice, done):
    machine = MigratedVM.objects.get(run=done)
    shown = text(alice.get(page("migratedvm_detail", machine.pk)))
    assert "6.1.0-2-amd64" in shown
    assert "Shut down" in shown
    assert "web01" in text(alice.get(page("migratedvm_list")))


def test_machine_that_differs_where_it_may_is_not_shown_as_verified(alice, done):
    machine = MigratedVM.objects.get(run=done)
    pages = [page("migratedvm_detail", machine.pk), page("migratedvm_list")]
    verified = state("verified")
    assert [verified in text(alice.get(each)) for each in pages] == [True, True]
    machine.verification[0]["verdict"] = "warning"
    machine.save()
    assert [verified in text(alice.get(each)) for each in pages] == [False, False]


def test_machine_is_shut_down_and_switched_on(alice, done, world):
    machine = MigratedVM.objects.get(run=done)
    for want in ("off", "on"):
        assert alice.get(page("migratedvm_power", machine.pk, want)).status_code == 200
        alice.post(page("migratedvm_power", machine.pk, want))
        live = page("migratedvm_live", machine.pk)
        assert ("Starting" if want == "on" else "Shutting down") in text(alice.get(live))
        assert live in alice.get(page("migratedvm_detail", machine.pk)).content.decode()
        power_switch(migrated_vm_id=machine.pk)
        assert alice.get(live)["HX-Refresh"] == "true"
        assert world.machines[str(done.pk)].state == want
    assert alice.get(page("migratedvm_power", machine.pk, "sideways")).status_code == 404


def test_console_is_shown_without_control_characters(alice, done):
    machine = MigratedVM.objects.get(run=done)
    shown = text(alice.get(page("migratedvm_console", machine.pk)))
    assert "login:" in shown
    assert "\x00" not in shown
    assert "[1;1H" not in shown  # where the boot loader put the cursor
    assert "<html" not in text(
        alice.get(page("migratedvm_console", machine.pk), headers={"HX-Request": "true"})
    )


def test_removed_machine_stays_as_history(alice, done, world):
    machine = MigratedVM.objects.get(run=done)
    assert "cannot be undone" in text(alice.get(page("migratedvm_delete", machine.pk)))
    shown = text(alice.post(page("migratedvm_delete", machine.pk), follow=True))
    assert "Removed" in shown
    assert world.machines == {}
    assert "Switch on" not in shown
    assert "web01" not in text(alice.get(page("migratedvm_list")))
    for removed in ("true", "any"):
        assert "web01" in text(alice.get(page("migratedvm_list", query=f"?removed={removed}")))


def test_target_is_created_renamed_and_deleted(client, estate):
    admin = factories.make_member(estate.department, role="admin")
    client.force_login(admin)
    client.post(page("target_create"), {"name": "rack 2", "kind": "qemu", "department": estate.department.pk})
    target = TargetEndpoint.objects.get(name="rack 2")
    assert "fake 1" in text(client.get(page("target_detail", target.pk)))
    client.post(page("target_edit", target.pk), {"name": "rack 3"})
    target.refresh_from_db()
    assert target.name == "rack 3"
    assert "rack 3" in text(client.get(page("target_list", query="?search=rack")))
    client.post(page("target_delete", target.pk))
    assert not TargetEndpoint.objects.filter(pk=target.pk).exists()


def test_target_name_that_is_taken_is_told_and_kept(client, estate):
    client.force_login(factories.make_member(estate.department, role="admin"))
    form = {"name": "rack 2", "kind": "qemu", "department": estate.department.pk}
    client.post(page("target_create"), form)
    shown = text(client.post(page("target_create"), form))
    assert "already exists" in shown
    assert 'value="rack 2"' in shown


# --- the wizard ------------------------------------------------------------------------------------------------------


def test_wizard_goes_from_machine_to_a_started_run(alice, estate):
    new = page("run_create")
    assert "web01" in text(alice.get(new, {"search": "web"}))
    assert "DatabaseAdmin" in text(alice.get(new, {"vm": estate.vm.pk}))
    picked = alice.get(
        new, {"vm": estate.vm.pk, "pick": [estate.persona.pk], f"order-{estate.persona.pk}": "1"}
    )
    assert f"persona={estate.persona.pk}" in picked["Location"]
    assert estate.template.name in text(alice.get(picked["Location"]))
    plan_url = f"{picked['Location']}&template={estate.template.pk}"
    shown = alice.get(plan_url)
    assert "6.1.0-2-amd64" in text(shown)
    form = {"target": estate.target.pk, "overrides": "", "action": "start"}
    form |= {"plan_sha256": shown.context["plan_sha256"], "launch_key": shown.context["launch_key"]}
    started = alice.post(plan_url, form)
    run = MigrationRun.objects.get()
    assert started["Location"] == page("run_detail", run.pk)
    assert alice.post(plan_url, form)["Location"] == started["Location"]  # pressed twice: one run
    assert MigrationRun.objects.count() == 1


def test_start_pressed_again_after_the_persona_was_archived_shows_the_same_run(alice, estate):
    url = page("run_create", query=plan_query(estate))
    shown = alice.get(url).context
    form = {"target": estate.target.pk, "overrides": "", "action": "start", "csrfmiddlewaretoken": "a"}
    form |= {"plan_sha256": shown["plan_sha256"], "launch_key": shown["launch_key"]}
    started = alice.post(url, form)
    row_archive(row=estate.persona, by=factories.make_user(superuser=True))
    assert alice.post(url, form | {"csrfmiddlewaretoken": "b"})["Location"] == started["Location"]
    other = alice.post(url, form | {"overrides": "resources: {vcpus: 3}"})
    assert "used for another request" in other.content.decode()


def plan_query(estate):
    return f"?vm={estate.vm.pk}&persona={estate.persona.pk}&template={estate.template.pk}"


def test_wizard_orders_several_personas(alice, estate):
    other = factories.make_persona("WebDev", department=estate.department)
    query = {"vm": estate.vm.pk, "pick": [estate.persona.pk, other.pk]}
    orders = {f"order-{estate.persona.pk}": "2", f"order-{other.pk}": "1"}
    location = alice.get(page("run_create"), query | orders)["Location"]
    assert location.index(str(other.pk)) < location.index(str(estate.persona.pk))


def conflicts_listed(response):
    """Each row of the list of conflicts in words: setting, what holds, instead of what."""
    listed = text(response).partition("Conflicts, and whose value holds")[2].partition("</table>")[0]
    rows = listed.partition("<tbody>")[2].split("</tr>")[:-1]
    return [" ".join(unescape(re.sub("<[^>]+>", "", row)).split()) for row in rows]


def test_plan_and_run_list_what_two_personas_disagree_about_with_the_winner(alice, estate, run_all):
    other = factories.make_persona("WebDev", department=estate.department, firmware="uefi")
    estate.template.firmware, estate.persona.firmware = "keep", "bios"
    estate.template.save()
    estate.persona.save()
    query = f"?vm={estate.vm.pk}&persona={other.pk}&persona={estate.persona.pk}&template={estate.template.pk}"
    run = run_all(pipeline.run_start, **estate.launch(personas=[other, estate.persona]))
    for url in (page("run_create", query=query), page("run_detail", run.pk, query="?view=settings")):
        (row,) = conflicts_listed(alice.get(url))
        told = r"firmware personas disagree bios DatabaseAdmin.@\d+ keep .+@\d+ uefi WebDev.@\d+$"
        assert re.search(told, row), row


def test_plan_and_run_without_a_conflict_speak_of_none(alice, estate, done):
    for url in (
        page("run_create", query=plan_query(estate)),
        page("run_detail", done.pk, query="?view=settings"),
    ):
        assert "Conflicts" not in text(alice.get(url)), url


def test_wizard_shows_overrides_in_the_plan(alice, estate):
    url = page("run_create", query=plan_query(estate))
    form = {"target": estate.target.pk, "overrides": "resources: {vcpus: 3}", "action": "preview"}
    response = alice.post(url, form)
    changes = {row["label"]: row["planned"] for row in response.context["changes"]}
    assert changes["vCPUs"] == "3"
    assert "resources: {vcpus: 3}" in text(response)


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        ("resources: {vcpus: many}", "overrides.resources.vcpus"),
        ("resources: [", "This is no YAML"),
        ("resources: {vcpus: 2}\nresources: {}", "resources is there twice"),
        ("just words", "Write settings as"),
    ],
)
def test_wizard_tells_what_is_wrong_in_the_overrides_and_keeps_them(alice, estate, overrides, told):
    url = page("run_create", query=plan_query(estate))
    response = alice.post(url, {"target": estate.target.pk, "overrides": overrides, "action": "start"})
    assert response.status_code == 400
    shown = response.content.decode()
    assert told in shown
    assert overrides.split("[")[0] in shown
    assert MigrationRun.objects.count() == 0


def test_wizard_tells_that_the_plan_became_stale(alice, estate):
    url = page("run_create", query=plan_query(estate))
    sha256 = alice.get(url).context["plan_sha256"]
    estate.persona.monitoring_tags = {"cost-centre": "1"}
    estate.persona.save()
    response = alice.post(
        url, {"target": estate.target.pk, "overrides": "", "action": "start", "plan_sha256": sha256}
    )
    assert "The plan has changed" in response.content.decode()
    assert MigrationRun.objects.count() == 0


def test_critical_concern_stands_against_the_start(alice, estate):
    estate.persona.default_kernel_version = "9.9.9-none"
    estate.persona.save()
    url = page("run_create", query=plan_query(estate))
    shown = text(alice.get(url))
    assert "No kernel on the disk fulfils 9.9.9-none" in shown
    assert "disabled" in shown
    alice.post(url, {"target": estate.target.pk, "overrides": "", "action": "start"})
    assert MigrationRun.objects.count() == 0


# --- who may -----------------------------------------------------------------------------------------------------


def every_url(run):
    machine = MigratedVM.objects.get(run=run)
    names = ["run_detail", "run_live", "run_receipt", "run_cancel", "run_retry"]
    urls = [page(name, run.pk) for name in names]
    urls += [
        page(name, machine.pk) for name in ("migratedvm_detail", "migratedvm_console", "migratedvm_delete")
    ]
    return [*urls, page("migratedvm_power", machine.pk, "off")]


def test_stranger_finds_nothing(charlie, done):
    for url in every_url(done):
        assert charlie.get(url).status_code == 404, url
        assert charlie.post(url).status_code in (404, 405), url
    assert "web01" not in text(charlie.get(page("run_list")))
    assert "web01" not in text(charlie.get(page("migratedvm_list")))


def test_anonymous_is_sent_to_the_login(client, done):
    for url in [*every_url(done), page("run_list"), page("run_create"), page("target_list")]:
        assert client.get(url)["Location"].startswith("/login/"), url


def test_viewer_sees_no_buttons_and_is_refused(client, estate, done):
    client.force_login(factories.make_member(estate.department, role="viewer"))
    machine = MigratedVM.objects.get(run=done)
    assert page("migratedvm_delete", machine.pk) not in text(
        client.get(page("migratedvm_detail", machine.pk))
    )
    assert "Migrate a machine" not in text(client.get(page("run_list")))
    for url in every_url(done)[3:5] + every_url(done)[7:]:
        assert client.post(url).status_code == 403, url
    assert client.get(page("run_create")).status_code == 403
    assert client.get(page("target_create")).status_code == 403


def test_wizard_does_not_show_a_strangers_machine(charlie, estate):
    assert charlie.get(page("run_create", query=plan_query(estate))).status_code == 404
    assert "web01" not in text(charlie.get(page("run_create")))


# --- terms -----------------------------------------------------------------------------------------------------------


def wizard_url(estate):
    return page(
        "run_create", query=f"?vm={estate.vm.pk}&persona={estate.persona.pk}&template={estate.template.pk}"
    )


def test_wizard_starts_a_run_that_waits_for_a_person(alice, estate, run_all):
    posted = {"target": estate.target.pk, "action": "start", "commit": "timed", "confirm_minutes": "30"}
    alice.post(wizard_url(estate), posted)
    run = MigrationRun.objects.get()
    assert (run.commit, run.confirm_minutes) == ("timed", 30)


def test_wizard_tells_terms_that_contradict_each_other(alice, estate):
    posted = {"target": estate.target.pk, "overrides": "", "action": "start", "commit": "timed"}
    response = alice.post(wizard_url(estate), posted)
    assert response.status_code == 400
    assert "within how many minutes" in response.content.decode()
    response = alice.post(wizard_url(estate), posted | {"commit": "", "decide_minutes": "5"})
    assert (response.status_code, "Only a cutover waits" in response.content.decode()) == (400, True)
    assert not MigrationRun.objects.exists()


def test_wizard_records_why_a_warning_was_accepted(alice, estate):
    estate.template.default_kernel_version, estate.template.locks = "6.1.0-1-amd64", ["kernel.version"]
    estate.template.save()
    assert "accept-settings.locked" in text(alice.get(wizard_url(estate)))
    posted = {"target": estate.target.pk, "action": "start", "accept-settings.locked": "the owner knows"}
    alice.post(wizard_url(estate), posted)
    assert MigrationRun.objects.get().acknowledged[0]["reason"] == "the owner knows"


def test_waiting_run_shows_its_deadline_and_its_buttons(alice, estate, run_all):
    run = run_all(pipeline.run_start, **estate.launch(terms=Terms(commit=Commit.TIMED, confirm_minutes=30)))
    shown = text(alice.get(page("run_detail", run.pk)))
    assert "Waiting for you" in shown
    assert "{#" not in shown
    assert f"{run.confirm_by:%Y-%m-%d %H:%M:%S} UTC" in shown
    for name in ("run_confirm", "run_rollback"):
        assert page(name, run.pk) in shown
    assert "Does web01 stay" in text(alice.get(page("run_confirm", run.pk)))
    alice.post(page("run_confirm", run.pk))
    shown = text(alice.get(page("run_detail", run.pk)))
    assert page("run_finalize", run.pk) in shown
    alice.post(page("run_finalize", run.pk))
    run.refresh_from_db()
    assert run.finalized_at
    assert page("run_rollback", run.pk) not in text(alice.get(page("run_detail", run.pk)))


def test_test_migration_is_labelled_and_discarded_with_one_click(alice, estate, run_all):
    run = run_all(pipeline.run_start, **estate.launch(terms=Terms(mode=Mode.TEST)))
    for shown in (page("run_detail", run.pk), page("run_list"), page("migratedvm_list")):
        assert "Test</span>" in text(alice.get(shown))
    assert "Discard it" in text(alice.get(page("migratedvm_detail", run.migrated_vm.pk)))
    alice.post(page("run_rollback", run.pk))
    run.refresh_from_db()
    assert run.state == RunState.ROLLING_BACK


def test_retry_of_a_run_that_did_not_fail_has_no_button(alice, done):
    shown = text(alice.get(page("run_retry", done.pk)))
    assert "Nothing of this run has failed" in shown
    assert "Try again</button>" not in shown


@pytest.mark.parametrize("typed", ["--5", "²", "1" * 5_000, "first"])
def test_wizard_takes_an_order_that_is_no_number_as_none(alice, estate, typed):
    query = {"vm": estate.vm.pk, "pick": [estate.persona.pk], f"order-{estate.persona.pk}": typed}
    assert str(estate.persona.pk) in alice.get(page("run_create"), query)["Location"]


@pytest.mark.parametrize(("name", "choices"), [("run_list", 2), ("migratedvm_list", 1), ("wave_list", 1)])
def test_a_filter_that_narrows_nothing_says_any(alice, estate, name, choices):
    shown = text(alice.get(page(name)))
    assert "---------" not in shown
    assert shown.count(">Any</option>") >= choices
