"""From merged settings and what is known of the source to the machine to be made."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from analyzer.domain.facts import Facts, Kernel
from migrations_engine.domain import disk_bus as disk_buses
from migrations_engine.domain.device_names import by_uuid
from migrations_engine.domain.kernels import KernelChoice
from migrations_engine.domain.machine import GIB, FirstBoot, Forward, MachineSpec, Rule, SecurityGroup
from migrations_engine.domain.settings_path import leaf

DEFAULT_VCPUS = 1  # where neither a layer nor the source says anything
DEFAULT_MEMORY_MIB = 1024
MAX_FORWARDS = 32

NIC_MODEL = {"virtio-net-pci": "virtio", "e1000e": "e1000e", "e1000": "e1000e"}
BOOT_DRIVERS = {"virtio": "virtio_blk", "scsi": "virtio_scsi", "sata": "ahci"}
NIC_DRIVERS = {"virtio": "virtio_net", "e1000e": "e1000e"}
EXTRA_DEVICES = {"rng": {"virtio-rng-pci": "virtio-rng"}, "balloon": {"virtio-balloon-pci": "virtio-balloon"}}


def machine_spec(
    settings: Mapping[str, Any],
    *,
    key: str,
    name: str,
    facts: Facts | None,
    groups: Iterable[SecurityGroup],
    vcpus: int | None = None,
    memory_mib: int | None = None,
    disk_bus: str = "",
    data_disks: int = 0,
) -> MachineSpec:
    """`vcpus` and `memory_mib` are the source's, used where the settings say nothing. Raises SpecError.

    `disk_bus`: as chosen by those who know which layer said what; empty: from the settings alone.
    """
    devices = leaf(settings, "devices", {})
    groups = tuple(groups)
    return MachineSpec(
        key=key,
        name=name,
        vcpus=leaf(settings, "resources.vcpus") or vcpus or DEFAULT_VCPUS,
        memory_mib=leaf(settings, "resources.memory_mib") or memory_mib or DEFAULT_MEMORY_MIB,
        machine=leaf(settings, "machine", "q35"),
        firmware=firmware(settings, facts),
        disk_bus=disk_bus or disk_buses.choose(settings).bus,
        nic_model=NIC_MODEL.get(devices.get("nic"), "virtio"),
        data_disks=data_disks,
        devices=tuple(models[devices[kind]] for kind, models in EXTRA_DEVICES.items() if devices.get(kind)),
        bandwidth_mbps=leaf(settings, "network.bandwidth_mbps"),
        security_groups=groups,
        tags=dict(leaf(settings, "monitoring_tags", {})),
        forwards=forwards(leaf(settings, "acceptance_checks", []), groups),
    )


def firmware(settings: Mapping[str, Any], facts: Facts | None) -> str:
    """`keep` means what the source boots with; a disk that boots either way, or is not read yet, gets BIOS."""
    asked = leaf(settings, "firmware", "keep")
    if asked != "keep":
        return asked
    return "uefi" if facts is not None and facts.boot_mode == "uefi" else "bios"


def forwards(checks: Iterable[Mapping[str, Any]], groups: Iterable[SecurityGroup]) -> tuple[Forward, ...]:
    """Ports to reach from here: those of the acceptance checks, then the single TCP ports that the groups let in."""
    ports = [check["port"] for check in checks if "port" in check]
    ports += [check.get("port", 80) for check in checks if check["kind"] == "http" and "port" not in check]
    for group in groups:
        ports += [rule.port_from for rule in group.rules if _lets_one_port_in(rule)]
    return tuple(Forward(guest_port=port) for port in list(dict.fromkeys(ports))[:MAX_FORWARDS])


def _lets_one_port_in(rule: Rule) -> bool:
    return (
        rule.direction == "ingress"
        and rule.protocol == "tcp"
        and rule.port_from is not None
        and rule.port_from == rule.port_to
    )


def security_group(document: Mapping[str, Any]) -> SecurityGroup:
    """From a network profile's `{"name", "rules": [{"protocol", "port_from", "port_to", "cidr", "direction"}]}`."""
    allowed = ("protocol", "port_from", "port_to", "cidr", "direction")
    rules = (
        {key: rule[key] for key in allowed if rule.get(key) is not None} for rule in document.get("rules", [])
    )
    return SecurityGroup(document["name"], tuple(Rule(**rule) for rule in rules))


def first_boot(
    settings: Mapping[str, Any],
    *,
    facts: Facts | None,
    kernel: KernelChoice,
    packages: tuple[str, ...] = (),
    software: tuple[str, ...] = (),
    bus: str = disk_buses.DEFAULT,
) -> FirstBoot:
    """A module that the kernel to be booted is known not to have is left out: loading it would leave a failed unit."""
    booted = booted_kernel(facts, kernel)
    modules = (m for m in leaf(settings, "kernel_modules", []) if not is_known_missing(m, booted))
    return FirstBoot(
        nic_name=_nic_name(facts),
        cloud_init=facts is not None and facts.has_cloud_init,
        addressing=leaf(settings, "network.addressing", "keep"),
        kernel=kernel.version if kernel.action in ("switch", "install") else None,
        kernel_modules=tuple(modules),
        packages=packages,
        software=software,
        device_names=by_uuid(facts, bus) if facts else {},
    )


def _nic_name(facts: Facts | None) -> str | None:
    """What the configuration calls its only card; with several cards nobody can say which one the new card is."""
    names = {nic.name for nic in facts.nics} if facts else set()
    name = names.pop() if len(names) == 1 else ""
    return name if re.fullmatch(r"[A-Za-z0-9_.-]{1,15}", name) else None


def booted_kernel(facts: Facts | None, choice: KernelChoice) -> Kernel | None:
    """The kernel of the facts that the target will boot; None where it is not on the disk, or not known."""
    version = choice.version or choice.current
    if facts is None or choice.action == "install":
        return None
    return next((kernel for kernel in facts.kernels if kernel.version == version), None)


def is_known_missing(module: str, kernel: Kernel | None) -> bool:
    """The scan lists the drivers that matter to a move, so only of these can it be said that one is missing."""
    if kernel is None or not kernel.drivers:
        return False
    name = normal(module)
    tells = name.startswith("virtio_") or name in {*BOOT_DRIVERS.values(), *NIC_DRIVERS.values()}
    return tells and name not in {normal(driver) for driver in kernel.drivers}


def root_disk_bytes(settings: Mapping[str, Any], *, source_bytes: int) -> int:
    """Never less than the source's: nothing is shrunk."""
    return max(leaf(settings, "resources.root_disk_gib", 0) * GIB, source_bytes)


def normal(module: str) -> str:
    """Module names mean the same with - and with _ (modprobe(8))."""
    return module.replace("-", "_")
