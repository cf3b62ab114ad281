"""Machines with several disks: one sandbox, one tree of files, whatever holds which part of it."""

import json

import pytest
from django.core.management import call_command

from analyzer.scanner.scan import DiskImage, UnreadableImage, disk_images, scan_disks, scan_image
from tests.disks import (
    DEBIAN,
    MIB,
    converted,
    lay_out,
    make_disk,
    make_filesystem,
    make_ova,
    make_spanning_disks,
)

DATA_UUID = "7b1f0c7e-0000-4000-8000-00000000000d"
VAR = {name.removeprefix("var/"): text for name, text in DEBIAN.items() if name.startswith("var/")}
ROOT = {name: text for name, text in DEBIAN.items() if not name.startswith("var/")} | {"var/.keep": ""}


def root_disk(tmp_path, fstab: str):
    """Without its /var, where dpkg's status lies: packages are found only if the other disk is mounted."""
    tree = lay_out(
        tmp_path / "root-tree",
        ROOT | {"etc/fstab": f"LABEL=root / ext4 defaults 0 1\n{fstab} /var auto x 0 2\n"},
    )
    return make_disk(tmp_path / "root.raw", tree)


def data_disk(path, tree):
    """A file system on the whole disk, as data disks often have it."""
    with path.open("wb") as file:
        file.truncate(32 * MIB)
    make_filesystem(path, tree, "ext4", 0, 32 * MIB, "-L", "data", "-U", DATA_UUID)
    return path


def raw(*paths):
    return [DiskImage(path, "raw") for path in paths]


def mounts(facts):
    return {each.device: (each.mount_point, each.disk) for each in facts.filesystems}


@pytest.mark.parametrize("named", [f"UUID={DATA_UUID}", "/dev/sdb", "/dev/disk/by-uuid/" + DATA_UUID])
def test_what_fstab_names_is_found_on_another_disk(tmp_path, named):
    var = data_disk(tmp_path / "var.raw", lay_out(tmp_path / "var-tree", VAR))
    facts = scan_disks(raw(root_disk(tmp_path, named), var))
    assert {each.name for each in facts.packages} == {"nginx", "libc6"}
    assert mounts(facts) == {"p2": ("/", 0), "disk1": ("/var", 1)}
    assert facts.scan.disks == 2


def test_the_letter_of_a_disk_counts_where_there_are_several(tmp_path):
    var = lay_out(tmp_path / "var-tree", VAR)
    second, third = data_disk(tmp_path / "second", lay_out(tmp_path / "none", {"x": ""})), tmp_path / "third"
    make_disk(third, var)
    facts = scan_disks(raw(root_disk(tmp_path, "/dev/vdc2"), second, third))
    assert {each.name for each in facts.packages} == {"nginx", "libc6"}
    assert mounts(facts)["disk2p2"] == ("/var", 2)


def test_the_root_may_be_on_any_disk(tmp_path):
    var = data_disk(tmp_path / "var.raw", lay_out(tmp_path / "var-tree", VAR))
    facts = scan_disks(raw(var, root_disk(tmp_path, f"UUID={DATA_UUID}")))
    assert (facts.root_filesystem.device, facts.root_filesystem.disk) == ("disk1p2", 1)
    assert {each.name for each in facts.packages} == {"nginx", "libc6"}


def test_a_volume_group_may_span_disks_in_any_order(tmp_path):
    one, two = make_spanning_disks(tmp_path / "one", tmp_path / "two", lay_out(tmp_path / "var-tree", VAR))
    facts = scan_disks(raw(root_disk(tmp_path, "/dev/vg-two/data"), two, one))
    assert {each.name for each in facts.packages} == {"nginx", "libc6"}
    assert mounts(facts)["vg-two/data"] == ("/var", 2)
    assert facts.covered("filesystems").state == "full"


def test_a_volume_group_of_which_a_disk_is_missing_is_told(tmp_path):
    one, _ = make_spanning_disks(tmp_path / "one", tmp_path / "two", lay_out(tmp_path / "var-tree", VAR))
    facts = scan_disks(raw(root_disk(tmp_path, "/dev/vg-two/data"), one))
    assert "1 of its volume group's 2 disks are not here" in facts.covered("filesystems").reason
    assert facts.hostname == "web01"


def test_disks_of_several_formats_and_those_of_an_ova_are_read_together(tmp_path):
    var = data_disk(tmp_path / "var.raw", lay_out(tmp_path / "var-tree", VAR))
    root = root_disk(tmp_path, f"UUID={DATA_UUID}")
    mixed = scan_disks(
        [DiskImage(converted(root, "qcow2"), "qcow2"), DiskImage(converted(var, "vdi"), "vdi")]
    )
    disks = [converted(each, "vmdk", subformat="streamOptimized") for each in (var, root)]
    packed = scan_image(make_ova(tmp_path / "app.ova", disks, drives=(1, 0)), "ova")
    for facts in (mixed, packed):
        assert {each.name for each in facts.packages} == {"nginx", "libc6"}
        assert mounts(facts) == {"p2": ("/", 0), "disk1": ("/var", 1)}


def test_a_disk_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "broken.qcow2").write_bytes(b"QFI\xfb" + bytes(600))
    root = root_disk(tmp_path, f"UUID={DATA_UUID}")
    with pytest.raises(UnreadableImage, match=r"broken\.qcow2: "):
        scan_disks([*raw(root), DiskImage(tmp_path / "broken.qcow2", "qcow2")])
    with pytest.raises(UnreadableImage, match=r"gone\.raw: there is no such file"):
        scan_disks(raw(root, tmp_path / "gone.raw"))


def test_the_disks_of_an_ova_are_told_apart_by_their_place_in_it(tmp_path):
    disks = [converted(data_disk(tmp_path / name, None), "vmdk") for name in ("one", "two")]
    packed = make_ova(tmp_path / "app.ova", disks)
    images = disk_images([(str(packed), "ova"), (str(packed), "ova"), (str(tmp_path / "one"), "raw")])
    assert [each.member for each in images] == ["app-disk1.vmdk", "app-disk2.vmdk", ""]
    with pytest.raises(UnreadableImage, match="holds 2 disks, not 1: discover its source again"):
        disk_images([(str(packed), "ova")])


def test_command_takes_all_disks_of_a_machine(tmp_path, capsys):
    var = data_disk(tmp_path / "var.raw", lay_out(tmp_path / "var-tree", VAR))
    root = root_disk(tmp_path, f"UUID={DATA_UUID}")
    call_command("scan_image", str(root), str(converted(var, "qcow2")), "--json")
    document = json.loads(capsys.readouterr().out)
    assert document["scan"]["disks"] == 2
    assert {each["name"] for each in document["packages"]} == {"nginx", "libc6"}
