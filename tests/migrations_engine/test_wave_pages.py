"""Waves by page and by API: the board, its machines, its steering, its report."""

import csv
import io
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from migrations_engine.domain.states import RunState
from migrations_engine.domain.waves import WaveState
from migrations_engine.models import MigrationRun, StepRun, Wave
from migrations_engine.services import waves
from tests import factories
from tests.migrations_engine.test_waves import dispatch, end, make_wave, more_vms

WAVES = "/api/v1/waves/"


@pytest.fixture
def alice(client, estate):
    client.force_login(estate.operator)
    return client


@pytest.fixture
def api(estate):
    client = APIClient()
    client.force_authenticate(estate.operator)
    return client


def page(name, *arguments, query=""):
    return reverse(f"migrations_engine:{name}", args=arguments) + query


def text(response, status=200):
    assert response.status_code == status, response.content[:800]
    return response.content.decode()


def posted(estate, **changes):
    return {
        "department": estate.department.pk, "name": "Friday night", "template": estate.template.pk,
        "persona": estate.persona.pk, "mode": "cold", "commit": "at_once", "on_rollback": "remove", "concurrency": 2,
    } | changes  # fmt: skip


def test_wave_is_made_filled_and_started_by_page(alice, estate):
    more_vms(estate, 2, tags={"web": ""})
    alice.post(page("wave_create"), posted(estate))
    wave = Wave.objects.get()
    machines = page("wave_members", wave.pk)
    assert "2 machines:" in text(alice.post(machines, {"rule": "tag:web", "action": "look"}))
    alice.post(machines, {"rule": "tag:web", "action": "add"})
    alice.post(machines, {"vms": [estate.vm.pk], "action": "add"})
    assert wave.members.count() == 3
    assert "Start the wave Friday night?" in text(alice.get(page("wave_act", wave.pk, "start")))
    alice.post(page("wave_act", wave.pk, "start"))
    dispatch()
    shown = text(alice.get(page("wave_detail", wave.pk)))
    for expected in ("web02", "0 of 3 done, 2 at work", "that is its limit", "data-poll", "Pause"):
        assert expected in shown
    assert "Friday night" in text(alice.get(page("wave_list", query="?search=friday&state=running")))


def test_wrong_rule_and_wrong_csv_are_told_beside_their_fields(alice, estate):
    wave = make_wave(estate, 1, start=False)
    machines = page("wave_members", wave.pk)
    assert "column 5: a value is missing" in text(
        alice.post(machines, {"rule": "os ~", "action": "add"}), 400
    )
    file = SimpleUploadedFile("wave.csv", b"vm\nnobody\n")
    assert "rows.2.vm" in text(alice.post(machines, {"file": file, "action": "add"}), 400)


def test_wave_that_contradicts_itself_is_told(alice, estate):
    shown = text(alice.post(page("wave_create"), posted(estate, commit="timed")), 400)
    assert "within how many minutes" in shown
    alice.post(page("wave_create"), posted(estate))
    assert "already exists" in text(alice.post(page("wave_create"), posted(estate)), 400)


def test_member_gets_settings_of_its_own_and_is_taken_out(alice, estate):
    wave = make_wave(estate, 2, start=False)
    member = wave.members.last()
    own = {"persona": "", "order": 1, "overrides": "resources: {vcpus: 3}"}
    alice.post(page("member_edit", member.pk), own)
    assert "vcpus" in text(alice.get(page("wave_members", wave.pk)))
    alice.post(page("member_remove", member.pk))
    assert wave.members.count() == 1


def test_windows_stand_in_the_calendar(alice, estate):
    wave = make_wave(estate, 1, start=False)
    soon = timezone.now() + timedelta(hours=5)
    asked = {"starts_at": f"{soon:%Y-%m-%dT%H:%M}", "ends_at": f"{soon:%Y-%m-%dT23:59}", "weekly": "on"}
    later = (soon + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M")
    alice.post(page("wave_windows", wave.pk), asked | {"ends_at": later})
    shown = text(alice.get(page("wave_calendar")))
    assert shown.count(f"{soon:%H:%M} to") == 5  # every week of the next five
    assert "ends after it starts" in text(
        alice.post(page("wave_windows", wave.pk), asked | {"ends_at": asked["starts_at"]}), 400
    )
    alice.post(page("window_remove", wave.windows.get().pk))
    assert not wave.windows.exists()


def test_board_stops_polling_when_nothing_moves_any_more(alice, estate):
    wave = make_wave(estate, 1)
    dispatch()
    assert alice.get(page("wave_live", wave.pk)).status_code == 200
    end(MigrationRun.objects.all())
    dispatch()
    assert alice.get(page("wave_live", wave.pk)).status_code == 286


def test_board_of_two_hundred_asks_the_database_as_often_as_one_of_two(
    alice, estate, django_assert_max_num_queries
):
    wave = make_wave(estate, 200, start=False)
    with django_assert_max_num_queries(30):
        shown = text(alice.get(page("wave_detail", wave.pk)))
    assert "web200" in shown


def test_four_eyes_are_asked_for_by_an_admin(client, estate):
    client.force_login(factories.make_member(estate.department, "admin"))
    client.post(page("wave_policy", estate.department.pk))
    assert waves.four_eyes(estate.department)
    assert "wants four eyes" in text(client.get(page("wave_list")))


def test_who_started_a_wave_is_not_offered_to_approve_it(client, estate):
    boss = factories.make_member(estate.department, "admin")
    waves.policy_set(department=estate.department, four_eyes=True, by=boss)
    wave = make_wave(estate, 1)
    client.force_login(estate.operator)
    assert page("wave_act", wave.pk, "approve") not in text(client.get(page("wave_detail", wave.pk)))
    client.force_login(boss)
    assert page("wave_act", wave.pk, "approve") in text(client.get(page("wave_detail", wave.pk)))


def test_act_that_makes_no_sense_now_has_no_button(alice, estate):
    wave = make_wave(estate, 1, start=False)
    assert "Resume</button>" not in text(alice.get(page("wave_act", wave.pk, "resume")))
    assert alice.get(page("wave_act", wave.pk, "explode")).status_code == 404


def test_report_tells_what_became_of_each_machine(alice, estate):
    wave = make_wave(estate, 2)
    dispatch()
    good, bad = (member.run for member in wave.members.select_related("run"))
    checks = [{"verdict": "pass"}, {"verdict": "pass"}, {"verdict": "warning"}]
    StepRun.objects.filter(run=good, name="post_script").update(result={"checks": checks})
    end(MigrationRun.objects.filter(pk=good.pk))
    end(MigrationRun.objects.filter(pk=bad.pk), RunState.FAILED)
    MigrationRun.objects.filter(pk=bad.pk).update(root_cause="=cmd|' /C calc'!A0")
    told = alice.get(page("wave_report_file", wave.pk, "json")).json()
    assert told["counts"] | {"succeeded": 1, "failed": 1, "machines": 2} == told["counts"]
    assert [(row["standing"], row["checks_passed"], row["checks_failed"]) for row in told["machines"]] == [
        ("succeeded", 2, 1), ("failed", 0, 0),
    ]  # fmt: skip
    rows = list(csv.DictReader(io.StringIO(text(alice.get(page("wave_report_file", wave.pk, "csv"))))))
    assert [row["vm"] for row in rows] == ["web01", "web02"]
    assert rows[1]["error"].startswith("'=cmd")  # a spreadsheet takes it for text
    assert "web02" in text(alice.get(page("wave_report", wave.pk)))


def test_wave_is_made_filled_and_steered_by_api(api, estate):
    asked = {"department": str(estate.department.pk), "name": "Night", "template": str(estate.template.pk)}
    made = api.post(WAVES, asked)
    assert made.status_code == 201, made.content
    place = f"{WAVES}{made.json()['id']}/"
    assert api.post(f"{place}members/", {"rule": "name ~ web", "vms": [str(estate.vm.pk)]}).json() == {
        "added": 1
    }
    (member,) = api.get(f"{place}members/").json()["results"]
    assert (member["vm_name"], member["standing"]) == ("web01", "waiting")
    own = {"overrides": {"resources": {"vcpus": 2}}}
    assert api.patch(f"/api/v1/wave-members/{member['id']}/", own).json()["overrides"] == own["overrides"]
    assert api.patch(place, {"concurrency": 5}).json()["concurrency"] == 5
    assert api.post(f"{place}start/").json()["state"] == "running"
    assert api.post(f"{place}pause/").json()["state"] == "paused"
    assert api.get(f"{place}report/").json()["machines"][0]["vm"] == "web01"
    assert api.get(f"{place}report_csv/").content.startswith(b"order,vm")


def test_api_tells_a_wrong_rule_by_pointer(api, estate):
    wave = make_wave(estate, 1, start=False)
    response = api.post(f"{WAVES}{wave.pk}/members/", {"rule": "os ~"})
    assert (response.status_code, response.json()["errors"][0]["pointer"]) == (400, "#/rule")


def test_stranger_sees_no_wave(estate):
    wave = make_wave(estate, 1, start=False)
    client = APIClient()
    client.force_authenticate(factories.make_member(role="admin"))
    assert client.get(f"{WAVES}{wave.pk}/").status_code == 404
    assert client.get(WAVES).json()["results"] == []
    assert wave.state == WaveState.DRAFT
