"""The sample guests are what they say they are, read with tools that had no part in building them."""

import subprocess

import pytest

from config.quickstart.guests import build_guest
from config.quickstart.guests.guest import BUILDERS
from config.quickstart.guests.kernels import older_than
from config.quickstart.guests.tiny import Built

ROOT = "?offset=2097152"


def debugfs(image, request: str) -> str:
    return subprocess.run(["debugfs", "-R", request, f"{image}{ROOT}"], capture_output=True, text=True).stdout


def test_the_guest_holds_the_two_kernels_that_it_names(tiny):
    names = debugfs(tiny.path, "ls -p /boot")
    for version in tiny.kernels:
        assert f"/vmlinuz-{version}/" in names and f"/initrd.img-{version}/" in names
    assert tiny.default_kernel != tiny.other_kernel


def test_the_guests_package_database_names_what_was_unpacked(tiny):
    status = debugfs(tiny.path, "cat /var/lib/dpkg/status")
    assert status.count("Status: install ok installed") == len(tiny.packages)
    for name, version in tiny.packages.items():
        assert f"Package: {name}\nStatus: install ok installed\n" in status
        assert f"Version: {version}\n" in status


def test_the_guests_file_system_is_clean(tiny):
    checked = subprocess.run(["e2fsck", "-fn", f"{tiny.path}{ROOT}"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


def test_every_file_of_the_guest_belongs_to_root_whoever_built_it(tiny):
    assert "User:     0   Group:     0" in debugfs(tiny.path, "stat /etc/inittab")


def test_grub_takes_the_placeholder_before_each_kernel_for_a_program(tiny, tmp_path):
    entries = debugfs(tiny.path, "cat /boot/grub/grub.cfg").split("menuentry '")[1:]
    assert len(entries) == 3 and all("    multiboot /boot/grub/placeholder\n    linux " in each for each in entries)
    debugfs(tiny.path, f"dump /boot/grub/placeholder {tmp_path / 'placeholder'}")
    grub = tiny.path.parent / "grub"
    environment = {"LD_LIBRARY_PATH": f"{grub}/lib/x86_64-linux-gnu:{grub}/usr/lib/x86_64-linux-gnu"}
    command = [grub / "usr/bin/grub-file", "--is-x86-multiboot", tmp_path / "placeholder"]
    assert subprocess.run(command, env=environment).returncode == 0


def test_a_guest_is_built_once(tiny):
    before = tiny.path.stat()
    again = build_guest("tiny", tiny.path.parent)
    assert again == tiny
    assert again.path.stat().st_mtime_ns == before.st_mtime_ns and again.path.stat().st_ino == before.st_ino


def test_a_build_that_was_interrupted_is_not_taken_for_a_guest(tmp_path, monkeypatch):
    built = []

    def build(image, scratch, cache, root_uuid, progress):
        built.append(list(cache.glob(".building-*")))
        image.write_bytes(b"half" if len(built) == 1 else b"whole")
        if len(built) == 1:
            raise KeyboardInterrupt
        return Built(("2", "1"), {}, root_uuid)

    monkeypatch.setitem(BUILDERS, "tiny", build)
    left_by_a_kill = tmp_path / ".building-tiny.killed"
    left_by_a_kill.mkdir()
    of_another_build = tmp_path / ".building-tiny-web.running"
    of_another_build.mkdir()
    with pytest.raises(KeyboardInterrupt):
        build_guest("tiny", tmp_path)
    assert build_guest("tiny", tmp_path).path.read_bytes() == b"whole"
    assert len(built) == 2 and not left_by_a_kill.exists() and of_another_build.exists()


def test_the_kernel_before_the_newest_is_chosen_by_number():
    offered = ["6.1.0-9-cloud-amd64", "6.1.0-10-cloud-amd64", "6.1.0-11-cloud-amd64", "6.1.0-10-cloud-amd64-dbg",
               "6.1.0-8-amd64", "6.1.0-12-cloud-amd64-unsigned"]  # fmt: skip
    assert older_than("6.1.0-11-cloud-amd64", offered) == ["6.1.0-10-cloud-amd64", "6.1.0-9-cloud-amd64"]
