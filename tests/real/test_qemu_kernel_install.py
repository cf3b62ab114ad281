"""Kernels that a guest lacks: installed by the guest where it can, named where it cannot."""

from pathlib import Path

import pytest
from django.conf import settings

from analyzer.domain import grub
from config.quickstart.guests.apt import Apt
from config.quickstart.guests.kernels import newest_two
from migrations_engine.domain.machine import DiskRef, FirstBoot, MachineSpec, SourceDisk
from migrations_engine.targets.base import KernelUnavailable
from migrations_engine.targets.qemu import kernel_install
from migrations_engine.targets.qemu.rootfs import find_boot
from tests.real.debian_guest import write_debian_guest

BOOT_S = 420  # an idle machine needs 5


def spec_of(disk: DiskRef) -> MachineSpec:
    return MachineSpec(key=disk.key, name="web01", vcpus=2, memory_mib=320)


def install(qemu, disk: DiskRef, version: str) -> None:
    qemu.install_kernel(disk, spec_of(disk), FirstBoot(kernel=version))


def was_booted(qemu, key: str) -> bool:
    return (qemu.root / key / "console.log").exists()


def test_a_kernel_that_is_there_needs_no_boot(qemu, source, tiny):
    install(qemu, qemu.copy("has-it", source), tiny.other_kernel)
    assert not was_booted(qemu, "has-it")


@pytest.mark.parametrize("version", ["9.9.9-1-cloud-amd64", "..", "--help"])
def test_a_kernel_that_no_archive_has_is_named_before_anything_boots(qemu, source, version):
    with pytest.raises(KernelUnavailable, match="kernel"):
        install(qemu, qemu.copy("nowhere", source), version)
    assert not was_booted(qemu, "nowhere")


def test_a_package_that_the_guest_cannot_install_fails_with_its_words_and_the_next_copy_begins_anew(
    qemu, source, monkeypatch
):
    def fetched(folder, version, keep_alive):
        (folder.path / kernel_install.PACKAGE).write_bytes(bytes(512))
        return 512

    monkeypatch.setattr(kernel_install, "_fetch_package", fetched)
    with pytest.raises(KernelUnavailable, match=r"could not be installed: .*dpkg"):
        install(qemu, qemu.copy("broken", source), "9.9.9-1-cloud-amd64")
    assert was_booted(qemu, "broken")
    again = qemu.copy("broken", source)
    assert qemu.checksum(SourceDisk(again.path, "raw")) == qemu.checksum(source)


def default_kernel(disk: str) -> str:
    boot, path = find_boot(Path(disk))
    menu = boot.read(path)
    return grub.default_entry(grub.parse_menu(menu), grub.configured_default(menu, {})).version


def test_a_kernel_of_the_archive_is_installed_by_the_guest_and_boots(qemu, tiny, tmp_path):
    cache, image = settings.CACHE_DIR / "guests", tmp_path / "debian.raw"
    write_debian_guest(tiny, image, tmp_path, cache)
    version = next(each for each in newest_two(Apt.open(cache / "apt")) if each != tiny.default_kernel)
    disk = qemu.copy("lacks-it", SourceDisk(str(image), "raw"))
    install(qemu, disk, version)
    assert was_booted(qemu, "lacks-it")
    assert not (qemu.root / "lacks-it" / kernel_install.PACKAGE).exists()
    assert default_kernel(disk.path) == tiny.default_kernel

    qemu.prepare(disk, FirstBoot(kernel=version))
    assert default_kernel(disk.path) == version
    ref = qemu.create(spec_of(disk), qemu.seal(disk, "raw"))
    qemu.power(ref, "on")
    qemu.wait_ready(ref, BOOT_S)
    report = qemu.guest_report(ref)
    assert report.kernel == version
    assert set(report.kernels) == {tiny.default_kernel, version}
