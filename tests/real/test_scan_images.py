"""Every image format and file system through the real sandbox, readers and qemu-nbd."""

import hashlib
import json
import os
import tarfile
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from analyzer.scanner.scan import UnreadableImage, image_format, scan_image, scan_report
from tests.disks import (
    DEBIAN,
    MIB,
    ROOT_AT,
    converted,
    lay_out,
    make_disk,
    make_fat,
    make_filesystem,
    make_lvm_disk,
    partition,
    run,
)


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    return lay_out(tmp_path_factory.mktemp("tree"), DEBIAN)


@pytest.fixture(scope="module")
def debian(tmp_path_factory, tree) -> Path:
    return make_disk(tmp_path_factory.mktemp("debian") / "web01.raw", tree)


def assert_is_web01(facts) -> None:
    """What DEBIAN says, however the disk was packed."""
    assert (facts.os.id, facts.os.version, facts.os.family) == ("debian", "12", "debian")
    assert (facts.hostname, facts.init_system) == ("web01", "systemd")
    assert {each.name: (each.version, each.manual) for each in facts.packages} == {
        "nginx": ("1.22.1-9", True),
        "libc6": ("2.36-9", False),
    }
    assert [(each.name, each.state) for each in facts.services] == [("nginx.service", "enabled")]
    assert [(each.name, each.uid, each.can_login) for each in facts.users] == [
        ("root", 0, True),
        ("alice", 1000, True),
    ]
    assert [(each.port, each.service, each.evidence) for each in facts.listening] == [
        (8080, "nginx", "/etc/nginx/nginx.conf:2")
    ]
    assert facts.root_filesystem.label == "root"


FORMATS = [
    ("raw", {}),
    ("qcow2", {}),
    ("qcow2", {"compress": True}),
    ("qcow2", {"compress": True, "compression_type": "zstd"}),
    ("qcow2", {"cluster_size": "2M", "extended_l2": "on"}),
    ("vmdk", {}),
    ("vmdk", {"subformat": "streamOptimized"}),
    ("vhdx", {}),
    ("vdi", {}),
    ("vpc", {}),
    ("vpc", {"subformat": "fixed", "force_size": "on"}),
]


@pytest.mark.parametrize(("image", "options"), FORMATS, ids=lambda value: str(value))
def test_a_scan_says_the_same_of_every_format(debian, tmp_path, image, options):
    disk = converted(debian, image, tmp_path / "disk", **options)
    assert image_format(disk) == image
    facts = scan_image(disk, image)
    assert_is_web01(facts)
    assert facts.scan.image_format == image
    assert facts.scan.allocated_bytes == disk.stat().st_blocks * 512


def test_snapshots_in_an_image_are_told(debian, tmp_path):
    disk = converted(debian, "qcow2", tmp_path / "d")
    assert "snapshots" not in {each.code for each in scan_image(disk, "qcow2").concerns}
    run("qemu-img", "snapshot", "-c", "before", disk)
    (told,) = [each for each in scan_image(disk, "qcow2").concerns if each.code == "snapshots"]
    assert "only its present state is copied" in told.text


def test_an_ova_is_read_where_its_disk_stands_in_the_tar(debian, tmp_path):
    disk = converted(debian, "vmdk", tmp_path / "d.vmdk", subformat="streamOptimized")
    (tmp_path / "vm.ovf").write_text(
        '<References><File ovf:href="d.vmdk" ovf:id="f1"/><File ovf:href="e.vmdk" ovf:id="f2"/></References>'
        '<DiskSection><Disk ovf:diskId="1" ovf:fileRef="f1"/><Disk ovf:diskId="2" ovf:fileRef="f2"/></DiskSection>'
    )
    with tarfile.open(tmp_path / "vm.ova", "w") as archive:
        archive.add(tmp_path / "vm.ovf", "vm.ovf")
        archive.add(disk, "e.vmdk")
        archive.add(disk, "d.vmdk")
    facts = scan_image(tmp_path / "vm.ova", image_format(tmp_path / "vm.ova"))
    assert_is_web01(facts)
    assert facts.scan.disks == 2
    (concern,) = [each.text for each in facts.concerns if each.code == "several_systems"]
    assert "(p2, disk1p2)" in concern  # both hold the same bytes: the first of the OVF boots


@pytest.mark.parametrize("kind", ["ext2", "ext3", "ext4", "xfs"])
def test_file_systems(tree, tmp_path, kind):
    facts = scan_image(make_disk(tmp_path / "d", tree, kind=kind, size=400 * MIB), "raw")
    assert_is_web01(facts)
    assert (facts.root_filesystem.kind, facts.root_filesystem.device) == (kind, "p2")


FEATURES = [
    "-O inline_data",
    "-O bigalloc -C 16384",
    "-O metadata_csum,64bit,orphan_file",
    "-O meta_bg,^resize_inode",
    "-O casefold",
    "-O ^dir_index",
    "-b 1024",
    "-I 128",
]


@pytest.mark.parametrize("options", FEATURES)
def test_ext4_with_features_that_readers_stumble_over(tmp_path, options):
    many = {f"opt/app/{'n' * 40}{number}": "" for number in range(1500)}
    long = {"etc/hostname": f"-> /{'x' * 100}/name", f"{'x' * 100}/name": "web01\n"}
    if "inline_data" in options:
        long = {}  # the one reader of inline data gets long links wrong
    tree = lay_out(tmp_path / "tree", DEBIAN | many | long)
    with (tmp_path / "d").open("wb") as file:
        file.truncate(96 * MIB)
    make_filesystem(tmp_path / "d", tree, "ext4", 0, 96 * MIB, *options.split())
    facts = scan_image(tmp_path / "d", "raw")
    assert_is_web01(facts)
    assert [(each.path, each.entries) for each in facts.extras.directories] == [("/opt/app", 1500)]


@pytest.mark.parametrize(("table", "device"), [("gpt", "p2"), ("mbr", "p1"), ("none", "disk")])
def test_partition_tables(tree, tmp_path, table, device):
    facts = scan_image(make_disk(tmp_path / "d", tree, table=table), "raw")
    assert_is_web01(facts)
    assert (facts.partition_table, facts.root_filesystem.device) == (table, device)
    assert facts.boot_mode == ("bios" if table == "gpt" else "unknown")  # no boot code was put into the MBR


def test_a_root_on_lvm_is_read(tree, tmp_path):
    facts = scan_image(make_lvm_disk(tmp_path / "d", tree), "raw")
    assert_is_web01(facts)
    assert facts.root_filesystem.device == "vg-main/root"
    assert [(each.severity, each.code) for each in facts.concerns] == [("information", "lvm")]


def test_lvm_inside_a_compressed_qcow2_is_read(tree, tmp_path):
    disk = converted(make_lvm_disk(tmp_path / "d", tree), "qcow2", tmp_path / "d.qcow2", compress=True)
    assert_is_web01(scan_image(disk, "qcow2"))


def test_separate_file_systems_are_mounted_as_fstab_says(tmp_path):
    var = {name.removeprefix("var/"): text for name, text in DEBIAN.items() if name.startswith("var/")}
    usr = {name.removeprefix("usr/"): text for name, text in DEBIAN.items() if name.startswith("usr/")}
    root = {name: text for name, text in DEBIAN.items() if not name.startswith(("var/", "usr/"))}
    root |= {
        "etc/fstab": "LABEL=root / ext4 x 0 1\nPARTLABEL=usr /usr ext4 x 0 2\n/dev/vda3 /var ext4 x 0 2\n"
    }
    root |= {"usr/.keep": "", "var/.keep": ""}
    disk = tmp_path / "d"
    with disk.open("wb") as file:
        file.truncate(100 * MIB)
    partition(disk, "label: gpt\n2M,30M,L\nstart=32MiB, size=30MiB, name=usr\n62M,30M,L\n")
    for start, files in ((ROOT_AT, root), (32 * MIB, usr), (62 * MIB, var)):
        make_filesystem(disk, lay_out(tmp_path / str(start), files), "ext4", start, 30 * MIB)
    facts = scan_image(disk, "raw")
    assert_is_web01(facts)
    assert {each.device: each.mount_point for each in facts.filesystems} == {
        "p1": "/",
        "p2": "/usr",
        "p3": "/var",
    }
    assert [each.mounted_as for each in facts.filesystems] == ["LABEL=root", "PARTLABEL=usr", "/dev/vda3"]


def test_a_machine_like_rhel_with_xfs_boot_loader_entries_and_a_separate_boot(tmp_path):
    """Kernels stand in /boot, a file system of its own; GRUB's default is an entry's id in grubenv."""
    old, new = "5.14.0-362.el9.x86_64", "5.14.0-427.el9.x86_64"
    boot = {
        f"vmlinuz-{old}": "",
        f"vmlinuz-{new}": "",
        f"initramfs-{old}.img": "",
        "vmlinuz-0-rescue-abc": "",
    }
    for version in (old, new):
        entry = f"title Rocky Linux ({version}) 9.3\nversion {version}\nlinux /vmlinuz-{version}\n"
        boot[f"loader/entries/abc-{version}.conf"] = entry
    boot["loader/entries/abc-0-rescue.conf"] = (
        "title rescue\nversion 0-rescue-abc\nlinux /vmlinuz-0-rescue-abc\n"
    )
    boot["grub2/grub.cfg"] = "insmod blscfg\nblscfg\n"
    boot["grub2/grubenv"] = f"# GRUB Environment Block\nsaved_entry=abc-{old}\n" + "#" * 900
    modules = f"lib/modules/{old}"
    root = {
        "etc/os-release": 'ID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.3"\n',
        "etc/fstab": "/dev/sda3 / xfs defaults 0 0\n/dev/sda2 /boot xfs defaults 0 0\n",
        "boot/.keep": "",
        f"{modules}/modules.dep": "kernel/drivers/net/virtio_net.ko.xz: kernel/a.ko.xz\nkernel/drivers/nvme-x.ko:\n",
        f"{modules}/modules.builtin": "kernel/drivers/block/virtio_blk.ko\nkernel/drivers/char/virtio-rng.ko\n",
        "etc/NetworkManager/system-connections/ens3.nmconnection": "[connection]\ntype=ethernet\n[ipv4]\nmethod=auto\n",
    }
    disk = tmp_path / "d"
    with disk.open("wb") as file:
        file.truncate(700 * MIB)
    partition(disk, "label: gpt\n2048,2048,21686148-6449-6E6F-744E-656564454649\n2M,330M,L\n332M,330M,L\n")
    for start, files in ((2 * MIB, boot), (332 * MIB, root)):
        make_filesystem(disk, lay_out(tmp_path / str(start), files), "xfs", start, 330 * MIB)
    facts = scan_image(disk, "raw")
    assert (facts.os.family, facts.boot_mode) == ("rhel", "bios")
    assert [(each.version, each.default, each.menu_id, each.initramfs) for each in facts.kernels] == [
        (new, False, f"abc-{new}", False),
        (old, True, f"abc-{old}", True),
    ]
    assert facts.default_kernel.drivers_module == ("virtio_net",)
    assert facts.default_kernel.drivers_builtin == ("virtio_blk", "virtio_rng")
    assert [(each.name, each.addressing) for each in facts.nics] == [("ens3", "dhcp")]
    assert {each.device: each.mount_point for each in facts.filesystems} == {"p2": "/boot", "p3": "/"}


@pytest.mark.parametrize(
    ("loader", "mode"), [({"EFI/BOOT/BOOTX64.EFI": "MZ"}, "uefi"), ({"readme.txt": ""}, "unknown")]
)
def test_a_machine_boots_by_uefi_if_its_system_partition_holds_a_loader(tmp_path, tree, loader, mode):
    disk, root_at = tmp_path / "d", 520 * MIB
    with disk.open("wb") as file:
        file.truncate(600 * MIB)
    partition(disk, "label: gpt\n1M,512M,U\n520M,64M,L\n")
    make_fat(disk, lay_out(tmp_path / "esp", loader), MIB)
    make_filesystem(disk, tree, "ext4", root_at, 64 * MIB)
    facts = scan_image(disk, "raw")
    assert_is_web01(facts)
    assert facts.boot_mode == mode
    assert [each.kind for each in facts.filesystems] == ["vfat", "ext4"]


def test_a_disk_copied_from_a_running_machine_is_read_with_a_warning(tree, tmp_path):
    disk = make_disk(tmp_path / "d", tree)
    run("debugfs", "-w", "-R", "feature needs_recovery", f"{disk}?offset={ROOT_AT}")
    facts = scan_image(disk, "raw")
    assert_is_web01(facts)
    assert [each.code for each in facts.concerns] == ["dirty_filesystem"]


def test_a_scan_changes_nothing_of_the_image(debian):
    def state():
        status = debian.stat()
        return (
            hashlib.sha256(debian.read_bytes()).hexdigest(),
            status.st_mtime_ns,
            status.st_mode,
            status.st_ino,
        )

    before = state()
    scan_report(debian)
    assert state() == before


def test_an_encrypted_disk_is_named_and_nothing_is_guessed(tmp_path):
    disk = tmp_path / "d"
    with disk.open("wb") as file:
        file.truncate(64 * MIB)
    partition(disk, "label: gpt\n2048,2048,21686148-6449-6E6F-744E-656564454649\n4096,,L\n")
    with disk.open("r+b") as file:
        file.seek(ROOT_AT)
        file.write(
            b"LUKS\xba\xbe\0\2" + bytes(160) + b"1b2d4c5e-0000-4000-8000-000000000000".ljust(40, b"\0")
        )
    facts = scan_image(disk, "raw")
    assert facts.covered("packages").reason == "no readable root filesystem: LUKS"
    assert facts.covered("filesystems").state == "partial"
    assert {each.code: each.severity for each in facts.concerns} == {
        "luks": "warning",
        "no_root_filesystem": "critical",
    }
    assert (facts.os.family, facts.packages) == ("unknown", ())


def test_command_prints_json_and_a_page(debian, capsys):
    call_command("scan_image", str(debian), "--json")
    document = json.loads(capsys.readouterr().out)
    assert (document["hostname"], document["schema_version"]) == ("web01", 1)
    call_command("scan_image", str(debian))
    page = capsys.readouterr().out
    assert "Debian GNU/Linux 12 (bookworm)" in page
    assert "/etc/nginx/nginx.conf:2" in page


def test_command_says_in_one_line_why_it_cannot(tmp_path):
    (tmp_path / "x").write_text("no disk")
    with pytest.raises(CommandError, match="x is unreadable: it is not a disk image of a known format"):
        call_command("scan_image", str(tmp_path / "x"), "--json")


@pytest.mark.parametrize("kind", ["missing", "directory", "fifo", "unknown format"])
def test_what_is_no_file_is_unreadable(tmp_path, kind):
    path = tmp_path / "x"
    if kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    with pytest.raises(UnreadableImage):
        scan_image(path, "zip" if kind == "unknown format" else "raw")


def test_units_replace_no_script_where_systemd_is_not_what_starts(tmp_path):
    """Debian's packages bring both; of a machine that busybox starts only the scripts count."""
    wants = "etc/systemd/system/multi-user.target.wants/nginx.service"
    files = {name: text for name, text in DEBIAN.items() if name not in (wants, "sbin/init")}
    files |= {
        "sbin/init": "-> /bin/busybox",
        "bin/busybox": "\x7fELF",
        "etc/inittab": "::sysinit:/etc/init.d/rcS\n",
    }
    files |= {"etc/init.d/nginx": "#!/bin/sh\n", "etc/rc2.d/S01nginx": "-> ../init.d/nginx"}
    facts = scan_image(make_disk(tmp_path / "d", lay_out(tmp_path / "tree", files)), "raw")
    assert facts.init_system == "busybox"
    assert [(each.name, each.kind) for each in facts.services if each.enabled] == [("nginx", "sysv")]
    assert [(each.port, each.service) for each in facts.listening] == [(8080, "nginx")]
