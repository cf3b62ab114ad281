"""The QEMU command line of a machine: a pure function of its specification and of what this machine offers."""

import hashlib
import uuid
from collections.abc import Sequence
from pathlib import Path

from migrations_engine.domain.machine import MachineSpec, disk_serial
from migrations_engine.targets.base import SpecRefused

MACHINES = ("q35", "pc")  # microvm hangs with Debian's kernel
DISKS = {
    "virtio": "virtio-blk-pci,drive={drive},serial={serial}",
    "scsi": "scsi-hd,bus=scsi0.0,scsi-id={number},drive={drive},serial={serial}",
    "sata": "ide-hd,bus=sata0.{number},drive={drive},serial={serial}",
}
# free slots of the PCI bus with every other device there is; targets of virtio-scsi that we tried; ports of an ICH9
MOST_DATA_DISKS = {"virtio": 20, "scsi": 30, "sata": 5}
CONTROLLERS = {"virtio": (), "scsi": ("virtio-scsi-pci,id=scsi0",), "sata": ("ich9-ahci,id=sata0",)}
CARDS = {"virtio": "virtio-net-pci", "e1000e": "e1000e"}
DEVICES = {
    "virtio-rng": "virtio-rng-pci",
    "virtio-balloon": "virtio-balloon-pci",
    "watchdog": "i6300esb",
}
IMPLIED = frozenset({"virtio-blk", "virtio-net", "virtio-scsi", "virtio-serial", "ahci", "e1000e"})
SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"


def mac_address(key: str) -> str:
    """Always the same for a run, in QEMU's own range."""
    return "52:54:00:" + hashlib.sha256(key.encode()).digest()[:3].hex(":")


def machine_uuid(key: str) -> uuid.UUID:
    try:
        return uuid.UUID(key)
    except ValueError:
        return uuid.uuid5(uuid.NAMESPACE_OID, key)


def qemu_command(
    spec: MachineSpec,
    disk_format: str,
    forwards: dict[str, int],
    accelerator: str,
    *,
    seed: bool = False,
    firmware_code: Path | None = None,
    data: Sequence[str] = (),
    keep_data: bool = False,
) -> list[str]:
    """File names are relative: QEMU starts in the machine's folder. Raises SpecRefused for an unknown model.

    `data`: files of the disks beside the one that boots, "disk1.qcow2"; with `keep_data` what the guest writes to
    them is thrown away.
    """
    network = "user,id=net0,restrict=on" + "".join(
        f",hostfwd={name.split('/')[0]}:127.0.0.1:{port}-:{name.split('/')[1]}"
        for name, port in forwards.items()
    )
    command = [
        "qemu-system-x86_64", "-name", f"{spec.key},process=mp-{spec.key[:12]}", "-uuid", str(machine_uuid(spec.key)),
        "-machine", _known("machine", spec.machine, {name: name for name in MACHINES}), "-accel", accelerator,
        "-cpu", "host" if accelerator == "kvm" else "max", "-smp", str(spec.vcpus), "-m", f"{spec.memory_mib}M",
        "-nodefaults", "-no-user-config", "-display", "none", "-sandbox", SANDBOX,
        "-pidfile", "qemu.pid",
        "-chardev", "socket,id=qmp,path=qmp.sock,server=on,wait=off", "-mon", "chardev=qmp,mode=control",
        "-chardev", "file,id=console,path=console.log,append=on", "-serial", "chardev:console",
        "-chardev", "socket,id=agent,path=agent.sock,server=on,wait=off",
        "-device", "virtio-serial-pci", "-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0",
        "-netdev", network,
        "-device", f"{_known('nic_model', spec.nic_model, CARDS)},netdev=net0,mac={mac_address(spec.key)}",
    ]  # fmt: skip
    command += _firmware(firmware_code)
    command += _disks(spec, disk_format, seed, data, keep_data)
    for device in spec.devices:
        if device not in IMPLIED:
            command += ["-device", _known("devices", device, DEVICES)]
    return command


def _disks(
    spec: MachineSpec, disk_format: str, seed: bool, data: Sequence[str], keep_data: bool
) -> list[str]:
    arguments = []
    for controller in _known("disk_bus", spec.disk_bus, CONTROLLERS):
        arguments += ["-device", controller]
    if len(data) > MOST_DATA_DISKS[spec.disk_bus]:
        most = MOST_DATA_DISKS[spec.disk_bus] + 1
        raise SpecRefused(
            f"disk_bus {spec.disk_bus!r} has room for {most} disks, the machine has {len(data) + 1}"
        )
    for number, file in enumerate([f"disk.{disk_format}", *data]):
        arguments += _disk(spec.disk_bus, number, file, ",snapshot=on" if number and keep_data else "")
    if seed:  # always virtio: Debian's cloud kernel has no driver for a CD-ROM
        arguments += ["-drive", "file=seed.iso,format=raw,if=none,id=seed,readonly=on"]
        arguments += ["-device", "virtio-blk-pci,drive=seed,serial=seed"]
    return arguments


def _disk(bus: str, number: int, file: str, option: str) -> list[str]:
    """In the order of the source, so that the guest's kernel counts them as before."""
    name = f"data{number}" if number else "root"
    drive = (
        f"file={file},format={Path(file).suffix[1:]},if=none,id={name},discard=unmap,cache=writeback{option}"
    )
    model = DISKS[bus].format(drive=name, number=number, serial=disk_serial(number))
    return ["-drive", drive, "-device", f"{model},bootindex=1" if number == 0 else model]


def _firmware(code: Path | None) -> list[str]:
    if code is None:
        return []
    return ["-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={code}",
            "-drive", "if=pflash,format=raw,unit=1,file=vars.fd"]  # fmt: skip


def _known(field: str, value: str, table: dict):
    if value not in table:
        raise SpecRefused(f"{field} {value!r} is not something this machine can have ({', '.join(table)})")
    return table[value]
