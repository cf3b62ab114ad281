"""The app's resources of API v1, as a client meets them."""

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from personas.models import Persona
from personas.services.tokens import token_create
from tests.factories import make_department, make_member, make_persona, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def sales():
    return make_department("Sales")


@pytest.fixture
def alice(sales):
    return client_of(make_member(sales, "admin", "alice"))


@pytest.fixture
def charlie():
    return client_of(make_member(make_department("Strangers"), "admin", "charlie"))


def client_of(user) -> APIClient:
    client = APIClient()
    client.force_login(user)
    client.user = user
    return client


def make(client, path, **body) -> dict:
    answer = client.post(f"/api/v1/{path}/", body)
    assert answer.status_code == 201, answer.json()
    return answer.json()


def pointers(answer) -> list[str]:
    assert answer["Content-Type"] == "application/problem+json"
    return [error["pointer"] for error in answer.json()["errors"]]


def test_a_persona_with_every_field_of_the_mission(alice, sales):
    drivers = make(
        alice, "driver-sets", name="Virtio", drivers=[{"name": "net", "kernel_modules": ["virtio_net"]}]
    )
    size = make(alice, "resource-profiles", name="Standard", vcpus=2, memory_mib=2048, root_disk_gib=8)
    rules = [{"protocol": "tcp", "port_from": 5432, "port_to": 5432, "cidr": "10.0.0.0/8"}]
    groups = [{"name": "db-internal", "rules": rules}]
    network = make(alice, "network-profiles", name="Inside", bandwidth_mbps=1000, security_groups=groups)
    script = make(alice, "scripts", name="Tune", interpreter="sh", body="exit 0\n")
    persona = make(
        alice,
        "personas",
        name="DatabaseAdmin",
        default_kernel_version=">=6.1",
        default_distribution_name="debian",
        default_distribution_version="12",
        default_driver_set=drivers["id"],
        resource_allocation_profile=size["id"],
        network_profile=network["id"],
        post_migration_script=script["id"],
        monitoring_tags={"role": "database"},
    )
    assert persona["department"] == str(sales.pk)
    assert persona["document"] == {
        "schema_version": 1,
        "kernel": {"version": ">=6.1"},
        "distribution": {"name": "debian", "version": "12"},
        "driver_set": "virtio",
        "resources": {"vcpus": 2, "memory_mib": 2048, "root_disk_gib": 8},
        "network": {"bandwidth_mbps": 1000, "security_groups": ["db-internal"]},
        "post_migration": {"scripts": [{"name": "tune"}]},
        "monitoring_tags": {"role": "database"},
    }


def test_what_is_wrong_is_pointed_at(alice):
    answer = alice.post(
        "/api/v1/personas/", {"name": "Web", "packages": ["not fine"], "firmware": "punch-cards"}
    )
    assert (answer.status_code, pointers(answer)) == (400, ["#/firmware"])
    answer = alice.post(
        "/api/v1/personas/", {"name": "Web", "packages": ["not fine"], "default_kernel_version": "new"}
    )
    assert (answer.status_code, sorted(pointers(answer))) == (400, ["#/default_kernel_version", "#/packages"])


def test_a_taken_name_is_told_once_beside_the_field(alice):
    make(alice, "personas", name="Web")
    assert pointers(alice.post("/api/v1/personas/", {"name": "Web"})) == ["#/name"]


@pytest.mark.parametrize("value", ["text", 7, {"a": 1}, [7], [["x"]]])
def test_a_list_of_the_wrong_kind_is_no_internal_error(alice, value):
    for field in ("packages", "hints", "unset", "acceptance_checks", "monitoring_tags", "list_modes"):
        answer = alice.post("/api/v1/personas/", {"name": "Web", field: value})
        if not (field in ("monitoring_tags", "list_modes") and value == {"a": 1}) or field == "list_modes":
            assert (answer.status_code, pointers(answer)) == (400, [f"#/{field}"]), (field, answer.json())


def test_an_etag_is_asked_for_and_must_match(alice):
    persona = make(alice, "personas", name="Web")
    url = f"/api/v1/personas/{persona['id']}/"
    read = alice.get(url)
    assert alice.patch(url, {"name": "Web 2"}).status_code == 428
    changed = alice.patch(url, {"name": "Web 2"}, headers={"if-match": read["ETag"]})
    assert (changed.status_code, changed.json()["name"]) == (200, "Web 2")
    assert alice.patch(url, {"name": "Web 3"}, headers={"if-match": read["ETag"]}).status_code == 412
    assert alice.delete(url, headers={"if-match": changed["ETag"]}).status_code == 204
    assert alice.get(url).status_code == 404


@pytest.mark.django_db(transaction=True)
def test_of_two_parallel_updates_one_is_412(alice):
    persona = make(alice, "personas", name="Web")
    url = f"/api/v1/personas/{persona['id']}/"
    tag, codes, together = alice.get(url)["ETag"], [], threading.Barrier(2)

    def patch(text):
        client = client_of(alice.user)
        together.wait()
        codes.append(client.patch(url, {"description": text}, headers={"if-match": tag}).status_code)
        connection.close()

    threads = [threading.Thread(target=patch, args=(text,)) for text in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [200, 412]


def test_lists_are_searched_filtered_sorted_and_paged(alice):
    for name in ("Alpha", "Beta", "Gamma"):
        make(alice, "personas", name=name, default_distribution_name="debian" if name != "Beta" else "alpine")
    names = lambda query: [row["name"] for row in alice.get(f"/api/v1/personas/?{query}").json()["results"]]  # noqa: E731
    assert names("search=alph") == ["Alpha"]
    assert names("distribution=debian&ordering=-name") == ["Gamma", "Alpha"]
    assert names("page_size=2&page=2") == ["Gamma"]
    alice.post(f"/api/v1/personas/{Persona.objects.get(name='Alpha').pk}/archive/")
    assert names("archived=false") == ["Beta", "Gamma"]
    assert names("archived=true") == ["Alpha"]


def test_deleting_what_is_in_use_is_a_conflict_that_lists_the_users(alice):
    size = make(alice, "resource-profiles", name="Standard", vcpus=2)
    persona = make(alice, "personas", name="Web", resource_allocation_profile=size["id"])
    answer = alice.delete(f"/api/v1/resource-profiles/{size['id']}/")
    assert answer.status_code == 409
    assert [(user["type"], user["id"]) for user in answer.json()["used_by"]] == [("persona", persona["id"])]
    told = alice.get(f"/api/v1/resource-profiles/{size['id']}/used-by/").json()
    assert [user["name"] for user in told["used_by"]] == ["Web"]


@pytest.mark.parametrize(
    ("path", "fields", "defaults"),
    [
        ("driver-sets", {"drivers": [{"name": "virtio"}]}, {"driver_set": "fast"}),
        ("scripts", {"body": "true"}, {"post_migration": {"scripts": [{"name": "fast"}]}}),
    ],
)
def test_what_the_defaults_of_a_department_name_is_not_deleted(alice, sales, path, fields, defaults):
    department = f"/api/v1/departments/{sales.pk}/"
    part = make(alice, path, name="Fast", **fields)
    assert alice.patch(department, {"defaults": defaults}).status_code == 200
    answer = alice.delete(f"/api/v1/{path}/{part['id']}/")
    assert answer.status_code == 409, answer.content
    assert [(user["type"], user["name"]) for user in answer.json()["used_by"]] == [("department", "Sales")]
    assert answer.json()["used_by"][0]["url"] == f"/departments/{sales.pk}/"
    alice.patch(department, {"defaults": {}})
    assert alice.delete(f"/api/v1/{path}/{part['id']}/").status_code == 204


def test_archive_restore_and_revisions(alice):
    persona = make(alice, "personas", name="Web")
    url = f"/api/v1/personas/{persona['id']}"
    assert alice.post(f"{url}/archive/").json()["archived_at"]
    assert alice.post(f"{url}/restore/").json()["archived_at"] is None
    tag = alice.get(f"{url}/")["ETag"]
    alice.patch(f"{url}/", {"packages": ["nginx"]}, headers={"if-match": tag})
    assert [row["number"] for row in alice.get(f"{url}/revisions/").json()] == [2, 1]


def test_a_reader_of_the_organisations_persona_clones_it_into_his_department(alice, sales):
    shared = make_persona("Shared")
    clone = alice.post(f"/api/v1/personas/{shared.pk}/clone/", {"name": "Ours"}).json()
    assert (clone["name"], clone["department"]) == ("Ours", str(sales.pk))
    tag = alice.get(f"/api/v1/personas/{shared.pk}/")["ETag"]
    answer = alice.patch(f"/api/v1/personas/{shared.pk}/", {"name": "Mine"}, headers={"if-match": tag})
    assert answer.status_code == 403


def test_a_document_goes_out_and_comes_in(alice):
    persona = make(alice, "personas", name="Web", packages=["nginx"])
    document = alice.get(f"/api/v1/personas/{persona['id']}/document/").json()
    answer = alice.post("/api/v1/personas/import/", {**document, "slug": "twin"})
    assert (answer.status_code, answer.json()["document"]) == (201, persona["document"])
    wrong = alice.post(
        "/api/v1/personas/import/", {"name": "X", "settings": {"resources": {"vcpus": "many"}}}
    )
    assert (wrong.status_code, pointers(wrong)) == (400, ["#/settings/resources/vcpus"])


def test_a_stranger_finds_nothing(alice, charlie):
    persona = make(alice, "personas", name="Web")
    url = f"/api/v1/personas/{persona['id']}/"
    assert charlie.get("/api/v1/personas/").json()["results"] == []
    for answer in (
        charlie.get(url),
        charlie.patch(url, {"name": "X"}, headers={"if-match": "*"}),
        charlie.delete(url, headers={"if-match": "*"}),
        charlie.post(f"{url}clone/"),
        charlie.post(f"{url}archive/"),
        charlie.get(f"{url}document/"),
    ):
        assert answer.status_code == 404


def test_a_persona_is_not_made_in_another_department(alice, charlie, sales):
    answer = charlie.post("/api/v1/personas/", {"name": "Mine", "department": str(sales.pk)})
    assert (answer.status_code, pointers(answer)) == (400, ["#/department"])
    mine = make(charlie, "personas", name="Mine")
    answer = charlie.patch(
        f"/api/v1/personas/{mine['id']}/", {"department": str(sales.pk)}, headers={"if-match": "*"}
    )
    assert (answer.status_code, pointers(answer)) == (400, ["#/department"])
    assert not Persona.objects.filter(department=sales).exists()


def test_the_organisations_rows_are_not_made_by_leaving_the_department_empty(alice):
    assert alice.post("/api/v1/personas/", {"name": "For all", "department": None}).status_code == 403


def test_with_two_departments_the_department_must_be_named(alice):
    make_department("Second").memberships.create(user=alice.user, role="admin")
    answer = alice.post("/api/v1/personas/", {"name": "Where"})
    assert (answer.status_code, pointers(answer)) == (400, ["#/department"])


def test_members_are_managed_by_the_admin(alice, sales):
    make_user("bob")
    url = f"/api/v1/departments/{sales.pk}/members/"
    assert alice.post(url, {"username": "bob", "role": "operator"}).json()["role"] == "operator"
    assert {row["username"] for row in alice.get(url).json()} == {"alice", "bob"}
    bob = client_of(sales.members.get(username="bob"))
    assert bob.post(url, {"username": "bob", "role": "admin"}).status_code == 403
    assert alice.delete(f"{url}{alice.user.pk}/").status_code == 409
    assert bob.delete(f"{url}{bob.user.pk}/").status_code == 204


def test_a_token_is_told_once_and_makes_no_other_token(alice):
    made = make(alice, "tokens", name="ci", scopes=["write"])
    assert made["secret"].startswith("mp_")
    assert "secret" not in alice.get(f"/api/v1/tokens/{made['id']}/").json()
    answer = APIClient().post(
        "/api/v1/tokens/",
        {"name": "more", "scopes": ["write"]},
        headers={"authorization": f"Bearer {made['secret']}"},
    )
    assert answer.status_code == 403
    assert alice.delete(f"/api/v1/tokens/{made['id']}/").status_code == 204
    assert alice.get(f"/api/v1/tokens/{made['id']}/").json()["revoked_at"]


def test_a_viewer_has_tokens_of_his_own_only(alice, sales):
    made = make(alice, "tokens", name="hers", scopes=["read"])
    viewer = client_of(make_member(sales, "viewer"))
    make(viewer, "tokens", name="his", scopes=["read"])
    assert [row["name"] for row in viewer.get("/api/v1/tokens/").json()["results"]] == ["his"]
    assert viewer.delete(f"/api/v1/tokens/{made['id']}/").status_code == 404


def test_the_audit_trail_is_read_and_filtered_and_not_written(alice):
    persona = make(alice, "personas", name="Web")
    rows = alice.get(f"/api/v1/audit/?object_id={persona['id']}").json()["results"]
    assert [(row["action"], row["actor_name"]) for row in rows] == [("persona.create", "alice")]
    for method in ("post", "put", "patch", "delete"):
        assert getattr(alice, method)(f"/api/v1/audit/{rows[0]['id']}/").status_code == 405


def test_a_request_that_fails_leaves_nothing_behind(alice):
    before = alice.get("/api/v1/audit/").json()["count"]
    alice.post("/api/v1/scripts/", {"name": "Tune", "body": "x", "interpreter": "cobol"})
    alice.post("/api/v1/scripts/", {"name": "Tune", "body": "   "})
    assert alice.get("/api/v1/scripts/").json()["count"] == 0
    assert alice.get("/api/v1/audit/").json()["count"] == before


@pytest.mark.parametrize("path", ["personas", "templates", "plans", "usage", "merge"])
def test_json_nested_without_end_is_a_bad_request_that_points(path, alice):
    deep = '{"a":' * 5000 + "1" + "}" * 5000
    answer = alice.post(f"/api/v1/{path}/", deep, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == "#/"


@pytest.mark.parametrize("path", ["personas", "scripts", "templates"])
def test_a_field_that_nobody_knows_is_refused_by_name(path, alice):
    answer = alice.post(f"/api/v1/{path}/", {"name": "Typo", "kernel_version": "6.1"})
    assert answer.status_code == 400
    assert {"pointer": "#/kernel_version", "detail": "Not known here."} in answer.json()["errors"]


def test_a_token_without_the_scope_is_told_which_one_it_lacks(alice):
    _, secret = token_create(by=alice.user, name="reader", scopes=["read"])
    client = APIClient(headers={"Authorization": f"Bearer {secret}"})
    answer = client.post("/api/v1/personas/", {"name": "No"})
    assert (answer.status_code, answer.json()["detail"]) == (403, "The token lacks the scope write.")


def test_a_wrong_method_on_the_docs_is_a_problem_too(alice):
    answer = alice.post("/api/docs/")
    assert (answer.status_code, answer.json()["status"]) == (405, 405)


def test_an_expired_token_calls_itself_expired(alice):
    token, _ = token_create(by=alice.user, name="old", scopes=["read"])
    assert token.state == "usable"
    token.expires_at = timezone.now() - timedelta(minutes=1)
    assert token.state == "expired"
