"""What holds for every request: its id, its headers, and who answers when Django itself refuses it."""

import json

import pytest
from django.test import Client

from personas.models import AuditEntry
from tests.factories import make_department, make_member

pytestmark = pytest.mark.django_db


@pytest.fixture
def anna():
    return make_member(make_department("Finance"), "admin", "anna")


@pytest.fixture
def client(anna):
    client = Client(raise_request_exception=False)
    client.force_login(anna)
    return client


def ids_in(log) -> set[str]:
    """The request ids of the structured lines."""
    return {record.msg.get("request_id") for record in log.records if isinstance(record.msg, dict)}


@pytest.mark.parametrize("sent", [{}, {"x-request-id": "abc-1"}, {"x-request-id": "x" * 65}])
def test_answer_audit_row_and_log_name_the_same_request(client, anna, caplog, sent):
    department = str(anna.memberships.get().department_id)
    body = json.dumps({"name": "Fresh", "department": department})
    with caplog.at_level("INFO"):
        answer = client.post("/api/v1/personas/", body, "application/json", headers=sent)
    assert answer.status_code == 201, answer.content
    entry = AuditEntry.objects.get(action="persona.create")
    assert {answer["X-Request-ID"]} == {entry.request_id} == ids_in(caplog)
    assert (answer["X-Request-ID"] == "abc-1") is (sent == {"x-request-id": "abc-1"})


def test_an_internal_error_is_in_the_log_under_the_id_it_names(client, caplog, monkeypatch):
    def broken(*args, **kwargs):
        raise RuntimeError("nobody foresaw this")

    monkeypatch.setattr("personas.api.viewsets.PersonaViewSet.list", broken)
    told = client.get("/api/v1/personas/", headers={"x-request-id": "abc-2"})
    assert (told.status_code, told.json()["request_id"]) == (500, "abc-2")
    (line,) = [r for r in caplog.records if isinstance(r.msg, dict) and r.msg["event"] == "api_error"]
    assert line.msg["request_id"] == "abc-2"


@pytest.mark.parametrize("path", ["/api/v1/personas/", "/api/v1/merge/"])
def test_a_body_that_is_too_large_is_told_so(client, path):
    answer = client.post(path, json.dumps({"name": "x" * 6 * 2**20}), "application/json")
    assert (answer.status_code, answer["Content-Type"]) == (413, "application/problem+json")
    assert "The body may hold" in answer.json()["detail"]


def test_too_many_parameters_are_told_so(client):
    answer = client.get("/api/v1/personas/?" + "&".join(f"a{n}=1" for n in range(1001)))
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    assert answer.json()["detail"] == "A request may hold 1000 parameters."


def test_an_unknown_host_is_a_problem_below_api_and_a_page_elsewhere(client):
    told = client.get("/api/v1/personas/", headers={"host": "evil.example"})
    assert (told.status_code, told["Content-Type"], told.json()["status"]) == (400, "application/problem+json", 400)
    assert client.get("/", headers={"host": "evil.example"})["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("path", ["/", "/api/v1/personas/", "/api/v1/nothing-here/"])
def test_every_answer_has_the_strict_policy(client, path):
    answer = client.get(path)
    directives = dict(part.split(" ", 1) for part in answer["Content-Security-Policy"].split("; "))
    assert directives == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "font-src": "'self'",
        "connect-src": "'self'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    assert (answer["X-Content-Type-Options"], answer["X-Frame-Options"]) == ("nosniff", "DENY")


@pytest.mark.parametrize("key", ["²", "٣", "1" * 5_000])
def test_a_tag_that_looks_like_a_number_is_no_internal_error(client, anna, key):
    department = str(anna.memberships.get().department_id)
    body = {"name": "Fresh", "department": department, "monitoring_tags": {key: {"a": 1}}}
    answer = client.post("/api/v1/personas/", json.dumps(body), "application/json")
    assert answer.status_code == 400
    assert "monitoring_tags" in answer.json()["detail"]
