"""Disks grown and prepared without booting them: nothing lost, nothing damaged, and read back with other tools."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from migrations_engine.domain.machine import GIB, DiskRef, FirstBoot, SourceDisk
from migrations_engine.targets.base import FilesystemDamaged, KernelUnavailable, PrepareRefused
from migrations_engine.targets.qemu.bundle import Bundle
from migrations_engine.targets.qemu.command import mac_address
from migrations_engine.targets.qemu.first_boot import prepare_to_install

MIB = 2**20
ROOT_AT = 2 * MIB
NO_AGENT = Bundle("agent", {}, "")


@pytest.fixture
def disk(qemu, source, request):
    key = hashlib.sha256(request.node.name.encode()).hexdigest()[:16]
    yield qemu.copy(key, source)
    qemu.destroy(key)


def inside(disk: DiskRef, path: str, offset: int = ROOT_AT) -> str:
    done = subprocess.run(
        ["debugfs", "-R", f"cat {path}", f"{disk.path}?offset={offset}"], capture_output=True
    )
    return done.stdout.decode()


def every_file(image: Path | str, folder: Path) -> dict[str, str]:
    """Path → digest of everything on the root file system."""
    folder.mkdir()
    subprocess.run(
        ["debugfs", "-R", f"rdump / {folder}", f"{image}?offset={ROOT_AT}"], capture_output=True, check=True
    )
    found = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    digests = {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}
    shutil.rmtree(folder)
    return digests


def is_clean(disk: DiskRef, offset: int = ROOT_AT) -> bool:
    return (
        subprocess.run(["e2fsck", "-fn", f"{disk.path}?offset={offset}"], capture_output=True).returncode == 0
    )


def table_of(disk: DiskRef) -> str:
    return subprocess.run(
        ["sfdisk", "--verify", disk.path], capture_output=True, text=True, check=True
    ).stdout


def test_growing_loses_no_file_and_keeps_both_partition_tables_whole(qemu, disk, source, tmp_path):
    before = every_file(source.path, tmp_path / "before")
    grown = qemu.grow(disk, 3 * GIB)
    assert (grown.disk_bytes, grown.left) == (3 * GIB, "")
    assert 3 * GIB - 8 * MIB < grown.filesystem_bytes <= grown.partition_bytes < 3 * GIB
    assert len(before) > 500
    assert every_file(disk.path, tmp_path / "after") == before
    assert is_clean(disk)
    assert "No errors detected" in table_of(disk)


def test_growing_again_after_a_crash_in_the_middle_ends_well(qemu, disk):
    qemu.grow(disk, 1 * GIB)
    # as a kill between cutting the image and lengthening it again leaves it
    with open(disk.path, "r+b") as file:
        file.truncate(1 * GIB - 4 * MIB)
    (qemu.root / disk.key / "record.json").write_text('{"copied": {"virtual_bytes": 201326592}}')
    assert qemu.grow(disk, 2 * GIB).filesystem_bytes > 2 * GIB - 8 * MIB
    assert is_clean(disk)
    assert "No errors detected" in table_of(disk)


def test_a_hostname_is_set_and_the_other_hosts_stay(qemu, disk):
    done = qemu.prepare(disk, FirstBoot(hostname="db01.example.org"))
    assert done.way == "offline" and "hostname db01.example.org" in done.done
    assert inside(disk, "/etc/hostname") == "db01.example.org\n"
    assert inside(disk, "/etc/hosts") == "127.0.0.1 localhost\n127.0.1.1 db01.example.org db01\n"


def test_nothing_but_what_was_asked_changes(qemu, disk, source, tmp_path):
    qemu.prepare(disk, FirstBoot(hostname="db01", kernel_modules=("virtio_balloon",)))
    before, after = every_file(source.path, tmp_path / "before"), every_file(disk.path, tmp_path / "after")
    changed = {path for path in before | after if before.get(path) != after.get(path)}
    assert changed == {"etc/hostname", "etc/hosts", "etc/modules-load.d/migration-personas.conf"}
    assert is_clean(disk)


def test_the_other_kernel_becomes_the_default_for_now_and_for_later(qemu, disk, tiny):
    qemu.prepare(disk, FirstBoot(kernel=tiny.other_kernel))
    wanted = f"gnulinux-advanced-{tiny.root_uuid}>gnulinux-{tiny.other_kernel}-advanced-{tiny.root_uuid}"
    assert f'   set default="{wanted}"\n' in inside(disk, "/boot/grub/grub.cfg")
    assert f'GRUB_DEFAULT="{wanted}"\n' in inside(disk, "/etc/default/grub")


def test_a_kernel_that_is_not_there_is_named_and_nothing_is_written(qemu, disk, source):
    with pytest.raises(KernelUnavailable, match=r"9\.9\.9"):
        qemu.prepare(disk, FirstBoot(hostname="db01", kernel="9.9.9"))
    assert inside(disk, "/etc/hostname") == "tiny\n"


def test_what_a_bus_would_rename_is_called_by_uuid(qemu, tmp_path):
    menu = "menuentry 'Debian' {\n  linux /vmlinuz root=/dev/sda1 ro\n  echo /dev/sda1\n}\n"
    mounts = "# /dev/sda1 was / at first\n/dev/sda1 / ext4 x 0 1\nUUID=b /srv ext4 x 0 2\n/dev/sda10 none swap sw 0 0\n"
    grub = 'GRUB_CMDLINE_LINUX="root=/dev/sda1"\n'
    files = {"etc/fstab": mounts, "boot/grub/grub.cfg": menu, "etc/default/grub": grub}
    disk = qemu.copy("names", make_disk(tmp_path, files))
    done = qemu.prepare(disk, FirstBoot(device_names={"/dev/sda1": "UUID=a"}))
    assert "file systems are mounted by UUID" in done.done
    assert inside(disk, "/etc/fstab") == mounts.replace("\n/dev/sda1 ", "\nUUID=a ")
    assert inside(disk, "/boot/grub/grub.cfg") == menu.replace("root=/dev/sda1", "root=UUID=a")
    assert inside(disk, "/etc/default/grub") == 'GRUB_CMDLINE_LINUX="root=UUID=a"\n'
    assert is_clean(disk)


def test_a_boot_to_install_in_finds_its_disks_by_uuid_and_nothing_else_is_changed(qemu, tmp_path):
    files = {"etc/fstab": "/dev/sda1 / ext4 x 0 1\n", "etc/hostname": "old\n"}
    disk = qemu.copy("installs", make_disk(tmp_path, files))
    prepare_to_install(Path(disk.path), {"/dev/sda1": "UUID=a"}, NO_AGENT)
    assert inside(disk, "/etc/fstab") == "UUID=a / ext4 x 0 1\n"
    assert inside(disk, "/etc/hostname") == "old\n"
    assert is_clean(disk)


def test_a_boot_to_install_in_needs_no_ext4_root_but_to_bring_an_agent(tmp_path):
    image, agent = tmp_path / "other.raw", tmp_path / "agent.deb"
    image.write_bytes(bytes(16 * MIB))
    prepare_to_install(image, {"/dev/sda1": "UUID=a"}, NO_AGENT)
    with pytest.raises(PrepareRefused):
        prepare_to_install(image, {}, Bundle("agent", {"agent.deb": agent}, ""))
    assert image.read_bytes() == bytes(16 * MIB)


def test_preparing_again_changes_nothing(qemu, disk):
    wanted = FirstBoot(hostname="db01", kernel_modules=("virtio_balloon",))
    first = qemu.prepare(disk, wanted)
    modified = Path(disk.path).stat().st_mtime_ns
    assert qemu.prepare(disk, wanted) == first
    assert Path(disk.path).stat().st_mtime_ns == modified


def test_preparing_again_after_a_crash_in_the_middle_ends_well(qemu, disk):
    qemu.prepare(disk, FirstBoot(hostname="half"))
    (qemu.root / disk.key / "record.json").write_text('{"copied": {"virtual_bytes": 201326592}}')
    qemu.prepare(disk, FirstBoot(hostname="whole"))
    assert inside(disk, "/etc/hostname") == "whole\n"
    assert is_clean(disk)


def test_a_damaged_file_system_is_refused_and_the_next_copy_begins_anew(qemu, disk, source):
    with open(disk.path, "r+b") as file:
        file.seek(ROOT_AT + 3 * MIB)
        file.write(b"\xff" * 24 * MIB)
    with pytest.raises(FilesystemDamaged):
        qemu.prepare(disk, FirstBoot(hostname="db01"))
    again = qemu.copy(disk.key, source)
    assert qemu.checksum(SourceDisk(again.path, "raw")) == qemu.checksum(source)


SYSTEMD = {
    "etc/hostname": "old\n",
    "etc/network/interfaces": "auto ens3\niface ens3 inet static\n address 192.0.2.10/24\n",
    "usr/lib/udev/rules.d/x.rules": "",
    "etc/systemd/system/keep": "",
    "etc/cloud/cloud.cfg.d/05_logging.cfg": "",
}


def make_disk(
    folder: Path, files: dict[str, str], *, table: str | None = "gpt", kind: str = "ext4"
) -> SourceDisk:
    tree, image = folder / "tree", folder / "disk.raw"
    for path, text in files.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text)
    with open(image, "wb") as file:
        file.truncate(64 * MIB)
    offset = ROOT_AT if table else 0
    if table:
        subprocess.run(
            ["sfdisk", "-q", image], input=f"label: {table}\nstart={ROOT_AT // 512}\n", text=True, check=True
        )
    size = f"{(64 * MIB - offset - (MIB if table else 0)) // 1024}k"
    subprocess.run(
        ["mke2fs", "-q", "-F", "-t", kind, "-d", tree, "-E", f"offset={offset}", image, size], check=True
    )
    return SourceDisk(str(image), "raw")


@pytest.mark.parametrize(("table", "offset"), [("gpt", ROOT_AT), ("dos", ROOT_AT), (None, 0)])
def test_every_kind_of_partition_table_is_grown_and_prepared(qemu, tmp_path, table, offset):
    disk = qemu.copy(f"table-{table}".lower(), make_disk(tmp_path, SYSTEMD, table=table))
    assert qemu.grow(disk, 256 * MIB).filesystem_bytes > 250 * MIB
    qemu.prepare(disk, FirstBoot(hostname="new"))
    assert inside(disk, "/etc/hostname", offset) == "new\n"
    assert is_clean(disk, offset)


def test_the_card_keeps_its_name_and_gets_its_address_from_the_new_network(qemu, tmp_path):
    disk = qemu.copy("card", make_disk(tmp_path, SYSTEMD))
    done = qemu.prepare(disk, FirstBoot(nic_name="ens3", addressing="dhcp"))
    mac = mac_address("card")
    link = inside(disk, "/etc/systemd/network/10-migration-personas.link")
    assert link == f"[Match]\nMACAddress={mac}\n\n[Link]\nName=ens3\n"
    assert "iface ens3 inet dhcp" in inside(disk, "/etc/network/interfaces")
    assert "addresses of ens3 by DHCP (ifupdown)" in done.done


def test_a_kept_address_is_not_touched(qemu, tmp_path):
    disk = qemu.copy("address", make_disk(tmp_path, SYSTEMD))
    qemu.prepare(disk, FirstBoot(nic_name="ens3"))
    assert inside(disk, "/etc/network/interfaces") == SYSTEMD["etc/network/interfaces"]


def test_a_script_for_the_first_boot_becomes_a_unit_that_runs_once(qemu, tmp_path):
    disk = qemu.copy("once", make_disk(tmp_path, SYSTEMD))
    done = qemu.prepare(disk, FirstBoot(once_script="echo hello\n"))
    assert "script at the first boot" in done.done
    assert inside(disk, "/var/lib/migration-personas/first-boot/script") == "#!/bin/sh\necho hello\n"
    unit = "/etc/systemd/system/multi-user.target.wants/migration-personas-first-boot.service"
    stat = subprocess.run(
        ["debugfs", "-R", f"stat {unit}", f"{disk.path}?offset={ROOT_AT}"], capture_output=True, text=True
    )
    assert "Type: symlink" in stat.stdout


def test_cloud_init_may_not_undo_what_was_prepared(qemu, tmp_path):
    disk = qemu.copy("cloud", make_disk(tmp_path, SYSTEMD))
    qemu.prepare(disk, FirstBoot(hostname="new"))
    assert "preserve_hostname: true" in inside(disk, "/etc/cloud/cloud.cfg.d/99-migration-personas.cfg")


def test_a_disk_without_ext4_is_left_to_cloud_init_where_the_guest_has_it(qemu, tmp_path):
    image = tmp_path / "other.raw"
    with open(image, "wb") as file:
        file.truncate(16 * MIB)
    disk = qemu.copy("other", SourceDisk(str(image), "raw"))
    with pytest.raises(PrepareRefused):
        qemu.prepare(disk, FirstBoot(hostname="new"))
    done = qemu.prepare(disk, FirstBoot(hostname="new", kernel="6.1", cloud_init=True, once_script="echo hi"))
    assert done.way == "seed" and done.left == ("kernel 6.1",)
    seed = (qemu.root / "other" / "seed.iso").read_bytes()
    assert seed[32768 + 40 : 32768 + 46] == b"cidata"
    assert b'"hostname": "new"' in seed and b"#!/bin/sh\\necho hi" in seed
    assert qemu.grow(disk, 32 * MIB).left.startswith("the guest")


def test_links_on_the_disk_are_followed_on_the_disk_only(qemu, tmp_path):
    source = make_disk(tmp_path, {"etc/keep": "", "usr/share/name": "old\n"})
    outside = tmp_path / "outside"
    outside.write_text("host\n")
    requests = f"symlink /etc/hostname ../usr/share/name\nsymlink /etc/hosts {outside}\n"
    subprocess.run(
        ["debugfs", "-w", "-f", "-", f"{source.path}?offset={ROOT_AT}"],
        input=requests,
        text=True,
        check=True,
        capture_output=True,
    )
    disk = qemu.copy("links", source)
    qemu.prepare(disk, FirstBoot(hostname="new"))
    assert inside(disk, "/usr/share/name") == "new\n"
    assert outside.read_text() == "host\n"
    assert is_clean(disk)


def test_a_sealed_disk_holds_the_same_bytes_and_is_changed_no_more(qemu, disk):
    qemu.grow(disk, 1 * GIB)
    qemu.prepare(disk, FirstBoot(hostname="sealed"))
    raw = qemu.checksum(SourceDisk(disk.path, "raw"))
    sealed = qemu.seal(disk, "qcow2")
    back = Path(sealed.path).with_name("back.raw")
    subprocess.run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", sealed.path, back], check=True)
    assert qemu.checksum(SourceDisk(str(back), "raw")) == raw
    assert qemu.seal(disk, "qcow2") == sealed
    assert qemu.copy(disk.key, SourceDisk("gone", "raw")) == sealed
    with pytest.raises(PrepareRefused):
        qemu.prepare(disk, FirstBoot(hostname="other"))
