"""The API: the same services, tenants kept apart, problems with pointers."""

import pytest
from rest_framework.test import APIClient

from analyzer.models import Feedback, Recommendation, Scan, UsageSeries, VirtualMachine, VMPersona
from analyzer.scanner.scan import UnreadableImage
from analyzer.services import scan_reading, scans
from tests.factories import (
    make_department,
    make_facts,
    make_member,
    make_package,
    make_persona,
    make_scan,
    make_vm,
)

pytestmark = pytest.mark.django_db

API = "/api/v1"


def client_of(user):
    client = APIClient()
    client.force_login(user)
    return client


@pytest.fixture
def department():
    return make_department("Web")


@pytest.fixture
def vm(department):
    return make_vm(department, name="web01")


@pytest.fixture
def operator(department):
    return client_of(make_member(department, "operator"))


@pytest.fixture
def viewer(department):
    return client_of(make_member(department, "viewer"))


@pytest.fixture
def stranger():
    return client_of(make_member(make_department("Other"), "admin"))


@pytest.fixture
def suggested(vm):
    persona = make_persona("WebDev", hints=["nginx"])
    packages = (make_package("nginx", section="httpd"), make_package("vim", manual=False))
    make_scan(vm, facts=make_facts(packages=packages))
    return vm.recommendations.get(persona=persona)


def pointers(response):
    assert response["Content-Type"].startswith("application/problem+json")
    return [error["pointer"] for error in response.json()["errors"]]


# --- sources ---------------------------------------------------------------------------------------------------------


def test_a_source_is_made_changed_checked_discovered_and_deleted(department, tmp_path, settings):
    settings.IMAGE_ROOTS = [tmp_path]
    admin = client_of(make_member(department, "admin"))
    body = {"name": "lab", "location": str(tmp_path), "department": str(department.pk)}
    made = admin.post(f"{API}/sources/", body)
    assert made.status_code == 201
    url = f"{API}/sources/{made.json()['id']}/"
    assert admin.patch(url, {"name": "lab 2"}).json()["name"] == "lab 2"
    assert admin.post(f"{url}check/").json()["answers"]["kind"] == "images"
    asked = admin.post(f"{url}discover/")
    assert asked.status_code == 202
    assert asked["Location"].endswith(url)
    assert asked.json()["discovery_requested_at"]
    assert admin.delete(url).status_code == 204


def test_a_wrong_location_is_told_at_its_field(department, settings, tmp_path):
    settings.IMAGE_ROOTS = [tmp_path]
    admin = client_of(make_member(department, "admin"))
    answer = admin.post(f"{API}/sources/", {"name": "s", "location": "/etc", "department": str(department.pk)})
    assert answer.status_code == 400
    assert pointers(answer) == ["#/location"]


def test_a_source_is_never_made_in_a_foreign_department(stranger, department, settings, tmp_path):
    settings.IMAGE_ROOTS = [tmp_path]
    body = {"name": "s", "location": str(tmp_path), "department": str(department.pk)}
    assert stranger.post(f"{API}/sources/", body).status_code == 400


# --- machines --------------------------------------------------------------------------------------------------------


def test_machines_are_found_by_name_system_software_state_and_persona(vm, operator, suggested, department):
    make_vm(department, name="db01", os_id="rocky", os_version="9")
    VMPersona.objects.create(vm=vm, persona=suggested.persona)

    def names(query):
        answer = operator.get(f"{API}/machines/?{query}")
        assert answer.status_code == 200, answer.content
        return [row["name"] for row in answer.json()["results"]]

    assert names("search=WEB") == ["web01"]
    assert names("os=rocky 9") == ["db01"]
    assert names("os=debian") == ["web01"]
    assert names("package=ngin") == ["web01"]
    assert names("scan=none") == ["db01"]
    assert names("scan=complete") == ["web01"]
    assert names(f"persona={suggested.persona_id}") == ["web01"]
    assert names("ordering=-name") == ["web01", "db01"]
    assert names("missing=true") == []


def test_a_stranger_sees_no_machine_and_nothing_below_it(vm, stranger, suggested):
    assert stranger.get(f"{API}/machines/").json()["count"] == 0
    for path in ("", "packages/", "services/", "recommendations/", "usage/", "persona-draft/"):
        assert stranger.get(f"{API}/machines/{vm.pk}/{path}").status_code == 404, path
    assert stranger.post(f"{API}/machines/{vm.pk}/scan/").status_code == 404
    assert stranger.post(f"{API}/recommendations/{suggested.pk}/accept/").status_code == 404
    assert stranger.get(f"{API}/scans/{suggested.scan_id}/").status_code == 404


def test_a_viewer_reads_and_never_writes(vm, viewer, suggested):
    assert viewer.get(f"{API}/machines/{vm.pk}/").status_code == 200
    machine = f"machines/{vm.pk}"
    for path in (f"{machine}/scan/", f"{machine}/recommendations/", f"recommendations/{suggested.pk}/dismiss/"):
        assert viewer.post(f"{API}/{path}").status_code == 403, path
    push = {"vm": str(vm.pk), "metric": "cpu_percent", "start": "2024-01-01T00:00:00Z", "values": [1]}
    assert viewer.post(f"{API}/usage/", push).status_code == 403
    assert viewer.patch(f"{API}/machines/{vm.pk}/", {"vcpus": 2}).status_code == 403


def test_people_tell_what_an_image_does_not_know(vm, operator):
    answer = operator.patch(f"{API}/machines/{vm.pk}/", {"vcpus": 4, "memory_mib": 2048, "name": "mine"})
    assert answer.status_code == 200
    vm.refresh_from_db()
    assert (vm.vcpus, vm.memory_mib, vm.name) == (4, 2048, "web01")


def test_a_machine_is_forgotten_only_when_its_source_lost_it(vm, department):
    admin = client_of(make_member(department, "admin"))
    assert admin.delete(f"{API}/machines/{vm.pk}/").status_code == 409
    VirtualMachine.objects.update(missing_since=vm.created_at)
    assert admin.delete(f"{API}/machines/{vm.pk}/").status_code == 204


def test_packages_come_on_purpose_first(vm, operator, suggested):
    rows = operator.get(f"{API}/machines/{vm.pk}/packages/").json()["results"]
    assert [(row["name"], row["manual"]) for row in rows] == [("nginx", True), ("vim", False)]
    assert operator.get(f"{API}/machines/{vm.pk}/packages/?manual=false").json()["count"] == 1


# --- scans -----------------------------------------------------------------------------------------------------------


def test_a_scan_is_accepted_and_found_at_its_location(vm, operator):
    answer = operator.post(f"{API}/machines/{vm.pk}/scan/")
    assert answer.status_code == 202
    assert operator.get(answer["Location"]).json()["state"] == "queued"
    assert operator.post(f"{API}/machines/{vm.pk}/scan/").json()["id"] == answer.json()["id"]


def test_a_scan_shows_its_facts_and_the_list_does_not(vm, operator, suggested):
    scan = operator.get(f"{API}/scans/{suggested.scan_id}/").json()
    assert scan["facts"]["os"]["id"] == "debian"
    assert "facts" not in operator.get(f"{API}/scans/").json()["results"][0]


def test_a_hostile_disk_is_unreadable_and_never_an_error(vm, operator, monkeypatch, tmp_path):
    disk = tmp_path / "x.raw"
    disk.write_bytes(b"x")
    vm.disks.update(path=str(disk))

    def hostile(disks):
        raise UnreadableImage("it has a backing file \u202e outside")

    monkeypatch.setattr(scan_reading, "scan_disks", hostile)
    answer = operator.post(f"{API}/machines/{vm.pk}/scan/")
    scans.scan_work(scan_id=Scan.objects.get().pk)
    told = operator.get(answer["Location"]).json()
    assert told["state"] == "unreadable"
    assert told["message"].startswith("unreadable: it has a backing file")


# --- suggestions -----------------------------------------------------------------------------------------------------


def test_accepting_gives_the_machine_the_persona(vm, operator, suggested):
    answer = operator.post(f"{API}/recommendations/{suggested.pk}/accept/")
    assert answer.json()["state"] == "claimed"
    assert VMPersona.objects.get().persona == suggested.persona
    assert Feedback.objects.get().verdict == "accepted"
    assert operator.post(f"{API}/recommendations/{suggested.pk}/accept/").status_code == 409


def test_choosing_another_is_remembered_with_its_reason(vm, operator, suggested):
    other = make_persona("DatabaseAdmin")
    body = {"persona": str(other.pk), "reason": "it only serves dumps", "use_case": "nightly"}
    assert operator.post(f"{API}/recommendations/{suggested.pk}/choose/", body).json()["state"] == "dismissed"
    assert VMPersona.objects.get().use_case == "nightly"
    told = operator.get(f"{API}/feedback/").json()["results"][0]
    assert (told["verdict"], told["persona"], told["reason"]) == ("other", str(other.pk), "it only serves dumps")


def test_a_persona_of_another_department_cannot_be_chosen(vm, operator, suggested):
    foreign = make_persona("Foreign", department=make_department())
    answer = operator.post(f"{API}/recommendations/{suggested.pk}/choose/", {"persona": str(foreign.pk)})
    assert answer.status_code == 400
    assert pointers(answer) == ["#/persona"]
    assert Recommendation.objects.get().state == "active"


def test_a_dismissed_suggestion_is_not_made_again_by_the_same_facts(vm, operator, suggested):
    operator.post(f"{API}/recommendations/{suggested.pk}/dismiss/", {"reason": "no"})
    make_scan(vm, facts=make_facts(packages=(make_package("nginx", section="httpd"),)))
    assert vm.recommendations.count() == 1
    assert operator.post(f"{API}/machines/{vm.pk}/recommendations/").status_code == 201
    assert vm.recommendations.filter(state="active").count() == 1


def test_no_good_fit_is_said_and_a_persona_can_be_drafted(vm, department):
    admin = client_of(make_member(department, "admin"))
    make_scan(vm, facts=make_facts(packages=(make_package("gnuradio", section="hamradio"),)))
    told = admin.get(f"{API}/machines/{vm.pk}/recommendations/").json()["results"][0]
    assert told["persona"] is None
    assert told["reason"]
    assert admin.post(f"{API}/recommendations/{told['id']}/accept/").status_code == 409
    draft = admin.get(f"{API}/machines/{vm.pk}/persona-draft/").json()
    assert draft["hints"] == ["gnuradio"]
    assert draft["settings"]["distribution"] == {"name": "debian", "version": "12", "intent": "prefer"}
    made = admin.post(f"{API}/personas/import/", {**draft, "department": str(department.pk)})
    assert made.status_code == 201, made.content


def test_a_machine_carries_personas_by_use_case_and_priority(vm, operator):
    first, second = make_persona("A"), make_persona("B")
    for persona, priority in ((first, 20), (second, 10)):
        body = {"vm": str(vm.pk), "persona": str(persona.pk), "priority": priority}
        assert operator.post(f"{API}/vm-personas/", body).status_code == 201
    from analyzer.services.vm_personas import personas_for

    assert personas_for(vm) == [second, first]
    row = VMPersona.objects.get(persona=second)
    assert operator.patch(f"{API}/vm-personas/{row.pk}/", {"priority": 30}).status_code == 200
    assert personas_for(vm) == [first, second]
    assert operator.delete(f"{API}/vm-personas/{row.pk}/").status_code == 204
    assert personas_for(vm) == [first]


def test_a_foreign_machine_is_given_no_persona(vm, stranger):
    body = {"vm": str(vm.pk), "persona": str(make_persona().pk)}
    answer = stranger.post(f"{API}/vm-personas/", body)
    assert (answer.status_code, pointers(answer)) == (400, ["#/vm"])


# --- usage -----------------------------------------------------------------------------------------------------------


def push(vm, **changes):
    body = {"vm": str(vm.pk), "metric": "cpu_percent", "start": "2024-01-01T23:00:00Z", "step_s": 600}
    return body | {"values": [10, None, 30, 40, 50, 60, 70, 80]} | changes


def test_pushed_usage_is_cut_into_days_and_summed_up(vm, operator):
    assert operator.post(f"{API}/usage/", push(vm)).json() == {"stored": {"cpu_percent": 7}}
    assert operator.post(f"{API}/usage/", push(vm)).status_code == 200
    assert list(UsageSeries.objects.values_list("day", "step_s")) != []
    assert UsageSeries.objects.count() == 2
    told = operator.get(f"{API}/machines/{vm.pk}/usage/").json()["cpu_percent"]
    assert (told["samples"], told["p50"], told["max"], told["coverage"]) == (7, 50, 80, 0.875)
    assert told["p95"] == pytest.approx(77)
    chart = operator.get(f"{API}/machines/{vm.pk}/usage/series/?metric=cpu_percent").json()
    assert chart["series"][0]["values"] == [10, None, 30, 40, 50, 60, 70, 80]
    assert operator.get(f"{API}/usage/?vm={vm.pk}&metric=cpu_percent").json()["count"] == 2


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"metric": "load"}, "#/metric"),
        ({"values": [101]}, "#/values/0"),
        ({"values": []}, "#/values"),
        ({"values": ["a lot"]}, "#/values/0"),
        ({"step_s": 7}, "#/step_s"),
        ({"start": "2199-01-01T00:00:00Z"}, "#/start"),
        ({"start": "soon"}, "#/start"),
    ],
)
def test_a_wrong_push_is_told_at_its_place(vm, operator, changes, pointer):
    answer = operator.post(f"{API}/usage/", push(vm, **changes))
    assert answer.status_code == 400
    assert pointers(answer) == [pointer]


def test_csv_is_taken_whole(vm, operator):
    text = "t,cpu_percent,net_in_mbps\n2024-01-01T00:00:00Z,1,2\n2024-01-01T00:05:00Z,3,\n"
    answer = operator.post(f"{API}/machines/{vm.pk}/usage/csv/", text, content_type="text/csv")
    assert answer.json() == {"stored": {"cpu_percent": 2, "net_in_mbps": 1}}


def test_a_csv_with_wrong_rows_writes_nothing_and_names_them(vm, operator):
    text = "t,cpu_percent\n2024-01-01T00:00:00Z,1\nnever,2\n2024-01-01T00:05:00Z,300\n"
    answer = operator.post(f"{API}/machines/{vm.pk}/usage/csv/", text, content_type="text/csv")
    assert answer.status_code == 400
    assert pointers(answer) == ["#/rows/3/t", "#/rows/4/cpu_percent"]
    assert not UsageSeries.objects.exists()


def test_what_is_no_text_is_refused(vm, operator):
    answer = operator.post(f"{API}/machines/{vm.pk}/usage/csv/", b"\xff\xfe\x00", content_type="text/csv")
    assert (answer.status_code, pointers(answer)) == (400, ["#/file"])


def test_csv_in_json_is_no_csv(vm, operator):
    assert operator.post(f"{API}/machines/{vm.pk}/usage/csv/", {"t": 1}).status_code == 415
