"""What changes between the source machine and the planned one, line by line."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from analyzer.domain.facts import Facts
from migrations_engine.domain.access import Access
from migrations_engine.domain.blueprint import root_disk_bytes
from migrations_engine.domain.kernels import KernelChoice
from migrations_engine.domain.machine import GIB, MachineSpec
from migrations_engine.domain.settings_path import leaf
from migrations_engine.domain.software import Software

UNKNOWN = "not known"


@dataclass(frozen=True)
class Change:
    """`current` and `planned` are for people; `changes` says whether they differ (False where current is unknown)."""

    setting: str
    label: str
    current: str
    planned: str
    changes: bool


def changes(
    *,
    settings: Mapping[str, Any],
    spec: MachineSpec,
    facts: Facts | None,
    kernel: KernelChoice,
    access: Access,
    software: Software,
    disks: Sequence[Mapping[str, Any]],
    vcpus: int | None,
    memory_mib: int | None,
) -> list[dict[str, Any]]:
    """One row per property of the machine. `disks`: [{"format", "virtual_size_bytes"}] of the source."""
    disk = disks[0]
    size = disk["virtual_size_bytes"]
    rows = [
        ("resources.vcpus", "vCPUs", _text(vcpus), str(spec.vcpus)),
        ("resources.memory_mib", "Memory", _mib(memory_mib), _mib(spec.memory_mib)),
        (
            "resources.root_disk_gib",
            "Root disk",
            _gib(size),
            _gib(root_disk_bytes(settings, source_bytes=size)),
        ),
        *_data_disks(settings, disks),
        ("kernel.version", "Kernel", _text(kernel.current), _planned_kernel(kernel)),
        ("distribution", "Distribution", _distribution(facts), _distribution(facts)),
        ("guest.agent", "Guest agent", _agent(facts), _planned_agent(facts, access)),
        *_software(software),
        ("firmware", "Firmware", _text(facts and facts.boot_mode), spec.firmware),
        ("storage.format", "Disk format", disk["format"], leaf(settings, "storage.format", "qcow2")),
        ("storage.bus", "Disk bus", UNKNOWN, spec.disk_bus),
        ("devices.nic", "Network card", UNKNOWN, spec.nic_model),
        ("network.addressing", "Addresses", _addressing(facts), leaf(settings, "network.addressing", "keep")),
        ("network.bandwidth_mbps", "Bandwidth", "no limit", _mbps(spec.bandwidth_mbps)),
        ("network.security_groups", "Security groups", "none", _names(spec.security_groups)),
    ]
    return [asdict(Change(*row, changes=_differ(row[0], row[2], row[3]))) for row in rows]


def _data_disks(settings: Mapping[str, Any], disks: Sequence[Mapping[str, Any]]):
    """They keep their size; only their format may change."""
    planned = leaf(settings, "storage.format", "qcow2")
    for number, disk in enumerate(disks[1:], start=1):
        size = _gib(disk["virtual_size_bytes"])
        yield f"disks.{number}", f"Disk {number + 1}", f"{size}, {disk['format']}", f"{size}, {planned}"


def _differ(setting: str, current: str, planned: str) -> bool:
    if current == UNKNOWN or planned in (UNKNOWN, "keep"):
        return False
    if setting == "firmware":
        return current in ("bios", "uefi") and current != planned  # a hybrid disk boots either way
    return current != planned


def _planned_kernel(kernel: KernelChoice) -> str:
    return kernel.version or kernel.current or UNKNOWN


def _agent(facts: Facts | None) -> str:
    if facts is None:
        return UNKNOWN
    return "installed" if facts.has_guest_agent else "none"


def _planned_agent(facts: Facts | None, access: Access) -> str:
    return ", ".join(each.replace("=", " ", 1) for each in access.packages) or _agent(facts)


def _software(software: Software) -> list[tuple[str, str, str, str]]:
    """What is asked for and there, and that with all that is added; nothing where no package is asked for."""
    if not software.asked:
        return []
    there = [f"{each.name} {each.version}".strip() for each in software.in_state("present")]
    added = [each.replace("=", " ", 1) for each in software.adds]
    return [("packages", "Packages", ", ".join(there) or "none", ", ".join([*there, *added]) or "none")]


def _distribution(facts: Facts | None) -> str:
    return _text(facts and (facts.os.pretty_name or f"{facts.os.id} {facts.os.version}".strip()))


def _addressing(facts: Facts | None) -> str:
    kinds = sorted({nic.addressing for nic in facts.nics}) if facts else []
    return ", ".join(kinds) or UNKNOWN


def _names(groups) -> str:
    return ", ".join(group.name for group in groups) or "none"


def _text(value: Any) -> str:
    return str(value) if value not in (None, "", "unknown") else UNKNOWN


def _mib(value: int | None) -> str:
    return UNKNOWN if value is None else f"{value} MiB"


def _gib(value: int) -> str:
    return f"{value / GIB:.1f} GiB".replace(".0 GiB", " GiB")


def _mbps(value: int | None) -> str:
    return "no limit" if value is None else f"{value} Mbit/s"
