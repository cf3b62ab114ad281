"""The machine in which a guest installs a kernel, before it is made as planned."""

import pytest

from migrations_engine.domain.machine import MachineSpec
from migrations_engine.targets.base import SpecRefused
from migrations_engine.targets.qemu import firmware
from migrations_engine.targets.qemu.folder import Folder
from migrations_engine.targets.qemu.kernel_install import _command


def command(folder, **planned) -> str:
    spec = MachineSpec(key="web", name="web01", vcpus=16, memory_mib=65536, **planned)
    return " ".join(_command(Folder(folder / "web"), spec, "tcg"))


@pytest.fixture
def uefi(tmp_path, monkeypatch):
    """Whether this machine has OVMF does not matter."""
    files = [tmp_path / name for name in ("code.fd", "variables.fd")]
    for file in files:
        file.touch()
    monkeypatch.setattr(firmware, "PLACES", [tuple(map(str, files))])
    return files[0]


def test_guest_boots_from_the_bus_and_by_the_firmware_of_the_plan(tmp_path, uefi):
    planned = command(tmp_path, firmware="uefi", disk_bus="sata")
    assert "ide-hd,bus=sata0.0,drive=root" in planned
    assert f"if=pflash,format=raw,unit=0,readonly=on,file={uefi}" in planned
    assert "pflash" not in command(tmp_path)


def test_package_is_a_disk_that_the_guest_knows_by_its_serial(tmp_path):
    assert "virtio-blk-pci,drive=package,serial=mp-kernel" in command(tmp_path, disk_bus="scsi")


def test_machine_is_as_small_as_the_work_not_as_large_as_the_plan(tmp_path):
    assert "-smp 2 -m 1024M" in command(tmp_path)


def test_uefi_that_is_not_here_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(firmware, "PLACES", [])
    with pytest.raises(SpecRefused, match="ovmf"):
        command(tmp_path, firmware="uefi")
