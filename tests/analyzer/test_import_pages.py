"""Import by page and by API: upload, look, confirm; what a viewer and a stranger may not."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from rest_framework.test import APIClient

from analyzer.models import InventoryUpload, Scan, SourceEndpoint, VirtualMachine
from analyzer.services.inventory import inventory_import
from analyzer.services.sources import source_create
from analyzer.views.inventory import SAMPLES
from tests.factories import make_department, make_member, make_source, make_vm

pytestmark = pytest.mark.django_db

GOOD = b"external_id,name,vcpus,memory_mib,disks_gib\n1,<b>web01</b>,2,4096,20\n"
MIXED = GOOD + b"2,db01,many,1024,\n"


def file(data: bytes, name="machines.csv"):
    return SimpleUploadedFile(name, data)


@pytest.fixture
def department():
    return make_department("Web")


@pytest.fixture
def source(department):
    by = make_member(department, "admin")
    return source_create(name="vCenter", kind="inventory", department=department, by=by)


@pytest.fixture
def operator(client, department):
    client.force_login(make_member(department, "operator"))
    return client


def url(name, source, *args):
    return reverse(f"analyzer:{name}", args=[source.pk, *args])


def text(response) -> str:
    return response.content.decode()


def test_a_file_is_looked_at_and_then_imported(operator, source):
    shown = operator.post(url("source_import", source), {"file": file(MIXED)}, follow=True)
    page = text(shown)
    assert "&lt;b&gt;web01&lt;/b&gt;" in page and "<b>web01" not in page
    assert "“many” is not a number" in page and "Import 1 machine" in page
    assert not VirtualMachine.objects.exists()
    done = operator.post(url("source_import_confirm", source), follow=True)
    assert "machines.csv was imported: 1 new" in text(done) and "Row 3" in text(done)
    assert VirtualMachine.objects.get().memory_mib == 4096
    assert operator.post(url("source_import_confirm", source)).status_code == 404


def test_what_is_no_inventory_is_told_beside_the_field(operator, source):
    page = text(operator.post(url("source_import", source), {"file": file(b"a;b\n1;2\n")}))
    assert "This file cannot be taken" in page and not InventoryUpload.objects.exists()
    assert "This field is required" in text(operator.post(url("source_import", source), {}))


def test_the_preview_is_searched_and_narrowed(operator, source, department):
    by = make_member(department, "operator")
    inventory_import(source=source, data=GOOD, by=by)
    operator.post(url("source_import", source), {"file": file(GOOD + b"3,mail01,1,512,\n")})
    shown = operator.get(url("source_import", source), {"search": "mail"})
    assert [each.machine.name for each in shown.context["page_obj"]] == ["mail01"]
    kept = operator.get(url("source_import", source), {"outcome": "kept"})
    assert [each.machine.external_id for each in kept.context["page_obj"]] == ["1"]
    assert "No machine of the file matches" in text(
        operator.get(url("source_import", source), {"search": "zzz"})
    )


def test_a_file_can_be_put_away(operator, source):
    operator.post(url("source_import", source), {"file": file(GOOD)})
    operator.post(url("source_import_discard", source))
    assert not InventoryUpload.objects.exists() and not VirtualMachine.objects.exists()


def test_a_viewer_is_refused_and_a_stranger_sees_nothing(client, source, department):
    for user, status in (
        (make_member(department, "viewer"), 403),
        (make_member(make_department("Other"), "admin"), 404),
    ):
        client.force_login(user)
        assert client.post(url("source_import", source), {"file": file(GOOD)}).status_code == status
        assert client.post(url("source_import_confirm", source)).status_code == status
    assert client.get(url("source_export", source, "mgn")).status_code == 404


def test_an_admin_makes_a_source_for_inventories(client, department):
    client.force_login(make_member(department, "admin"))
    form = {"name": "estate", "kind": "inventory", "location": "", "department": str(department.pk)}
    page = text(client.post(reverse("analyzer:source_create"), form, follow=True))
    source = SourceEndpoint.objects.get()
    assert source.is_inventory and "import a file into it" in page and "Discover</button>" not in page
    assert 'name="location"' not in text(client.get(url("source_edit", source)))
    client.post(url("source_edit", source), {"name": "renamed"})
    assert SourceEndpoint.objects.get().name == "renamed"


def test_the_pages_say_that_the_disk_is_not_here(operator, source, department):
    inventory_import(source=source, data=GOOD, by=make_member(department, "operator"))
    vm = VirtualMachine.objects.get()
    page = text(operator.get(vm.get_absolute_url()))
    assert "Known from an inventory file only" in page and "not here" in page
    assert reverse("analyzer:vm_scan", args=[vm.pk]) not in page
    operator.post(reverse("analyzer:vm_scan_many"), {"all": "1"})
    told = text(operator.post(reverse("analyzer:vm_scan", args=[vm.pk]), follow=True))
    assert "only an inventory file tells of this machine" in told and not Scan.objects.exists()


def test_a_directory_takes_no_inventory(operator, department):
    source = make_source(department)
    page = text(operator.post(url("source_import", source), {"file": file(GOOD)}, follow=True))
    assert "is a directory of images" in page


def test_samples_and_exports_are_downloads(operator, source, department):
    for name in SAMPLES:
        response = operator.get(reverse("analyzer:inventory_sample", args=[name]))
        assert "attachment" in response["Content-Disposition"] and response.content
    assert operator.get(reverse("analyzer:inventory_sample", args=["nonsense"])).status_code == 404
    make_vm(source=source, name="=cmd")
    response = operator.get(url("source_export", source, "azure_migrate"))
    assert "vcenter-azure_migrate.csv" in response["Content-Disposition"] and "'=cmd" in text(response)
    assert operator.get(url("source_export", source, "nonsense")).status_code == 404


@pytest.fixture
def api(department):
    client = APIClient()
    client.force_login(make_member(department, "operator"))
    return client


def test_the_api_imports_and_exports(api, source):
    path = f"/api/v1/sources/{source.pk}"
    dry = api.post(f"{path}/inventory/", {"file": file(MIXED), "dry_run": "true"}, format="multipart")
    assert dry.status_code == 200 and not VirtualMachine.objects.exists()
    done = api.post(f"{path}/inventory/", {"file": file(MIXED)}, format="multipart").json()
    assert (done["format"], done["added"], done["errors"][0]["row"]) == ("csv", 1, 3)
    again = api.post(
        f"{path}/inventory/", {"file": file(GOOD), "complete": "true"}, format="multipart"
    ).json()
    assert (again["added"], again["kept"], again["missing"]) == (0, 1, 0)
    export = api.get(f"{path}/export/", {"as": "mgn"})
    assert export["Content-Type"].startswith("text/csv") and "mgn:server:user-provided-id" in text(export)


def test_the_api_refuses_in_its_own_words(api, source, department):
    path = f"/api/v1/sources/{source.pk}"
    problem = api.post(f"{path}/inventory/", {"file": file(b"?")}, format="multipart")
    assert problem.status_code == 400 and problem["Content-Type"] == "application/problem+json"
    assert "/file" in str(problem.json())
    assert api.post(f"{path}/inventory/", {}, format="multipart").status_code == 400
    assert api.get(f"{path}/export/", {"as": "nonsense"}).status_code == 400
    images = make_source(department)
    refused = api.post(f"/api/v1/sources/{images.pk}/inventory/", {"file": file(GOOD)}, format="multipart")
    assert refused.status_code == 409
    assert api.post(f"{path}/discover/").status_code == 409
    inventory_import(source=source, data=GOOD, by=make_member(department, "operator"))
    vm = VirtualMachine.objects.get()
    assert api.post(f"/api/v1/machines/{vm.pk}/scan/").status_code == 409
