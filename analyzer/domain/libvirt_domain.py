"""What libvirt tells of a domain: its description (domain XML, libvirt.org/formatdomain.html) and its counters."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from analyzer.domain.printable import printable

FORMATS = (
    "raw",
    "qcow2",
)  # what QEMU writes itself; others are read as they are, and refused when they are not ours
UNITS = {"b": 1, "bytes": 1, "KB": 1000, "k": 1024, "KiB": 1024, "MB": 10**6, "M": 2**20, "MiB": 2**20,
         "GB": 10**9, "G": 2**30, "GiB": 2**30, "TB": 10**12, "T": 2**40, "TiB": 2**40}  # fmt: skip
LONGEST_S = 3600  # an average over more says nothing of a peak
SHORTEST_S = 30

Counters = Mapping[str, str]


@dataclass(frozen=True)
class DomainDisk:
    target: str  # vda: what libvirt calls it
    kind: str  # file, block, volume, network …
    path: str  # on the hypervisor's machine; "" for what has none
    format: str
    is_layered: bool = False  # its image holds what differs from another one; libvirt tells this of one that runs


@dataclass(frozen=True)
class DomainNic:
    mac: str
    network: str


@dataclass(frozen=True)
class Domain:
    uuid: str
    name: str
    vcpus: int | None
    memory_mib: int | None
    firmware: str
    disks: tuple[DomainDisk, ...]  # the one that boots first
    nics: tuple[DomainNic, ...]


def domain_of(root: Element) -> Domain:
    """Raises ValueError for what describes no domain."""
    uuid, name = (root.findtext("uuid") or "").strip().lower(), (root.findtext("name") or "").strip()
    if root.tag != "domain" or not uuid or not name:
        raise ValueError("this is no description of a domain")
    return Domain(
        uuid=uuid[:36],
        name=printable(name, 200),
        vcpus=_vcpus(root.find("vcpu")),
        memory_mib=_mib(root.find("memory")),
        firmware=_firmware(root.find("os")),
        disks=_disks(root),
        nics=tuple(_nic(each) for each in root.iterfind("devices/interface")),
    )


def _vcpus(element: Element | None) -> int | None:
    if element is None:
        return None
    told = element.get("current") or element.text or ""
    return int(told) if told.strip().isdecimal() and 0 < int(told) <= 4096 else None


def _mib(element: Element | None) -> int | None:
    if element is None or not (element.text or "").strip().isdecimal():
        return None
    return int(element.text) * UNITS.get(element.get("unit", "KiB"), 1024) // 2**20 or None


def _firmware(element: Element | None) -> str:
    if element is None:
        return ""
    loader = element.find("loader")
    is_efi = element.get("firmware") == "efi" or (loader is not None and loader.get("type") == "pflash")
    return "uefi" if is_efi else "bios"


def _disks(root: Element) -> tuple[DomainDisk, ...]:
    """Without CD-ROMs and floppies; in the order in which firmware tries them."""
    found = [each for each in root.iterfind("devices/disk") if each.get("device", "disk") in ("disk", "lun")]
    return tuple(_disk(each) for each in sorted(found, key=_boot_order))


def _boot_order(element: Element) -> float:
    boot = element.find("boot")
    told = boot.get("order", "") if boot is not None else ""
    return int(told) if told.isdecimal() else math.inf


def _disk(element: Element) -> DomainDisk:
    source, driver, target = element.find("source"), element.find("driver"), element.find("target")
    kind = element.get("type", "file")
    path = "" if source is None else source.get({"file": "file", "block": "dev"}.get(kind, ""), "")
    image_format = "raw" if driver is None else driver.get("type", "raw")
    is_layered = element.find("backingStore[@type]") is not None
    return DomainDisk("" if target is None else target.get("dev", ""), kind, path, image_format, is_layered)


def _nic(element: Element) -> DomainNic:
    mac, source = element.find("mac"), element.find("source")
    told = {} if source is None else source.attrib
    network = next(
        (told[name] for name in ("network", "bridge", "dev") if name in told), element.get("type", "")
    )
    return DomainNic("" if mac is None else mac.get("address", "")[:17], printable(network, 120))


def counters_of(text: str) -> dict[str, dict[str, str]]:
    """The answer to `domstats`: name → its values."""
    found: dict[str, dict[str, str]] = {}
    values: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("Domain: '") and line.endswith("'"):
            values = found.setdefault(line[len("Domain: '") : -1], {})
        elif "=" in line:
            key, _, value = line.strip().partition("=")
            values[key] = value
    return found


KEPT = ("cpu.time", "vcpu.current", "balloon.available", "balloon.usable", "balloon.unused")
SUMS = {"net.in": ("net", "rx.bytes"), "net.out": ("net", "tx.bytes"),
        "disk.read": ("block", "rd.bytes"), "disk.write": ("block", "wr.bytes")}  # fmt: skip


def kept_counters(values: Counters) -> dict[str, int]:
    """What is kept until the next look: all network cards and all disks each in one sum."""
    found = {key: int(values[key]) for key in KEPT if values.get(key, "").isdecimal()}
    for name, (group, end) in SUMS.items():
        parts = [
            value for key, value in values.items() if key.startswith(f"{group}.") and key.endswith(f".{end}")
        ]
        if parts:
            found[name] = sum(int(part) for part in parts if part.isdecimal())
    return found


def rates(before: Mapping[str, int], after: Mapping[str, int], seconds: float) -> dict[str, float]:
    """Metric → its mean between two looks. Nothing where the machine was restarted between them, the looks are too far
    apart or too near, or the guest tells nothing (memory needs its balloon driver's statistics)."""
    if not SHORTEST_S <= seconds <= LONGEST_S or after.get("cpu.time", 0) < before.get("cpu.time", 0):
        return {}
    per_s = {
        key: (after[key] - before[key]) / seconds
        for key in ("cpu.time", *SUMS)
        if key in before and key in after and after[key] >= before[key]
    }
    found = {}
    if "cpu.time" in per_s:
        found["cpu_percent"] = min(100.0, per_s["cpu.time"] / 1e7 / max(1, after.get("vcpu.current", 1)))
    units = {"net.in": ("net_in_mbps", 8 / 1e6), "net.out": ("net_out_mbps", 8 / 1e6),
             "disk.read": ("disk_read_mibs", 2**-20), "disk.write": ("disk_write_mibs", 2**-20)}  # fmt: skip
    found |= {metric: per_s[key] * factor for key, (metric, factor) in units.items() if key in per_s}
    free, total = after.get("balloon.usable", after.get("balloon.unused")), after.get("balloon.available")
    if total and free is not None and free <= total:
        found["memory_percent"] = 100 * (total - free) / total
    return found
