"""Sources and what discovery makes of real files in a directory."""

import pytest

from analyzer.models import SourceEndpoint, VirtualMachine
from analyzer.services.discovery import (
    discoveries_sweep,
    source_discover,
    source_discover_queued,
    source_discover_request,
)
from analyzer.services.sources import source_check, source_create, source_delete, source_update
from personas.errors import BadInput, NotAllowed, Refused
from tests.factories import make_department, make_member, make_scan, make_source

pytestmark = pytest.mark.django_db

SECTOR = (
    bytes(510) + b"\x55\xaa"
)  # a master boot record without a partition: the smallest thing that is a disk


@pytest.fixture
def root(tmp_path, settings):
    settings.IMAGE_ROOTS = [tmp_path]
    (tmp_path / "images").mkdir()
    return tmp_path


@pytest.fixture
def images(root):
    return root / "images"


@pytest.fixture
def department():
    return make_department()


@pytest.fixture
def admin(department):
    return make_member(department, "admin")


@pytest.fixture
def source(images, department, admin):
    return source_create(name="lab", location=str(images), department=department, by=admin)


def put(path, mark=b"a", size=2**20):
    path.write_bytes(mark * 64 + SECTOR[64:] + mark * (size - 512))
    return path


def test_a_source_outside_the_image_roots_is_refused(root, department, admin):
    for location in ("/etc", str(root / ".." / "x"), "images", f"{root}/\0", "/"):
        with pytest.raises(BadInput) as told:
            source_create(name="s", location=location, department=department, by=admin)
        assert "location" in told.value.errors


def test_a_link_that_leads_out_of_the_image_roots_is_refused(root, department, admin, tmp_path_factory):
    (root / "out").symlink_to(tmp_path_factory.mktemp("elsewhere"))
    with pytest.raises(BadInput, match="IMAGE_ROOTS"):
        source_create(name="s", location=str(root / "out"), department=department, by=admin)


def test_two_sources_never_read_the_same_directory(root, images, source):
    other = make_member(make_department(), "admin")
    (images / "inner").mkdir()
    for location in (images, images / "inner", root):
        with pytest.raises(BadInput, match="another source"):
            source_create(name="s", location=str(location), department=other.departments.get(), by=other)


def test_only_an_admin_of_the_department_makes_a_source(images, department):
    for stranger in (make_member(department, "operator"), make_member(make_department(), "admin")):
        with pytest.raises(NotAllowed):
            source_create(name="s", location=str(images), department=department, by=stranger)
    assert not SourceEndpoint.objects.exists()


def test_discovery_makes_a_machine_of_each_image(images, source, admin):
    put(images / "web01.raw")
    put(images / "db01.img", b"b")
    (images / "README.txt").write_text("no disk")
    report = source_discover(source=source, by=admin)
    assert (report["found"], report["added"], len(report["skipped"])) == (2, 2, 1)
    vm = VirtualMachine.objects.get(name="web01")
    disk = vm.disks.get()
    assert (vm.department, disk.path, disk.format) == (source.department, str(images / "web01.raw"), "raw")
    assert disk.virtual_size_bytes == 2**20
    source.refresh_from_db()
    assert source.discovered_at
    assert source.discovery_report["found"] == 2


def test_discovering_twice_changes_nothing(images, source, admin):
    put(images / "web01.raw")
    source_discover(source=source, by=admin)
    vm = VirtualMachine.objects.get()
    report = source_discover(source=source, by=admin)
    assert (report["added"], report["kept"], report["missing"]) == (0, 1, 0)
    assert VirtualMachine.objects.get() == vm


def test_a_renamed_image_is_the_same_machine(images, source, admin):
    disk = put(images / "web01.raw")
    source_discover(source=source, by=admin)
    vm = VirtualMachine.objects.get()
    disk.rename(images / "web-old.raw")
    report = source_discover(source=source, by=admin)
    assert report["moved"] == 1
    vm.refresh_from_db()
    assert (vm.name, vm.missing_since) == ("web-old", None)
    assert vm.disks.get().path.endswith("web-old.raw")


def test_a_vanished_machine_is_kept_as_missing_until_it_is_back(images, source, admin):
    disk = put(images / "web01.raw")
    put(images / "db01.raw", b"b")
    source_discover(source=source, by=admin)
    disk.rename(images / ".hidden")
    assert source_discover(source=source, by=admin)["missing"] == 1
    assert VirtualMachine.objects.get(name="web01").missing_since
    (images / ".hidden").rename(disk)
    source_discover(source=source, by=admin)
    assert VirtualMachine.objects.get(name="web01").missing_since is None


def test_one_bad_file_is_reported_and_the_others_are_found(images, source, admin):
    put(images / "web01.raw")
    (images / "broken.qcow2").write_bytes(b"QFI\xfb" + b"\xff" * 4096)
    (images / "new\nline.raw").write_bytes(put(images / "x.raw", b"c").read_bytes())
    report = source_discover(source=source, by=admin)
    assert report["found"] == 2
    assert len(report["skipped"]) == 2
    assert any("rename it" in each["reason"] for each in report["skipped"])


def test_a_disk_that_says_it_has_an_exbibyte_is_reported(images, source, admin):
    header = b"QFI\xfb" + (2).to_bytes(4, "big") + bytes(16) + (2**60).to_bytes(8, "big")
    (images / "huge.qcow2").write_bytes(header + bytes(4096))
    report = source_discover(source=source, by=admin)
    assert report["found"] == 0 and "PiB" in report["skipped"][0]["reason"]


def test_what_people_told_of_a_machine_survives_discovery(images, source, admin):
    put(images / "web01.raw")
    source_discover(source=source, by=admin)
    VirtualMachine.objects.update(vcpus=4, memory_mib=8192, firmware="uefi")
    source_discover(source=source, by=admin)
    vm = VirtualMachine.objects.get()
    assert (vm.vcpus, vm.memory_mib, vm.firmware) == (4, 8192, "uefi")


def test_a_source_that_has_gone_keeps_its_machines_and_tells(images, source, admin):
    disk = put(images / "web01.raw")
    source_discover(source=source, by=admin)
    disk.unlink()
    images.rmdir()
    with pytest.raises(Refused, match="does not answer"):
        source_discover(source=source, by=admin)
    with pytest.raises(Refused, match="does not answer"):
        source_check(source=source, by=admin)
    source.refresh_from_db()
    assert source.discovery_error
    assert VirtualMachine.objects.get().missing_since is None


def test_checking_a_source_says_what_it_is(images, source, admin):
    put(images / "web01.raw")
    assert source_check(source=source, by=admin)["files"] == "1"


def test_an_asked_for_discovery_is_done_once_and_sent_again_when_lost(images, source, admin):
    put(images / "web01.raw")
    source_discover_request(source=source, by=admin)
    source_discover_request(source=source, by=admin)
    assert discoveries_sweep() == []
    SourceEndpoint.objects.update(discovery_due_at=source.created_at)
    assert discoveries_sweep() == [source.pk]
    assert discoveries_sweep() == []
    source_discover_queued(source_id=source.pk)
    source_discover_queued(source_id=source.pk)
    source.refresh_from_db()
    assert source.discovery_requested_at is None
    assert VirtualMachine.objects.count() == 1


def test_a_source_can_be_renamed_but_not_pointed_elsewhere(source, admin):
    assert source_update(source=source, by=admin, name="lab 2").name == "lab 2"
    with pytest.raises(BadInput):
        source_update(source=source, by=admin, location="/etc")


def test_deleting_a_source_takes_its_machines_along(images, source, admin):
    put(images / "web01.raw")
    source_discover(source=source, by=admin)
    make_scan(VirtualMachine.objects.get())
    source_delete(source=source, by=admin)
    assert not VirtualMachine.objects.exists()


def test_an_operator_discovers_and_a_viewer_does_not(images, source):
    put(images / "web01.raw")
    source_discover(source=source, by=make_member(source.department, "operator"))
    with pytest.raises(NotAllowed):
        source_discover(source=source, by=make_member(source.department, "viewer"))
    with pytest.raises(NotAllowed):
        source_discover_request(source=make_source(), by=make_member(source.department, "admin"))
