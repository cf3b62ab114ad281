"""Kernel, distribution and drivers: whether the system that was asked for will boot and find its devices."""

from collections.abc import Iterable

from migrations_engine.domain.blueprint import BOOT_DRIVERS, NIC_DRIVERS, booted_kernel, is_known_missing
from migrations_engine.domain.concerns.outlook import Concern, Outlook, Severity
from migrations_engine.domain.device_names import stale
from migrations_engine.domain.settings_path import leaf

SHIMS = frozenset({"shim-signed", "shim-x64", "shim"})


def _kernel(o: Outlook) -> Iterable[Concern]:
    intent = leaf(o.settings, "kernel.intent", "prefer")
    if o.kernel.action == "unavailable":
        must = intent in ("require", "install")
        yield Concern(
            "kernel.unavailable",
            "Kernel",
            Severity.CRITICAL if must else Severity.INFORMATION,
            o.kernel.reason,
            "Choose a kernel that the machine has, or the intent `install` with an exact release."
            if must
            else "",
            "kernel.version",
        )
    if o.kernel.action == "install":
        yield Concern(
            "kernel.install",
            "Kernel",
            Severity.INFORMATION,
            o.kernel.reason,
            "The machine boots once more for it: some minutes where it is emulated.",
            "kernel.version",
        )
    if o.kernel.action == "install" and o.access.way == "seed":
        yield Concern(
            "kernel.install_by_seed",
            "Kernel",
            Severity.CRITICAL,
            "The guest agent comes with cloud-init at the first boot; the kernel would have to be there before.",
            "Install the kernel or qemu-guest-agent in the machine, or choose a kernel that it has.",
            "kernel.version",
        )


def _distribution(o: Outlook) -> Iterable[Concern]:
    name, version = leaf(o.settings, "distribution.name"), leaf(o.settings, "distribution.version")
    if o.facts is None or not (name or version):
        return
    found = o.facts.os
    if (not name or name == found.id) and (not version or version_matches(found.version, version)):
        return
    must = leaf(o.settings, "distribution.intent", "prefer") in ("require", "install")
    asked = " ".join(word for word in (name, version) if word)
    yield Concern(
        "distribution.differs",
        "Distribution",
        Severity.CRITICAL if must else Severity.INFORMATION,
        f"The machine runs {found.pretty_name or found.id or 'an unknown system'}; asked for is {asked}.",
        "A move keeps the distribution: choose a persona for this one, or upgrade the machine before."
        if must
        else "",
        "distribution",
    )


def version_matches(found: str, asked: str) -> bool:
    """`12` is fulfilled by 12 and 12.5, not by 120."""
    return found == asked or found.startswith(f"{asked}.")


def _firmware(o: Outlook) -> Iterable[Concern]:
    if o.facts is None or o.facts.boot_mode in ("hybrid", "unknown"):
        return
    if o.spec.firmware != o.facts.boot_mode:
        yield Concern(
            "firmware.differs",
            "Boot",
            Severity.CRITICAL,
            f"The disk boots by {o.facts.boot_mode.upper()}, the plan by {o.spec.firmware.upper()}: it cannot start.",
            "Set firmware to `keep`.",
            "firmware",
        )


def _drivers(o: Outlook) -> Iterable[Concern]:
    kernel = booted_kernel(o.facts, o.kernel)
    if kernel is None or not kernel.drivers:
        return
    for driver, device in (
        (BOOT_DRIVERS[o.spec.disk_bus], "disk"),
        (NIC_DRIVERS[o.spec.nic_model], "network card"),
    ):
        if driver not in kernel.drivers:
            yield Concern(
                f"driver.{driver}",
                "Drivers",
                Severity.CRITICAL if device == "disk" else Severity.WARNING,
                f"{kernel.version} has no driver {driver} for the {device} of the plan.",
                "Choose another driver set or another kernel.",
                "storage.bus" if device == "disk" else "devices.nic",
            )


def _made_for(o: Outlook) -> Iterable[Concern]:
    if o.facts is None or not o.facts.os.id:
        return
    for slug, distributions in o.made_for.items():
        if distributions and not o.facts.os.is_one_of(distributions):
            yield Concern(
                "driver_set.distribution",
                "Drivers",
                Severity.WARNING,
                f"The driver set {slug} is made for {', '.join(sorted(distributions))}; "
                f"the machine runs {o.facts.os.pretty_name or o.facts.os.id}.",
                "Choose a driver set for this distribution, or name it among those that this one is for.",
                "driver_set",
            )


def _bus(o: Outlook) -> Iterable[Concern]:
    if o.disk_bus and o.disk_bus.reason:
        yield Concern(
            "devices.contradict",
            "Drivers",
            Severity.INFORMATION,
            o.disk_bus.reason,
            "Take one of the two out, or let them say the same.",
            "devices.disk",
        )


def _device_names(o: Outlook) -> Iterable[Concern]:
    """Changed offline, which takes an ext file system; every other one is left with a name that is gone."""
    if o.facts is None or not (found := stale(o.facts, o.spec.disk_bus)):
        return
    root = o.facts.root_filesystem
    mended = root is not None and root.kind in ("ext2", "ext3", "ext4") and all(each.uuid for each in found)
    names = ", ".join(each.mounted_as for each in found)
    yield Concern(
        "boot.device_names",
        "Boot",
        Severity.INFORMATION if mended else Severity.CRITICAL,
        f"fstab names {names}, which a {o.spec.disk_bus} disk is not sure to be called"
        + (
            ": in the copy it is mounted by UUID."
            if mended
            else ", and the copy cannot be changed before it boots."
        ),
        "" if mended else "Name the file systems by UUID in the machine's fstab, then scan it again.",
        "storage.bus",
    )


def _secure_boot(o: Outlook) -> Iterable[Concern]:
    if o.facts is not None and o.spec.firmware == "uefi":
        signed = sorted(SHIMS & {package.name for package in o.facts.packages})
        if signed:
            yield Concern(
                "firmware.secure_boot",
                "Boot",
                Severity.INFORMATION,
                f"The machine is made for Secure Boot ({', '.join(signed)}); the target starts it without.",
                "",
                "firmware",
            )


def _modules(o: Outlook) -> Iterable[Concern]:
    kernel = booted_kernel(o.facts, o.kernel)
    for module in leaf(o.settings, "kernel_modules", []):
        if is_known_missing(module, kernel):
            yield Concern(
                "module.missing",
                "Drivers",
                Severity.WARNING,
                f"{kernel.version} has no module {module}; it is left out.",
                "Choose another kernel or driver set.",
                "kernel_modules",
            )


RULES = (_kernel, _distribution, _firmware, _drivers, _made_for, _device_names, _secure_boot, _bus, _modules)
