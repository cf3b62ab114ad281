"""`/api/v1/templates/`: rows, revisions, who may do what."""

import pytest

from personas.models import AuditEntry
from templates_app.models import MigrationTemplate
from tests.factories import make_department, make_driver_set, make_member, make_persona, make_template

pytestmark = pytest.mark.django_db
URL = "/api/v1/templates/"


def one(template):
    return f"{URL}{template.pk}/"


def pointers(response):
    return {error["pointer"] for error in response.json()["errors"]}


def test_admin_creates_a_template_with_its_first_revision(api, admin, department):
    persona = make_persona(department=department)
    body = {
        "department": str(department.pk),
        "name": "Debian to QEMU",
        "persona": str(persona.pk),
        "machine": "q35",
        "packages": ["curl"],
        "locks": ["machine"],
    }
    response = api(admin).post(URL, body)
    assert response.status_code == 201, response.json()
    told = response.json()
    assert (told["slug"], told["revision"], told["persona"]) == ("debian-to-qemu", 1, str(persona.pk))
    assert told["document"] == {
        "schema_version": 1,
        "machine": "q35",
        "packages": ["curl"],
        "locks": ["machine"],
    }
    entry = AuditEntry.objects.get(action="migrationtemplate.create")
    assert (entry.actor, entry.object_id, entry.department) == (admin, told["id"], department)


def test_update_needs_the_etag_and_writes_a_revision(api, admin, department):
    template = make_template(department=department, machine="pc")
    client = api(admin)
    assert client.patch(one(template), {"machine": "q35"}).status_code == 428
    etag = client.get(one(template)).headers["ETag"]
    response = client.patch(one(template), {"machine": "q35"}, headers={"If-Match": etag})
    assert response.status_code == 200
    assert response.json()["revision"] == 2
    assert client.patch(one(template), {"machine": "pc"}, headers={"If-Match": etag}).status_code == 412
    told = client.get(f"{one(template)}revisions/").json()
    assert [(r["number"], r["document"].get("machine")) for r in told] == [(2, "q35"), (1, "pc")]


def test_a_change_of_the_name_is_no_revision_but_is_audited(api, admin, department):
    template = make_template(department=department)
    response = api(admin).patch(one(template), {"name": "Other"}, headers={"If-Match": "*"})
    assert response.json()["revision"] == 1
    entry = AuditEntry.objects.get(action="migrationtemplate.update")
    assert (entry.before["name"], entry.after["name"]) == (template.name, "Other")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"packages": ["not a package"]}, "#/packages"),
        ({"packages": "curl"}, "#/packages"),
        ({"locks": ["colour"]}, "#/locks"),
        ({"machine": "vax"}, "#/machine"),
        ({"unset": ["colour"]}, "#/unset"),
        ({"monitoring_tags": {"a": 7}}, "#/monitoring_tags"),
        ({"name": ""}, "#/name"),
    ],
)
def test_a_wrong_value_is_told_by_pointer(api, admin, department, body, pointer):
    response = api(admin).post(URL, {"department": str(department.pk), "name": "New", **body})
    assert response.status_code == 400
    assert any(told == pointer or told.startswith(f"{pointer}/") for told in pointers(response))


def test_a_name_that_is_taken_is_told(api, admin, department):
    make_template("Debian", department=department)
    response = api(admin).post(URL, {"department": str(department.pk), "name": "debian"})
    assert response.status_code == 400
    assert "#/name" in pointers(response)


def test_delete_goes_with_an_audit_row(api, admin, department):
    template = make_template(department=department)
    assert api(admin).delete(one(template), headers={"If-Match": "*"}).status_code == 204
    assert not MigrationTemplate.objects.filter(pk=template.pk).exists()
    assert AuditEntry.objects.filter(action="migrationtemplate.delete", object_id=str(template.pk)).exists()


def test_archive_and_restore(api, admin, department):
    template = make_template(department=department)
    client = api(admin)
    assert client.post(f"{one(template)}archive/").json()["archived_at"] is not None
    assert client.post(f"{one(template)}archive/").status_code == 200
    assert client.get(URL, {"archived": "false"}).json()["count"] == 0
    assert client.get(URL, {"archived": "true"}).json()["count"] == 1
    assert client.post(f"{one(template)}restore/").json()["archived_at"] is None
    actions = AuditEntry.objects.filter(object_id=str(template.pk)).values_list("action", flat=True)
    assert sorted(actions) == ["migrationtemplate.archive", "migrationtemplate.restore"]


def test_a_copy_goes_where_one_may_write(api, admin, department):
    template = make_template("Org wide", department=None, machine="pc", locks=["machine"])
    response = api(admin).post(f"{one(template)}clone/", {"name": "Ours", "department": str(department.pk)})
    assert response.status_code == 201, response.json()
    assert response.json()["document"]["locks"] == ["machine"]
    assert (
        api(admin).post(f"{one(template)}clone/", {"name": "Theirs", "department": None}).status_code == 403
    )


def test_document_is_what_the_merge_reads(api, admin, department):
    template = make_template(department=department, packages=["curl"])
    document = api(admin).get(f"{one(template)}document/").json()
    told = api(admin).post("/api/v1/merge/", {"template": document["settings"]})
    assert told.json()["merged"]["packages"] == ["curl"]


@pytest.mark.parametrize("method", ["get", "patch", "put", "delete"])
def test_a_stranger_finds_nothing(api, stranger, department, method):
    template = make_template(department=department)
    client = api(stranger)
    assert getattr(client, method)(one(template), headers={"If-Match": "*"}).status_code == 404
    for verb in ("clone", "archive", "restore"):
        assert client.post(f"{one(template)}{verb}/", {"name": "X"}).status_code == 404
    assert client.get(URL).json()["count"] == 0


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_only_an_admin_changes(api, department, role):
    template = make_template(department=department)
    client = api(make_member(department, role))
    assert client.get(one(template)).status_code == 200
    assert client.patch(one(template), {"name": "X"}, headers={"If-Match": "*"}).status_code == 403
    assert client.post(URL, {"department": str(department.pk), "name": "X"}).status_code == 403
    assert client.delete(one(template), headers={"If-Match": "*"}).status_code == 403
    assert client.post(f"{one(template)}archive/").status_code == 403


def test_nothing_is_written_into_another_department(api, admin, department):
    theirs = make_department()
    assert api(admin).post(URL, {"department": str(theirs.pk), "name": "X"}).status_code == 400
    template = make_template(department=department)
    moved = api(admin).patch(one(template), {"department": str(theirs.pk)}, headers={"If-Match": "*"})
    assert moved.status_code == 400
    for field, row in [
        ("persona", make_persona(department=theirs)),
        ("default_driver_set", make_driver_set(department=theirs)),
    ]:
        response = api(admin).patch(one(template), {field: str(row.pk)}, headers={"If-Match": "*"})
        assert response.status_code == 400
        assert pointers(response) == {f"#/{field}"}


def test_parts_of_another_of_ones_own_departments_are_refused(api, admin, department):
    other = make_department()
    other.memberships.create(user=admin, role="admin")
    template = make_template(department=department)
    body = {"persona": str(make_persona(department=other).pk)}
    response = api(admin).patch(one(template), body, headers={"If-Match": "*"})
    assert response.status_code == 400
    assert pointers(response) == {"#/persona"}


def test_only_a_superuser_changes_what_is_the_organisations(api, admin):
    template = make_template(department=None)
    assert api(admin).get(one(template)).status_code == 200
    assert api(admin).patch(one(template), {"name": "X"}, headers={"If-Match": "*"}).status_code == 403
    assert api(admin).post(URL, {"department": None, "name": "X"}).status_code == 403


def test_list_is_searched_narrowed_and_sorted(api, admin, department):
    make_template("Alpha", department=department, description="for databases")
    make_template("Beta", department=department)
    client = api(admin)
    assert [r["name"] for r in client.get(URL, {"search": "DATABASE"}).json()["results"]] == ["Alpha"]
    assert [r["name"] for r in client.get(URL, {"ordering": "-name"}).json()["results"]] == ["Beta", "Alpha"]
