"""The admin goes through the services: revisions and audit rows are written, roles are checked."""

import pytest

from personas.models import AuditEntry
from templates_app.models import MigrationTemplate
from tests.factories import make_template

pytestmark = pytest.mark.django_db
FORM = {"name": "New", "slug": "new", "source_kind": "any", "target_kind": "qemu"}


@pytest.fixture
def staff(client, admin):
    admin.is_staff = True
    admin.save()
    client.force_login(admin)
    return client


def test_admin_creates_through_the_service(staff, department):
    response = staff.post(
        "/admin/templates_app/migrationtemplate/add/", {**FORM, "department": department.pk}
    )
    assert response.status_code == 302
    assert MigrationTemplate.objects.get().revision == 1
    assert AuditEntry.objects.filter(action="migrationtemplate.create").exists()


def test_admin_does_not_change_what_the_role_does_not_allow(staff):
    template = make_template(department=None)
    staff.post(f"/admin/templates_app/migrationtemplate/{template.pk}/change/", {**FORM, "name": "X"})
    template.refresh_from_db()
    assert template.name != "X"


def test_admin_shows_no_rows_of_other_departments(client, stranger, department):
    stranger.is_staff = True
    stranger.save()
    client.force_login(stranger)
    make_template("Hidden", department=department)
    assert "Hidden" not in client.get("/admin/templates_app/migrationtemplate/").content.decode()
