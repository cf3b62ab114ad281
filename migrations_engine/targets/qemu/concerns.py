"""What stands against a machine on a target that runs QEMU, said before the run."""

from collections.abc import Callable

from analyzer.domain.facts import Facts
from migrations_engine.domain.enforcement import USER_NETWORK, Network, enforcement
from migrations_engine.domain.machine import Concern, MachineSpec
from migrations_engine.targets.base import SpecRefused, TargetInfo
from migrations_engine.targets.qemu.command import qemu_command

NEEDED_DRIVERS = {"virtio": ("virtio_blk",), "scsi": ("virtio_scsi", "sd_mod"), "sata": ("ahci", "sd_mod")}


def refused_by_qemu(spec: MachineSpec) -> str:
    """Why QEMU on this machine cannot make such a one; "" where it can."""
    try:
        qemu_command(spec, "raw", {}, "tcg", data=[f"disk{n}.raw" for n in range(1, spec.data_disks + 1)])
    except SpecRefused as error:
        return str(error)
    return ""


def concerns(
    spec: MachineSpec,
    facts: Facts,
    info: TargetInfo,
    kernel: str | None = None,
    *,
    network: Network = USER_NETWORK,
    refused: Callable[[MachineSpec], str] = refused_by_qemu,
) -> tuple[Concern, ...]:
    """`kernel` is the one that will boot, None for the disk's default. `refused`: why there can be no such machine."""
    found = _fits(spec, info)
    if reason := refused(spec):
        found.append(Concern("critical", "devices", reason))
    found += [*_drivers(spec, facts, kernel), *_installable(facts, kernel)]
    found += [
        Concern("warning", row.setting, f"{row.value}: nobody enforces it: {row.how}")
        for row in enforcement(spec, facts, network)
        if row.by == "nobody"
    ]
    if info.accelerator == "tcg":
        found.append(
            Concern(
                "information", "target", f"machines run by emulation, about ten times slower: {info.detail}"
            )
        )
    return tuple(found)


def _fits(spec: MachineSpec, info: TargetInfo) -> list[Concern]:
    found = []
    if spec.vcpus > info.vcpus:
        text = f"{spec.vcpus} virtual processors share the {info.vcpus} of this machine"
        found.append(Concern("warning", "resources.vcpus", text))
    if spec.memory_mib > info.memory_mib:
        text = f"{spec.memory_mib} MiB asked, {info.memory_mib} MiB are free on this machine"
        found.append(Concern("critical", "resources.memory_mib", text))
    if spec.firmware not in info.firmwares:
        text = f"{spec.firmware} firmware is not installed here (Debian package ovmf)"
        found.append(Concern("critical", "firmware", text))
    return found


def _installable(facts: Facts, version: str | None) -> list[Concern]:
    if version is None or version in {kernel.version for kernel in facts.kernels}:
        return []
    if not facts.has_guest_agent:
        text = f"kernel {version} is not installed, and without a guest agent it cannot be"
        return [Concern("critical", "kernel", text)]
    if not any(package.name == "dpkg" for package in facts.packages):
        text = f"kernel {version} is not installed, and without dpkg in the guest it cannot be"
        return [Concern("critical", "kernel", text)]
    return []


def _drivers(spec: MachineSpec, facts: Facts, version: str | None) -> list[Concern]:
    kernel = (
        next((each for each in facts.kernels if each.version == version), None)
        if version
        else facts.default_kernel
    )
    if kernel is None:
        return []
    missing = [driver for driver in NEEDED_DRIVERS.get(spec.disk_bus, ()) if driver not in kernel.drivers]
    if not missing:
        return []
    text = f"kernel {kernel.version} has no {', '.join(missing)}, which a {spec.disk_bus} disk needs"
    return [Concern("critical", "storage.bus", text)]
