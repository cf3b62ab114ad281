"""A directory of disk images as a source: real files, no hypervisor."""

import os
import tarfile
from pathlib import Path

import pytest

from analyzer.sources.base import Machine, Refused, Skipped, SourceChanged
from analyzer.sources.registry import SOURCES, source_of_kind
from tests.disks import DEBIAN, MIB, converted, lay_out, make_disk, make_ova, partition, run


@pytest.fixture(scope="module")
def debian(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("debian")
    return make_disk(folder / "web01.raw", lay_out(folder / "tree", DEBIAN))


def blank(path: Path, size: int = 8 * MIB) -> Path:
    """A disk of nothing but a partition table; its identifier differs from the next one's."""
    with path.open("wb") as file:
        file.truncate(size)
    partition(path, "label: dos\n2048,,83\n")
    return path


def listed(folder: Path, known=None) -> tuple[dict[str, Machine], dict[str, str]]:
    seen = list(source_of_kind("images", str(folder)).machines(known=known))
    machines = {each.name: each for each in seen if isinstance(each, Machine)}
    return machines, {each.name: each.reason for each in seen if isinstance(each, Skipped)}


def remembered(machines: dict[str, Machine]) -> dict[str, str]:
    return {each.external_id: str(each.disks[0].path) for each in machines.values()}


@pytest.mark.parametrize("image_format", ["raw", "qcow2", "vmdk", "vhdx", "vdi", "vpc"])
def test_every_format_is_listed_with_the_size_that_qemu_tells(debian, tmp_path, image_format):
    disk = converted(debian, image_format, tmp_path / "x.img")
    machine = listed(tmp_path)[0]["x"]
    told = run("qemu-img", "info", "--output=json", "-f", image_format, disk)
    assert machine.disks[0].format == image_format
    assert f'"virtual-size": {machine.disks[0].virtual_size_bytes},' in told
    assert machine.disks[0].allocated_bytes == disk.stat().st_blocks * 512


def test_firmware_is_guessed_from_the_partition_table(debian, tmp_path):
    os.link(debian, tmp_path / "bios.raw")
    blank(tmp_path / "uefi.raw", 64 * MIB)
    partition(tmp_path / "uefi.raw", "label: gpt\n2048,,U\n")
    machines, _ = listed(tmp_path)
    assert (machines["bios"].firmware, machines["uefi"].firmware) == ("bios", "uefi")


def test_what_is_no_machine_is_skipped_with_its_reason(debian, tmp_path):
    outside = make_disk(tmp_path / "outside.raw", debian.parent / "tree")
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "link.raw").symlink_to(outside)
    (folder / "notes.txt").write_text("hello")
    (folder / "empty.qcow2").touch()
    (folder / "copy.raw.part").write_bytes(outside.read_bytes()[:MIB])
    (folder / "short.qcow2").write_bytes(b"QFI\xfb\0\0\0\3")
    os.mkfifo(folder / "pipe.raw")
    run("qemu-img", "create", "-q", "-f", "qcow2", "-b", outside, "-F", "raw", folder / "overlay.qcow2")
    converted(outside, "vmdk", folder / "flat.vmdk", subformat="monolithicFlat")
    os.link(folder / "flat-flat.vmdk", folder / "zz-same.raw")
    machines, skipped = listed(folder)
    assert set(machines) == {"flat-flat"}
    assert {name: reason.split(":")[0] for name, reason in skipped.items()} == {
        "copy.raw.part": "hidden, or a copy that is not finished",
        "empty.qcow2": "the file is empty",
        "flat.vmdk": "a VMDK whose data is in other files",
        "link.raw": "a link",
        "notes.txt": "not a disk image",
        "overlay.qcow2": "it has a backing file",
        "pipe.raw": "not a regular file",
        "short.qcow2": "its header is cut off",
        "zz-same.raw": "the same file as flat-flat.vmdk",
    }


def test_directories_below_are_looked_into_and_links_are_not(tmp_path):
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/loop").symlink_to(tmp_path)
    blank(tmp_path / "a/b/deep.img")
    machines, skipped = listed(tmp_path)
    assert set(machines) == {"deep"}
    assert set(skipped) == {"a/loop"}


def test_an_id_outlives_a_rename(tmp_path):
    blank(tmp_path / "old.raw")
    blank(tmp_path / "other.raw")
    before, _ = listed(tmp_path)
    (tmp_path / "old.raw").rename(tmp_path / "new.raw")
    after, _ = listed(tmp_path, remembered(before))
    assert after["new"].external_id == before["old"].external_id
    assert after["other"].external_id == before["other"].external_id


def test_an_id_outlives_a_refreshed_copy(tmp_path):
    """rsync and qemu-img convert put a new file at the old path."""
    blank(tmp_path / "web.raw")
    before, _ = listed(tmp_path)
    blank(tmp_path / "fresh").rename(tmp_path / "web.raw")
    after, _ = listed(tmp_path, remembered(before))
    assert after["web"].external_id == before["web"].external_id


def test_an_id_outlives_writes_to_the_disk(tmp_path):
    blank(tmp_path / "web.raw")
    before, _ = listed(tmp_path)
    partition(tmp_path / "web.raw", "label: gpt\n2048,,L\n")
    after, _ = listed(tmp_path, remembered(before))
    assert after["web"].external_id == before["web"].external_id


def test_a_clone_is_another_machine(tmp_path):
    blank(tmp_path / "web.raw")
    (tmp_path / "clone.raw").write_bytes((tmp_path / "web.raw").read_bytes())
    machines, _ = listed(tmp_path)
    assert machines["web"].external_id != machines["clone"].external_id


def test_a_new_disk_with_the_inode_of_a_deleted_one_is_another_machine(tmp_path):
    """Written through the same file, so that the inode is the old one and the first bytes are not."""
    blank(tmp_path / "gone.raw")
    before, _ = listed(tmp_path)
    partition(tmp_path / "gone.raw", "label: gpt\n2048,,L\n")
    (tmp_path / "gone.raw").rename(tmp_path / "new.raw")
    after, _ = listed(tmp_path, remembered(before))
    assert after["new"].external_id not in remembered(before)


def test_two_files_never_share_an_id_though_one_moved_back(tmp_path):
    blank(tmp_path / "a.raw")
    known = remembered(listed(tmp_path)[0])
    (tmp_path / "a.raw").rename(tmp_path / "b.raw")
    moved = remembered(listed(tmp_path, known)[0])
    (tmp_path / "a.raw").write_bytes((tmp_path / "b.raw").read_bytes())
    ids = [each.external_id for each in listed(tmp_path, moved)[0].values()]
    assert len(set(ids)) == 2


def test_machines_come_in_pages(tmp_path):
    for name in ("a", "b", "c"):
        blank(tmp_path / f"{name}.raw")
    known = remembered(listed(tmp_path)[0])
    first = next(iter(known))
    source = source_of_kind("images", str(tmp_path))
    assert [each.name for each in source.machines(cursor=first, known=known)] == ["b", "c"]


def ova(path: Path, disk: Path, description: str) -> Path:
    path.with_suffix(".ovf").write_text(description)
    with tarfile.open(path, "w") as archive:
        archive.add(path.with_suffix(".ovf"), "vm.ovf")
        archive.add(disk, "disk1.vmdk")
    path.with_suffix(".ovf").unlink()
    return path


OVF = """<?xml version="1.0"?><Envelope xmlns:ovf="x" xmlns:rasd="y">
<References><File ovf:href="disk1.vmdk" ovf:id="file1"/></References>
<DiskSection><Disk ovf:capacity="64" ovf:diskId="d1" ovf:fileRef="file1"/></DiskSection>
<Item><rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>4</rasd:VirtualQuantity></Item>
<Item><rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>8192</rasd:VirtualQuantity></Item>
</Envelope>"""


def test_an_ova_tells_size_processors_and_memory(debian, tmp_path):
    vmdk = converted(debian, "vmdk", tmp_path / "d.vmdk", subformat="streamOptimized")
    ova(tmp_path / "app.ova", vmdk, OVF)
    machine = listed(tmp_path)[0]["app"]
    assert (machine.vcpus, machine.memory_mib) == (4, 8192)
    assert machine.disks[0].virtual_size_bytes == debian.stat().st_size


@pytest.mark.parametrize(
    ("description", "reason"),
    [
        (OVF.replace("disk1", "../../etc/passwd"), "the OVF names no disk that is in the archive"),
        (OVF.replace("<File ", '<File ovf:compression="gzip" '), "its disks are compressed a second time"),
        ("", "the OVF names no disk"),
    ],
    ids=["path outside", "compressed twice", "empty"],
)
def test_a_hostile_ova_is_skipped(debian, tmp_path, description, reason):
    ova(tmp_path / "bad.ova", debian, description)
    assert listed(tmp_path)[1]["bad.ova"].startswith(reason)


def test_a_cut_off_ova_is_skipped(debian, tmp_path):
    whole = ova(tmp_path / "bad.ova", debian, OVF).read_bytes()
    (tmp_path / "bad.ova").write_bytes(whole[: 10 * MIB])
    assert listed(tmp_path)[1]["bad.ova"].startswith(("the OVA is cut off", "a damaged tar"))


def test_a_directory_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(Refused):
        source_of_kind("images", str(tmp_path / "nowhere")).probe()
    with pytest.raises(Refused):
        list(source_of_kind("images", str(tmp_path / "nowhere")).machines())
    with pytest.raises(Refused):
        source_of_kind("teleport", "/")


def test_every_source_names_its_kind_and_what_it_can():
    assert {kind: source.kind for kind, source in SOURCES.items()} == {kind: kind for kind in SOURCES}
    assert SOURCES["images"].caps == {"disk_read", "extents"}


def test_a_raw_disk_is_read_by_its_extents(debian, tmp_path):
    os.link(debian, tmp_path / "web01.raw")
    source = source_of_kind("images", str(tmp_path))
    session = source.prepare(listed(tmp_path)[0]["web01"])
    reader = source.disk(session, 0)
    extents = list(reader.extents())
    assert sum(each.length for each in extents) == reader.size == debian.stat().st_size
    assert any(each.data for each in extents)
    assert not all(each.data for each in extents)
    copy = bytearray(reader.size)
    for each in extents:
        if each.data:
            copy[each.offset : each.offset + each.length] = reader.read(each.offset, each.length)
    assert bytes(copy) == debian.read_bytes()
    source.release(session)


def test_a_disk_that_changed_while_it_was_read_is_told(tmp_path):
    blank(tmp_path / "web.raw")
    source = source_of_kind("images", str(tmp_path))
    session = source.prepare(listed(tmp_path)[0]["web"])
    with (tmp_path / "web.raw").open("r+b") as file:
        file.write(b"x")
    with pytest.raises(SourceChanged):
        source.release(session)


def test_only_raw_is_read_block_by_block(debian, tmp_path):
    converted(debian, "qcow2", tmp_path / "x.qcow2")
    source = source_of_kind("images", str(tmp_path))
    with pytest.raises(Refused):
        source.disk(source.prepare(listed(tmp_path)[0]["x"]), 0)


def test_an_ova_is_one_machine_with_all_its_disks_the_one_that_boots_first(debian, tmp_path):
    data = converted(blank(tmp_path / "data.raw"), "vmdk", subformat="streamOptimized")
    root = converted(debian, "vmdk", tmp_path / "root.vmdk", subformat="streamOptimized")
    folder = tmp_path / "images"
    folder.mkdir()
    make_ova(folder / "app.ova", [data, root], drives=(1, 0))
    machines, _ = listed(folder)
    assert [(each.member, each.virtual_size_bytes) for each in machines["app"].disks] == [
        ("app-disk2.vmdk", debian.stat().st_size),
        ("app-disk1.vmdk", 8 * MIB),
    ]


@pytest.mark.parametrize(
    "names",
    [
        ["disk0.raw", "disk1.qcow2"],
        ["disk.raw", "disk-1.raw"],
        ["db-01.raw", "db-01_1.raw"],
        ["db-01.raw", "db-01-2.raw"],
        ["DB-01-disk1.raw", "DB-01-disk2.raw", "db-01-disk10.raw"],
    ],
)
def test_a_folder_whose_images_are_named_as_disks_is_one_machine(tmp_path, names):
    folder = tmp_path / "db-01"
    folder.mkdir()
    for name in reversed(names):
        blank(folder / name)
    (folder / "notes.txt").write_text("hello")
    machines, skipped = listed(tmp_path)
    assert [disk.path.name for disk in machines["db-01"].disks] == names
    assert (set(machines), set(skipped)) == ({"db-01"}, {"db-01/notes.txt"})


@pytest.mark.parametrize(
    "names", [["web01.raw", "web02.raw"], ["prod-01.raw", "prod-02.raw"], ["prod1.raw", "prod2.raw"]]
)
def test_a_folder_of_machines_stays_one(tmp_path, names):
    (tmp_path / "prod").mkdir()
    for name in names:
        blank(tmp_path / "prod" / name)
    machines, _ = listed(tmp_path)
    assert set(machines) == {name.removesuffix(".raw") for name in names}


def test_disks_beside_each_other_in_the_source_itself_are_machines(tmp_path):
    blank(tmp_path / "disk0.raw")
    blank(tmp_path / "disk1.raw")
    assert set(listed(tmp_path)[0]) == {"disk0", "disk1"}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("disk1.qcow2.part", "a machine of 2 disks, of which disk1.qcow2.part cannot be read"),
        ("disk1.qcow2", "a machine of 2 disks, of which disk1.qcow2 cannot be read"),
        ("disk0.raw", "disk0.qcow2 and disk0.raw claim to be the same disk"),
    ],
)
def test_a_machine_is_listed_whole_or_not_at_all(tmp_path, name, reason):
    (tmp_path / "db-01").mkdir()
    converted(blank(tmp_path / "disk.raw"), "qcow2", tmp_path / "db-01/disk0.qcow2")
    if name.endswith("raw"):
        blank(tmp_path / "db-01" / name)
    else:
        (tmp_path / "db-01" / name).write_bytes(b"QFI\xfb")
    machines, skipped = listed(tmp_path)
    assert set(machines) == {"disk"}
    assert skipped["db-01"].startswith(reason)


def test_a_machine_keeps_its_id_when_it_gets_a_disk_or_its_folder_is_renamed(tmp_path):
    (tmp_path / "old").mkdir()
    blank(tmp_path / "old/disk0.raw")
    before, _ = listed(tmp_path)
    blank(tmp_path / "old/disk1.raw")
    second, _ = listed(tmp_path, remembered(before))
    (tmp_path / "old").rename(tmp_path / "new")
    after, _ = listed(tmp_path, remembered(second))
    assert [len(each["old"].disks) for each in (before, second)] == [1, 2]
    assert before["old"].external_id == second["old"].external_id == after["new"].external_id
