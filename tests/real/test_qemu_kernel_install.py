"""Kernels that a guest lacks: installed by the guest where it can, named where it cannot."""

import pytest

from migrations_engine.domain.machine import SourceDisk
from migrations_engine.targets.base import KernelUnavailable
from migrations_engine.targets.qemu import kernel_install


def was_booted(qemu, key: str) -> bool:
    return (qemu.root / key / "console.log").exists()


def test_a_kernel_that_is_there_needs_no_boot(qemu, source, tiny):
    qemu.install_kernel(qemu.copy("has-it", source), tiny.other_kernel)
    assert not was_booted(qemu, "has-it")


@pytest.mark.parametrize("version", ["9.9.9-1-cloud-amd64", "../../etc/passwd", "-o Dir=/tmp"])
def test_a_kernel_that_no_archive_has_is_named_before_anything_boots(qemu, source, version):
    with pytest.raises(KernelUnavailable, match="kernel"):
        qemu.install_kernel(qemu.copy("nowhere", source), version)
    assert not was_booted(qemu, "nowhere")


def test_a_package_that_the_guest_cannot_install_fails_with_its_words_and_the_next_copy_begins_anew(
    qemu, source, monkeypatch
):
    def fetched(folder, version, keep_alive):
        (folder.path / kernel_install.PACKAGE).write_bytes(bytes(512))
        return 512

    monkeypatch.setattr(kernel_install, "_fetch_package", fetched)
    with pytest.raises(KernelUnavailable, match=r"could not be installed: .*dpkg"):
        qemu.install_kernel(qemu.copy("broken", source), "9.9.9-1-cloud-amd64")
    assert was_booted(qemu, "broken")
    again = qemu.copy("broken", source)
    assert qemu.checksum(SourceDisk(again.path, "raw")) == qemu.checksum(source)
