"""Importing: preview writes nothing, the same file twice changes nothing, one bad row spoils no other."""

import pytest

from analyzer.importers.child import parsed
from analyzer.models import Disk, InventoryUpload, Nic, Scan, VirtualMachine
from analyzer.services import inventory
from analyzer.services.discovery import source_discover_request
from analyzer.services.inventory import (
    changes_of,
    content_of,
    inventory_confirm,
    inventory_discard,
    inventory_import,
    inventory_preview,
)
from analyzer.services.inventory_export import EXPORTS, source_lines
from analyzer.services.scan_reading import disk_fingerprint
from analyzer.services.scans import scan_now, scan_start
from analyzer.services.sources import source_check, source_create
from analyzer.views.inventory import SAMPLES
from personas.errors import BadInput, NotAllowed, Refused
from personas.models import AuditEntry
from tests.analyzer.workbooks import VINFO, vinfo, workbook
from tests.factories import make_department, make_member, make_source

pytestmark = pytest.mark.django_db

HEADER = "external_id,name,vcpus,memory_mib,disks_gib,networks,os,os_version,tags"
WEB = "1,web01,2,4096,20;40,dmz,debian,12,owner=ann"
DB = "2,db01,8,32768,80,lan,windows,2019,"


def csv(*lines: str) -> bytes:
    return "\n".join([HEADER, *lines]).encode()


@pytest.fixture
def department():
    return make_department("Web")


@pytest.fixture
def operator(department):
    return make_member(department, "operator")


@pytest.fixture
def source(department):
    by = make_member(department, "admin")
    return source_create(name="vCenter", kind="inventory", department=department, by=by)


def numbers(report) -> tuple[int, ...]:
    return tuple(report[key] for key in ("found", "added", "changed", "kept", "missing"))


def test_a_file_becomes_machines_with_their_sizes_and_cards(source, operator):
    report = inventory_import(source=source, data=csv(WEB, DB), by=operator)
    assert numbers(report) == (2, 2, 0, 0, 0)
    web = VirtualMachine.objects.get(source=source, external_id="1")
    assert (web.name, web.vcpus, web.memory_mib, web.os_id, web.tags) == (
        "web01",
        2,
        4096,
        "debian",
        {"owner": "ann"},
    )
    assert [(disk.path, disk.virtual_size_bytes >> 30) for disk in web.disks.all()] == [("", 20), ("", 40)]
    assert web.department == source.department and web.nics.get().network == "dmz"
    assert AuditEntry.objects.filter(action="source.inventory_import", object_id=str(source.pk)).count() == 1


def test_the_same_file_again_changes_nothing_and_another_only_what_differs(source, operator):
    inventory_import(source=source, data=csv(WEB, DB), by=operator)
    before = list(VirtualMachine.objects.order_by("pk").values())
    disks = list(Disk.objects.order_by("pk").values())
    assert numbers(inventory_import(source=source, data=csv(WEB, DB), by=operator)) == (2, 0, 0, 2, 0)
    assert list(VirtualMachine.objects.order_by("pk").values()) == before
    assert list(Disk.objects.order_by("pk").values()) == disks
    renamed = WEB.replace("web01", "www").replace("20;40", "30").replace("owner=ann", "tier=1")
    assert numbers(inventory_import(source=source, data=csv(renamed, DB), by=operator)) == (2, 0, 1, 1, 0)
    web = VirtualMachine.objects.get(external_id="1")
    assert (web.name, web.tags) == ("www", {"owner": "ann", "tier": "1"})
    assert [disk.virtual_size_bytes >> 30 for disk in web.disks.all()] == [30]


def test_what_people_told_stays_where_the_file_is_silent(source, operator):
    inventory_import(source=source, data=csv(WEB), by=operator)
    VirtualMachine.objects.update(vcpus=6, tags={"cost": "4711"})
    silent = b"external_id,name,vcpus\n1,web01,\n"
    assert numbers(inventory_import(source=source, data=silent, by=operator)) == (1, 0, 0, 1, 0)
    web = VirtualMachine.objects.get()
    assert (web.vcpus, web.tags, web.disks.count(), web.nics.count()) == (6, {"cost": "4711"}, 2, 1)


def test_a_bad_row_is_reported_and_the_rest_is_taken(source, operator):
    report = inventory_import(source=source, data=csv(WEB, "3,bad,many,,,,,,", DB), by=operator)
    assert numbers(report) == (2, 2, 0, 0, 0)
    assert report["errors"] == [{"row": 3, "field": "vcpus", "message": "“many” is not a number"}]
    source.refresh_from_db()
    assert source.discovery_report["skipped"] == [{"name": "Row 3", "reason": "vcpus “many” is not a number"}]


def test_a_disk_of_an_exbibyte_is_an_error_of_its_row(client, source, operator):
    """Eight of them would be more bytes than a database adds up."""
    huge = f"3,huge,2,4096,{';'.join([str(2**30)] * 8)},,,,"
    most = f"4,most,2,4096,{';'.join([str(2**20)] * 256)},,,,"
    report = inventory_import(source=source, data=csv(huge, most), by=operator)
    assert numbers(report)[:2] == (1, 1) and {each["field"] for each in report["errors"]} == {"disks"}
    client.force_login(operator)
    vm = VirtualMachine.objects.get()
    for url in ("/machines/", f"/machines/{vm.pk}/", "/api/v1/machines/"):
        assert client.get(url).status_code == 200


def test_only_a_complete_file_without_errors_marks_others_as_missing(source, operator):
    inventory_import(source=source, data=csv(WEB, DB), by=operator)
    assert numbers(inventory_import(source=source, data=csv(WEB), by=operator)) == (1, 0, 0, 1, 0)
    with pytest.raises(Refused, match="does not list every machine"):
        inventory_import(source=source, data=csv("1,web01,many,,,,,,"), complete=True, by=operator)
    dry = inventory_import(source=source, data=csv(WEB), complete=True, dry_run=True, by=operator)
    assert numbers(dry) == (1, 0, 0, 1, 1)
    assert not VirtualMachine.objects.filter(missing_since__isnull=False).exists()
    inventory_import(source=source, data=csv(WEB), complete=True, by=operator)
    assert VirtualMachine.objects.get(missing_since__isnull=False).name == "db01"
    assert numbers(inventory_import(source=source, data=csv(WEB, DB), by=operator)) == (2, 0, 1, 1, 0)
    assert not VirtualMachine.objects.filter(missing_since__isnull=False).exists()


def test_a_preview_writes_no_machine_until_it_is_confirmed(source, operator):
    inventory_import(source=source, data=csv(WEB), by=operator)
    data = csv(WEB.replace("4096", "8192"), DB)
    upload = inventory_preview(source=source, data=data, file_name="a\0b.csv", by=operator)
    assert upload.file_name == r"a\x00b.csv"
    told = [(each.outcome, each.machine.name, each.fields) for each in changes_of(source, content_of(upload))]
    assert told == [("changed", "web01", ("memory_mib",)), ("added", "db01", ())]
    assert VirtualMachine.objects.get().memory_mib == 4096
    inventory_preview(source=source, data=data, file_name="again.csv", by=operator)
    upload = InventoryUpload.objects.get()
    assert numbers(inventory_confirm(upload=upload, by=operator)) == (2, 1, 1, 0, 0)
    assert not InventoryUpload.objects.exists()
    assert VirtualMachine.objects.get(name="web01").memory_mib == 8192


def test_a_preview_can_be_put_away(source, operator):
    inventory_discard(
        upload=inventory_preview(source=source, data=csv(WEB), file_name="a.csv", by=operator), by=operator
    )
    assert not InventoryUpload.objects.exists() and not VirtualMachine.objects.exists()


def test_nothing_is_half_written_when_the_last_statement_fails(source, operator, monkeypatch):
    def fails(changes):
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(inventory, "_write_nics", fails)
    with pytest.raises(RuntimeError):
        inventory_import(source=source, data=csv(WEB), by=operator)
    assert not VirtualMachine.objects.exists() and not Disk.objects.exists() and not Nic.objects.exists()


def test_who_may_import_and_where(source, department, operator):
    for stranger in (make_member(department, "viewer"), make_member(make_department(), "admin")):
        with pytest.raises(NotAllowed):
            inventory_import(source=source, data=csv(WEB), by=stranger)
    with pytest.raises(Refused, match="directory of images"):
        inventory_import(source=make_source(department), data=csv(WEB), by=operator)
    with pytest.raises(BadInput, match="file"):
        inventory_import(source=source, data=b"nothing that anybody knows", by=operator)


def test_a_machine_without_a_disk_here_is_refused_where_a_disk_is_needed(source, operator):
    inventory_import(source=source, data=csv(WEB), by=operator)
    web = VirtualMachine.objects.get()
    with pytest.raises(Refused, match="only an inventory file"):
        scan_start(vm=web, by=operator)
    assert not Scan.objects.exists() and disk_fingerprint(web) == ""
    assert "only an inventory file" in scan_now(vm=web).message
    for ask in (source_discover_request, source_check):
        with pytest.raises(Refused):
            ask(source=source, by=operator)


def test_a_source_of_an_inventory_overlaps_with_none(source, department):
    by = make_member(department, "admin")
    again = source_create(name="second", kind="inventory", department=department, location="/etc", by=by)
    assert again.location == ""


def test_three_and_a_half_thousand_rows_are_taken_at_once(source, operator):
    rows = [VINFO, *(vinfo(f"vm{number}") for number in range(3500))]
    disks = [["VM", "Capacity MiB", "VM UUID"], *([f"vm{n}", 1024, f"5000-vm{n}"] for n in range(3500))]
    data = workbook({"vInfo": rows, "vDisk": disks})
    assert numbers(inventory_import(source=source, data=data, by=operator)) == (3500, 3500, 0, 0, 0)
    assert Disk.objects.count() == 3500
    assert numbers(inventory_import(source=source, data=data, by=operator)) == (3500, 0, 0, 3500, 0)


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_each_sample_is_of_its_format_and_without_errors(name):
    found = parsed(SAMPLES[name].read_bytes())
    assert (found.format, found.errors, len(found.machines) > 0) == (name, (), True)


@pytest.mark.parametrize("name", sorted(EXPORTS))
def test_an_export_is_read_again_and_holds_no_formula(source, operator, name):
    inventory_import(source=source, data=csv(WEB, DB, '@3,"=HYPERLINK(1)",1,1024,1,,,,'), by=operator)
    text = "".join(source_lines(source, name))
    assert not any(
        cell.startswith(("=", "+", "-", "@")) for line in text.splitlines() for cell in line.split(",")
    )
    found = parsed(text.encode())
    assert (found.format, found.errors) == (name, ())
    assert sorted(each.name for each in found.machines) == ["=HYPERLINK(1)", "db01", "web01"]
    if name == "csv":
        assert {each.outcome for each in changes_of(source, found)} == {"kept"}
