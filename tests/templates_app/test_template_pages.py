"""The pages as plain requests: who sees them, what they tell, what they keep."""

import json

import pytest
from django.urls import reverse

from personas.models import Role
from templates_app.models import MigrationTemplate
from tests.factories import make_department, make_driver_set, make_member, make_persona, make_template

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.once,  # tests/access opens each page and sends each form on PostgreSQL too
]


def url(name, template=None):
    return reverse(f"templates_app:template_{name}", args=[template.pk] if template else [])


@pytest.fixture
def template(department):
    return make_template("Debian", department=department, machine="pc", packages=["curl"], locks=["machine"])


@pytest.fixture
def as_admin(client, admin):
    client.force_login(admin)
    return client


def test_list_is_searched_and_hides_what_is_archived(as_admin, template):
    make_template("Old", department=template.department, archived_at="2026-01-01T00:00Z")
    page = as_admin.get(url("list")).content.decode()
    assert "Debian" in page and "Old" not in page
    assert "Old" in as_admin.get(url("list"), {"archived": "true"}).content.decode()
    assert "Nothing matches" in as_admin.get(url("list"), {"search": "zzz"}).content.decode()


def test_an_empty_list_says_what_a_template_is(as_admin):
    assert "A template says how a machine is moved" in as_admin.get(url("list")).content.decode()


def test_create_edit_archive_restore_delete(as_admin, department):
    form = {
        "department": department.pk,
        "name": "New",
        "source_kind": "any",
        "target_kind": "qemu",
        "locks": "network",
    }
    assert as_admin.post(url("create"), form).status_code == 302
    template = MigrationTemplate.objects.get()
    assert template.locks == ["network"]
    version = as_admin.get(url("edit", template)).context["form"]["version"].value()
    changed = {**form, "name": "Newer", "slug": "new", "packages": "curl\nvim", "version": version}
    assert as_admin.post(url("edit", template), changed).status_code == 302
    template.refresh_from_db()
    assert (template.name, template.packages, template.revision) == ("Newer", ["curl", "vim"], 2)
    as_admin.post(url("archive", template))
    assert MigrationTemplate.objects.get().archived_at is not None
    as_admin.post(url("restore", template))
    assert MigrationTemplate.objects.get().archived_at is None
    assert as_admin.post(url("delete", template)).status_code == 302
    assert not MigrationTemplate.objects.exists()


def test_a_wrong_value_is_told_beside_its_field_and_stays(as_admin, department):
    form = {
        "department": department.pk,
        "name": "New",
        "source_kind": "any",
        "target_kind": "qemu",
        "packages": "not ok!",
    }
    response = as_admin.post(url("create"), form)
    assert response.status_code == 200
    assert "packages" in response.context["form"].errors
    assert "not ok!" in response.content.decode()


def test_a_stale_form_is_told_and_keeps_what_was_typed(as_admin, template):
    version = as_admin.get(url("edit", template)).context["form"]["version"].value()
    MigrationTemplate.objects.filter(pk=template.pk).update(description="somebody else")
    form = {"name": "Mine", "slug": "debian", "source_kind": "any", "target_kind": "qemu", "version": version}
    response = as_admin.post(url("edit", template), form)
    assert response.status_code == 200
    assert "Mine" in response.content.decode()
    assert MigrationTemplate.objects.get().name == "Debian"


def test_detail_tells_locks_settings_and_revisions(as_admin, template):
    page = as_admin.get(url("detail", template)).content.decode()
    assert (
        "Machine type" in page and "curl" in page and "No persona, override or launch changes these" in page
    )


def test_clone_goes_into_ones_own_department(as_admin, department):
    theirs = make_template("Org", department=None, machine="pc")
    response = as_admin.post(url("clone", theirs), {"name": "Ours", "department": department.pk})
    assert response.status_code == 302
    assert MigrationTemplate.objects.get(name="Ours").department == department


def test_document_is_a_yaml_file(as_admin, template):
    response = as_admin.get(url("document", template))
    assert response.headers["Content-Disposition"] == 'attachment; filename="debian.yaml"'
    assert "machine: pc" in response.content.decode()


def test_preview_shows_what_the_persona_changes(as_admin, template, department):
    persona = make_persona("WebDev", department=department, machine="q35", packages=["nginx"])
    response = as_admin.get(url("merge", template), {"persona": persona.pk})
    merged = response.context["merged"]
    assert merged["merged"]["packages"] == ["curl", "nginx"]
    assert [row["path"] for row in merged["refused"]] == ["machine"]
    page = response.content.decode()
    assert "chip-added" in page and "refused: q35" in page


def test_preview_applies_personas_in_the_order_of_the_address(as_admin, department):
    template = make_template(department=department)
    one, two = (make_persona(department=department, machine=machine) for machine in ("pc", "q35"))

    def machine(*personas):
        asked = {"persona": [p.pk for p in personas]}
        return as_admin.get(url("merge", template), asked).context["merged"]["merged"]["machine"]

    assert (machine(one, two), machine(two, one)) == ("q35", "pc")


def test_preview_lists_the_conflicts_with_the_winner(as_admin, department):
    template = make_template(department=department)
    one = make_persona("WebDev", department=department, machine="pc")
    assert "Conflicts" not in as_admin.get(url("merge", template), {"persona": one.pk}).content.decode()
    two = make_persona("DatabaseAdmin", department=department, machine="q35")
    page = as_admin.get(url("merge", template), {"persona": [one.pk, two.pk]}).content.decode()
    listed = page.partition("Conflicts, and whose value holds")[2].partition("</table>")[0]
    words = ["machine", "personas disagree", "q35", "DatabaseAdmin", "<s>pc</s>", "WebDev"]
    assert [word for word in words if word not in listed] == []
    assert listed.index("q35") < listed.index("<s>pc</s>")


def test_preview_without_a_choice_uses_the_templates_own_persona(as_admin, department):
    persona = make_persona(department=department, firmware="uefi")
    template = make_template(department=department, persona=persona)
    response = as_admin.get(url("merge", template))
    assert response.context["merged"]["merged"]["firmware"] == "uefi"
    assert response.context["implied"] == [persona]


def test_preview_adds_department_defaults_and_what_a_launch_would_ask(as_admin, template, department):
    department.defaults = {"firmware": "uefi"}
    department.save()
    asked = {"department": department.pk, "overrides": "resources: {vcpus: 8}"}
    merged = as_admin.get(url("merge", template), asked).context["merged"]["merged"]
    assert (merged["firmware"], merged["resources"]) == ("uefi", {"vcpus": 8})


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("resources: {vcpus: many}", "launch: resources.vcpus: "),
        ("[1", "overrides: "),
        ("- a", "overrides: write a mapping"),
        ("driver_set: none", "launch: driver_set: there is no such driver set"),
    ],
)
def test_preview_tells_what_is_wrong_and_keeps_what_was_typed(as_admin, template, typed, told):
    response = as_admin.get(url("merge", template), {"overrides": typed})
    assert response.status_code == 200
    assert any(line.startswith(told) for line in response.context["wrong"])
    assert typed in response.content.decode()
    assert as_admin.get(url("merge_json", template), {"overrides": typed}).status_code == 400


def test_preview_downloads_as_the_json_of_the_api(as_admin, template, department):
    persona = make_persona(department=department, packages=["nginx"])
    told = json.loads(as_admin.get(url("merge_json", template), {"persona": persona.pk}).content)
    body = {"template": str(template.pk), "personas": [{"id": str(persona.pk)}]}
    assert told == as_admin.post("/api/v1/merge/", body, content_type="application/json").json()


def test_preview_with_a_foreign_or_senseless_persona_is_not_found(as_admin, template):
    foreign = make_persona(department=make_department())
    for asked in (foreign.pk, "nonsense"):
        assert as_admin.get(url("merge", template), {"persona": asked}).status_code == 404


def test_preview_does_not_offer_foreign_personas_and_driver_sets(as_admin, template):
    make_persona("Their persona", department=make_department())
    make_driver_set("Their set", department=make_department())
    page = as_admin.get(url("merge", template), {"overrides": "driver_set: their-set"}).content.decode()
    assert "Their persona" not in page
    assert "there is no such driver set" in page


@pytest.mark.parametrize("name", ["detail", "edit", "clone", "delete", "document", "merge", "merge_json"])
def test_a_stranger_finds_nothing(client, stranger, template, name):
    client.force_login(stranger)
    assert client.get(url(name, template)).status_code == 404


@pytest.mark.parametrize("name", ["archive", "restore", "delete", "edit", "clone"])
def test_a_stranger_changes_nothing(client, stranger, template, name):
    client.force_login(stranger)
    assert client.post(url(name, template)).status_code == 404


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_only_an_admin_is_offered_and_allowed_to_change(client, template, role):
    client.force_login(make_member(template.department, role))
    page = client.get(url("detail", template)).content.decode()
    assert url("edit", template) not in page and url("delete", template) not in page
    assert client.get(url("edit", template)).status_code == 403
    for name in ("archive", "restore", "delete", "edit"):
        assert client.post(url(name, template)).status_code == 403
    assert client.get(url("create")).status_code == 403
    assert client.get(url("merge", template)).status_code == 200


def test_pages_ask_for_a_login(client, template):
    for name in ("detail", "merge", "merge_json", "edit"):
        assert client.get(url(name, template)).url.startswith("/login/")


def test_import_takes_what_the_download_gave(as_admin, template, department):
    downloaded = (
        as_admin.get(url("document", template)).content.decode().replace("slug: debian", "slug: again")
    )
    response = as_admin.post(url("import"), {"department": department.pk, "document": downloaded})
    again = MigrationTemplate.objects.get(slug="again")
    assert response.url == again.get_absolute_url()
    assert again.document() == template.document()


def test_import_tells_what_is_wrong_and_keeps_what_was_typed(as_admin, department):
    typed = "name: X\nsettings: {resources: {vcpus: many}}"
    response = as_admin.post(url("import"), {"department": department.pk, "document": typed})
    assert "settings.resources.vcpus" in str(response.context["form"].errors["document"])
    assert "vcpus: many" in response.content.decode()
    assert not MigrationTemplate.objects.exists()


def test_a_viewer_does_not_import(client, viewer):
    client.force_login(viewer)
    assert client.get(url("import")).status_code == 403
