import re

import pytest

from migrations_engine.domain.machine import MachineSpec
from migrations_engine.targets.base import SpecRefused
from migrations_engine.targets.qemu.command import mac_address, qemu_command


def command(forwards=None, accelerator="tcg", seed=False, data=(), keep_data=False, **overrides) -> str:
    spec = MachineSpec(**{"key": "run-1", "name": "web", "vcpus": 3, "memory_mib": 768, **overrides})
    built = qemu_command(
        spec, "qcow2", forwards or {}, accelerator, seed=seed, data=data, keep_data=keep_data
    )
    return " ".join(built)


def test_the_machine_has_what_the_specification_says():
    text = command(disk_bus="scsi", nic_model="e1000e", devices=("virtio-rng",))
    assert "-smp 3 " in text and "-m 768M" in text
    assert "virtio-scsi-pci" in text and "scsi-hd" in text
    assert f"e1000e,netdev=net0,mac={mac_address('run-1')}" in text
    assert "-device virtio-rng-pci" in text


def test_the_guest_reaches_nothing_and_is_reached_on_loopback_only():
    text = command(forwards={"tcp/80": 8080, "udp/53": 5353})
    assert "user,id=net0,restrict=on,hostfwd=tcp:127.0.0.1:8080-:80,hostfwd=udp:127.0.0.1:5353-:53" in text


def test_qemu_is_confined_and_brings_no_devices_of_its_own():
    text = command()
    assert "-nodefaults -no-user-config" in text
    assert "-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny" in text


def test_a_seed_is_attached_read_only_on_virtio():
    assert "seed.iso" not in command()
    assert (
        "file=seed.iso,format=raw,if=none,id=seed,readonly=on -device virtio-blk-pci,drive=seed"
        in command(seed=True)
    )


@pytest.mark.parametrize(
    ("bus", "model"),
    [
        ("virtio", "virtio-blk-pci,drive=data2,serial=disk2"),
        ("scsi", "scsi-hd,bus=scsi0.0,scsi-id=2,drive=data2,serial=disk2"),
        ("sata", "ide-hd,bus=sata0.2,drive=data2,serial=disk2"),
    ],
)
def test_further_disks_follow_in_order_with_serials_and_only_the_first_boots(bus, model):
    text = command(disk_bus=bus, data=["disk1.raw", "disk2.qcow2"])
    files = re.findall(r"file=(disk\S*?),format=(\w+)", text)
    assert files == [("disk.qcow2", "qcow2"), ("disk1.raw", "raw"), ("disk2.qcow2", "qcow2")]
    assert f"-device {model} " in f"{text} "
    assert text.count("bootindex") == 1 and "serial=disk0,bootindex=1" in text
    assert "snapshot=on" not in text


def test_what_a_guest_writes_to_kept_disks_is_thrown_away():
    text = command(data=["disk1.raw"], keep_data=True)
    assert re.findall(r"file=(\S+?),\S*snapshot=on", text) == ["disk1.raw"]


def test_more_disks_than_the_bus_has_room_for_are_refused():
    with pytest.raises(SpecRefused, match="room for 6 disks, the machine has 7"):
        command(disk_bus="sata", data=[f"disk{number}.raw" for number in range(1, 7)])


@pytest.mark.parametrize(
    "overrides",
    [{"machine": "microvm"}, {"disk_bus": "ide"}, {"nic_model": "rtl8139"}, {"devices": ("x,id=y",)}],
)
def test_a_model_that_is_not_in_the_table_is_refused(overrides):
    with pytest.raises(SpecRefused):
        command(**overrides)


def test_a_card_keeps_its_address_over_restarts_and_differs_between_runs():
    assert mac_address("run-1") == mac_address("run-1") != mac_address("run-2")
    assert mac_address("run-1").startswith("52:54:00:")
