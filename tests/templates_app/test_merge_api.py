"""`POST /api/v1/merge/`: ids and documents in, effective settings with their origins out, nothing stored."""

import hashlib
import json
import uuid

import pytest

from personas.domain.canonical import sha256_of
from personas.models import ApiToken
from templates_app.models import MigrationTemplate
from tests.factories import make_department, make_driver_set, make_member, make_persona, make_template

pytestmark = pytest.mark.django_db
URL = "/api/v1/merge/"


def pointers(response):
    assert response.headers["Content-Type"] == "application/problem+json"
    return {error["pointer"]: error["detail"] for error in response.json()["errors"]}


def test_documents_merge_without_any_row(api, viewer):
    body = {
        "template": {"resources": {"vcpus": 1}, "packages": ["curl"]},
        "persona": {"resources": {"vcpus": 4}},
    }
    response = api(viewer).post(URL, body)
    assert response.status_code == 200
    told = response.json()
    assert told["merged"]["resources"] == {"vcpus": 4}
    assert told["sha256"] == sha256_of(told["merged"])
    assert set(told) == {"merged", "origin", "conflicts", "refused", "sha256"}
    row = next(row for row in told["origin"] if row["path"] == "resources.vcpus")
    assert row["layer"] == "persona:persona"
    assert row["beat"] == [{"layer": "template:inline", "value": 1}]


def test_rows_and_documents_mix(api, admin, department):
    template = make_template("Debian", department=department, machine="pc", packages=["curl"])
    persona = make_persona("WebDev", department=department, packages=["nginx"])
    body = {
        "template": str(template.pk),
        "personas": [str(persona.pk), {"name": "Extra", "document": {"packages": ["vim"]}, "priority": 5}],
        "overrides": {"firmware": "uefi"},
    }
    told = api(admin).post(URL, body).json()
    assert told["merged"]["packages"] == ["curl", "nginx", "vim"]
    assert told["merged"]["firmware"] == "uefi"
    assert next(row["layer"] for row in told["origin"] if row["path"] == "firmware") == "launch"
    row = next(row for row in told["origin"] if row["path"] == "packages")
    assert [i["layer"] for i in row["items"]] == ["template:Debian@1", "persona:WebDev@0", "persona:Extra"]


def test_priority_decides_between_personas_then_the_name(api, viewer):
    ada, zoe = {"name": "Ada", "document": {"machine": "pc"}}, {"name": "Zoe", "document": {"machine": "q35"}}
    assert api(viewer).post(URL, {"personas": [zoe, ada]}).json()["merged"]["machine"] == "q35"
    assert (
        api(viewer).post(URL, {"personas": [zoe, {**ada, "priority": 1}]}).json()["merged"]["machine"] == "pc"
    )


def test_department_defaults_stand_between_template_and_persona(api, viewer, department):
    department.defaults = {"machine": "pc", "firmware": "uefi"}
    department.save()
    body = {
        "template": {"machine": "q35", "firmware": "bios"},
        "department": str(department.pk),
        "persona": {"firmware": "bios"},
    }
    merged = api(viewer).post(URL, body).json()["merged"]
    assert (merged["machine"], merged["firmware"]) == ("pc", "bios")


def test_driver_sets_come_from_the_catalogue_and_from_the_request(api, viewer, department):
    make_driver_set("Ours", department=department, drivers=[{"name": "net", "kernel_modules": ["e1000e"]}])
    told = api(viewer).post(URL, {"persona": {"driver_set": "ours"}}).json()
    assert (
        "no such driver set" in told["detail"]
    )  # a department's set needs the department, or a row that points to it
    body = {"persona": {"driver_set": "ours"}, "department": str(department.pk)}
    assert api(viewer).post(URL, body).json()["merged"]["kernel_modules"] == ["e1000e"]
    body["driver_sets"] = {"ours": [{"name": "net", "kernel_modules": ["tulip"]}]}
    assert api(viewer).post(URL, body).json()["merged"]["kernel_modules"] == ["tulip"]


def test_the_very_driver_set_that_a_persona_points_to_is_used(api, admin, department):
    drivers = make_driver_set(
        "Own", department=department, drivers=[{"name": "net", "kernel_modules": ["e1000e"]}]
    )
    persona = make_persona(department=department, default_driver_set=drivers)
    told = api(admin).post(URL, {"persona": str(persona.pk)}).json()
    assert told["merged"]["kernel_modules"] == ["e1000e"]


def test_errors_point_at_layer_and_field(api, viewer):
    body = {
        "template": {"resources": {"vcpus": "many"}},
        "personas": [{"machine": "q35"}, {"name": "Bad", "document": {"colour": "red"}}],
        "overrides": {"locks": ["packages"]},
    }
    response = api(viewer).post(URL, body)
    assert response.status_code == 400
    told = pointers(response)
    assert set(told) == {"#/template/resources/vcpus", "#/personas/1/document/colour", "#/overrides/locks"}
    assert told["#/template/resources/vcpus"].startswith("template:inline: ")
    assert told["#/template/resources/vcpus"].endswith("(got 'many')")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"templates": []}, "#/templates"),
        ({"personas": {}, "template": {}}, "#/personas"),
        ({"personas": [7]}, "#/personas/0"),
        ({"personas": [{"document": {}, "prio": 1}]}, "#/personas/0/prio"),
        ({"personas": [{"document": {}, "priority": True}]}, "#/personas/0/priority"),
        ({"personas": [{"document": {}, "name": "\ud800"}]}, "#/personas/0/name"),
        ({"personas": [{"document": {}, "name": ""}]}, "#/personas/0/name"),
        ({"personas": [{"document": {}, "name": ["x"]}]}, "#/personas/0/name"),
        ({"personas": [{"monitoring_tags": {"a": "\ud800"}}]}, "#/personas/0/monitoring_tags/a"),
        ({"personas": [{}] * 21}, "#/personas"),
        ({"persona": {}, "personas": []}, "#/persona"),
        ({"template": "not-an-id"}, "#/template"),
        (
            {"driver_sets": {"own": [{"name": "net", "kernel_modules": [7]}]}},
            "#/driver_sets/own/0/kernel_modules/0",
        ),
        ({"driver_sets": []}, "#/driver_sets"),
        ({"driver_sets": "x"}, "#/driver_sets"),
        ({"department": "seven"}, "#/department"),
        ([], "#/"),
    ],
)
def test_a_malformed_request_is_told_by_pointer(api, viewer, body, pointer):
    # as an attacker would write it: the client's own encoder refuses half a surrogate pair
    response = api(viewer).generic("POST", URL, json.dumps(body), content_type="application/json")
    assert response.status_code == 400
    assert pointer in pointers(response)


@pytest.mark.parametrize("make", [make_template, make_persona])
def test_unknown_and_foreign_ids_look_the_same(api, stranger, department, make):
    name = make.__name__.removeprefix("make_")
    foreign = api(stranger).post(URL, {name: str(make(department=department).pk)})
    unknown = api(stranger).post(URL, {name: str(uuid.uuid4())})
    assert (foreign.status_code, unknown.status_code) == (404, 404)
    assert foreign.json() == unknown.json()
    assert set(pointers(foreign)) == {f"#/{name}"}


def test_a_foreign_department_is_not_found(api, stranger, department):
    assert api(stranger).post(URL, {"department": str(department.pk)}).status_code == 404


def test_a_foreign_departments_driver_set_is_unknown(api, stranger, department):
    make_driver_set("Secret", department=department)
    assert api(stranger).post(URL, {"persona": {"driver_set": "secret"}}).status_code == 400


def test_nothing_is_stored(api, admin, department):
    before = MigrationTemplate.objects.count()
    api(admin).post(URL, {"template": {"machine": "pc"}, "persona": {"machine": "q35"}})
    assert MigrationTemplate.objects.count() == before


def test_a_large_body_is_refused(api, viewer):
    response = api(viewer).post(URL, {"template": {"monitoring_tags": {"a": "x" * 300_000}}})
    assert response.status_code == 413


def test_a_deep_body_is_refused(api, viewer):
    response = api(viewer).generic("POST", URL, "[" * 100_000, content_type="application/json")
    assert response.status_code == 400


def test_anonymous_may_not_ask(client):
    assert client.post(URL, {}, content_type="application/json").status_code == 401


def test_a_token_that_may_only_read_may_ask(api, department):
    user = make_member(department, "viewer")
    secret = "s" * 43
    ApiToken.objects.create(
        user=user,
        name="ci",
        prefix="abc",
        scopes=["read"],
        secret_sha256=hashlib.sha256(secret.encode()).hexdigest(),
    )
    client = api(user)
    client.logout()
    response = client.post(URL, {"persona": {}}, headers={"Authorization": f"Bearer mp_abc_{secret}"})
    assert response.status_code == 200


def test_the_vocabulary_is_served_as_json_schema(api, viewer):
    schema = api(viewer).get("/api/v1/settings-schema/").json()
    assert "vcpus" in schema["$defs"]["Resources"]["properties"]


def test_members_of_two_departments_see_both(api):
    ours, theirs = make_department(), make_department()
    user = make_member(ours, "viewer")
    theirs.memberships.create(user=user, role="viewer")
    body = {
        "template": str(make_template(department=ours).pk),
        "persona": str(make_persona(department=theirs, machine="pc").pk),
    }
    assert api(user).post(URL, body).json()["merged"]["machine"] == "pc"
