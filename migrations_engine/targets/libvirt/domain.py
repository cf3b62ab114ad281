"""The document that describes a machine to libvirt: a pure function. https://libvirt.org/formatdomain.html"""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from migrations_engine.domain.machine import MachineSpec, disk_serial
from migrations_engine.targets.base import SpecRefused
from migrations_engine.targets.libvirt import marks
from migrations_engine.targets.libvirt.marks import NAMESPACE, PREFIX, mark_of
from migrations_engine.targets.qemu.command import mac_address, machine_uuid

MACHINES = ("q35", "pc")
CARDS = {"virtio": "virtio", "e1000e": "e1000e"}
DISK_LETTERS = {"virtio": "vd", "scsi": "sd", "sata": "sd"}
MOST_DATA_DISKS = {"virtio": 20, "scsi": 30, "sata": 5}  # as QemuTarget: what we tried, or has ports
IMPLIED = frozenset({"virtio-blk", "virtio-net", "virtio-scsi", "virtio-serial", "ahci", "e1000e"})
AGENT_PORT = "org.qemu.guest_agent.0"
KBYTES_PER_MBIT = 125  # libvirt counts a card's bandwidth in 1000 bytes a second


@dataclass(frozen=True)
class Volume:
    name: str
    format: str


@dataclass(frozen=True)
class Layout:
    """What a machine is made of at its hypervisor. `disks` in their order, the one that boots first."""

    accelerator: str  # "kvm" or "tcg"
    pool: str
    disks: Sequence[Volume]
    console_path: str
    network: str = ""  # empty: user-mode networking
    seed: str = ""
    filter: str = ""


def domain_name(spec: MachineSpec) -> str:
    """Of its own at a hypervisor where the source may run under its name; the run's id makes it so."""
    plain = "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in spec.name)
    return f"{plain[:60].lstrip('-.') or 'machine'}-{spec.key[:8]}"


def domain_xml(spec: MachineSpec, layout: Layout) -> str:
    """Raises SpecRefused for what libvirt cannot be asked for."""
    ElementTree.register_namespace(PREFIX, NAMESPACE)
    domain = Element("domain", {"type": "kvm" if layout.accelerator == "kvm" else "qemu"})
    _text(domain, "name", domain_name(spec))
    _text(domain, "uuid", str(machine_uuid(spec.key)))
    ElementTree.SubElement(domain, "metadata").append(marks.element(mark_of(spec)))
    _text(domain, "memory", str(spec.memory_mib), unit="MiB")
    _text(domain, "vcpu", str(spec.vcpus))
    _firmware(domain, spec)
    features = ElementTree.SubElement(domain, "features")
    for feature in ("acpi", "apic"):
        ElementTree.SubElement(features, feature)
    ElementTree.SubElement(
        domain, "cpu", {"mode": "host-passthrough" if layout.accelerator == "kvm" else "maximum"}
    )
    _text(domain, "on_crash", "destroy")
    _devices(ElementTree.SubElement(domain, "devices"), spec, layout)
    ElementTree.indent(domain)
    return ElementTree.tostring(domain, encoding="unicode")


def card_xml(spec: MachineSpec, layout: Layout) -> Element:
    """The machine's only card."""
    card = Element("interface", {"type": "network" if layout.network else "user"})
    ElementTree.SubElement(card, "mac", {"address": mac_address(spec.key)})
    if layout.network:
        ElementTree.SubElement(card, "source", {"network": layout.network})
    ElementTree.SubElement(card, "model", {"type": _known("nic_model", spec.nic_model, CARDS)})
    if layout.network and layout.filter:
        ElementTree.SubElement(card, "filterref", {"filter": layout.filter})
    if layout.network and spec.bandwidth_mbps is not None:
        bandwidth = ElementTree.SubElement(card, "bandwidth")
        for way in ("inbound", "outbound"):
            ElementTree.SubElement(bandwidth, way, {"average": str(spec.bandwidth_mbps * KBYTES_PER_MBIT)})
    if layout.network and spec.isolated:
        ElementTree.SubElement(card, "link", {"state": "down"})
    return card


def _firmware(domain: Element, spec: MachineSpec) -> None:
    if spec.machine not in MACHINES:
        raise SpecRefused(f"machine {spec.machine!r} is not something this target makes ({', '.join(MACHINES)})")
    system = ElementTree.SubElement(domain, "os", {"firmware": "efi"} if spec.firmware == "uefi" else {})
    _text(system, "type", "hvm", arch="x86_64", machine=spec.machine)


def _devices(devices: Element, spec: MachineSpec, layout: Layout) -> None:
    ElementTree.SubElement(devices, "controller", {"type": "usb", "model": "none"})
    _disks(devices, spec, layout)
    devices.append(card_xml(spec, layout))
    serial = ElementTree.SubElement(devices, "serial", {"type": "file"})
    ElementTree.SubElement(serial, "source", {"path": layout.console_path, "append": "on"})
    ElementTree.SubElement(serial, "target", {"port": "0"})
    agent = ElementTree.SubElement(devices, "channel", {"type": "unix"})
    ElementTree.SubElement(agent, "target", {"type": "virtio", "name": AGENT_PORT})
    further = [device for device in spec.devices if device not in IMPLIED]
    for device in further:
        _known("devices", device, {"virtio-rng": 1, "virtio-balloon": 1, "watchdog": 1})
    if "virtio-rng" in further:
        rng = ElementTree.SubElement(devices, "rng", {"model": "virtio"})
        _text(rng, "backend", "/dev/urandom", model="random")
    if "watchdog" in further:
        ElementTree.SubElement(devices, "watchdog", {"model": "i6300esb", "action": "reset"})
    balloon = "virtio" if "virtio-balloon" in further else "none"
    ElementTree.SubElement(devices, "memballoon", {"model": balloon})


def _disks(devices: Element, spec: MachineSpec, layout: Layout) -> None:
    letters = _known("disk_bus", spec.disk_bus, DISK_LETTERS)
    if len(layout.disks) - 1 > MOST_DATA_DISKS[spec.disk_bus]:
        most = MOST_DATA_DISKS[spec.disk_bus] + 1
        raise SpecRefused(
            f"disk_bus {spec.disk_bus!r} has room for {most} disks, the machine has {len(layout.disks)}"
        )
    if spec.disk_bus == "scsi":
        ElementTree.SubElement(devices, "controller", {"type": "scsi", "model": "virtio-scsi"})
    for number, volume in enumerate(layout.disks):
        disk = _disk(devices, layout.pool, volume, letters + _letters(number), spec.disk_bus)
        _text(disk, "serial", disk_serial(number))
        if number == 0:
            ElementTree.SubElement(disk, "boot", {"order": "1"})
    if layout.seed:  # always virtio: Debian's cloud kernel has no driver for a CD-ROM
        number = len(layout.disks) if spec.disk_bus == "virtio" else 0
        disk = _disk(devices, layout.pool, Volume(layout.seed, "raw"), "vd" + _letters(number), "virtio")
        ElementTree.SubElement(disk, "readonly")
        _text(disk, "serial", "seed")


def _disk(devices: Element, pool: str, volume: Volume, name: str, bus: str) -> Element:
    disk = ElementTree.SubElement(devices, "disk", {"type": "volume", "device": "disk"})
    ElementTree.SubElement(
        disk, "driver", {"name": "qemu", "type": volume.format, "cache": "writeback", "discard": "unmap"}
    )
    ElementTree.SubElement(disk, "source", {"pool": pool, "volume": volume.name})
    ElementTree.SubElement(disk, "target", {"dev": name, "bus": bus})
    return disk


def _letters(number: int) -> str:
    """0 → a, 25 → z, 26 → aa"""
    head, tail = divmod(number, 26)
    return (_letters(head - 1) if head else "") + chr(ord("a") + tail)


def _text(parent: Element, tag: str, text: str, **attributes: str) -> Element:
    child = ElementTree.SubElement(parent, tag, attributes)
    child.text = text
    return child


def _known(field: str, value: str, table: dict):
    if value not in table:
        raise SpecRefused(f"{field} {value!r} is not something this target can give ({', '.join(table)})")
    return table[value]
