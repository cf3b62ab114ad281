"""What may go wrong, told before the run: each concern says what to do about it. A critical one blocks the launch."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from analyzer.domain.facts import Facts
from migrations_engine.domain import machine
from migrations_engine.domain.access import BY_AGENT, Access
from migrations_engine.domain.blueprint import (
    BOOT_DRIVERS,
    NIC_DRIVERS,
    booted_kernel,
    is_known_missing,
    root_disk_bytes,
)
from migrations_engine.domain.disk_bus import BusChoice
from migrations_engine.domain.kernels import KernelChoice
from migrations_engine.domain.machine import GIB, MachineSpec
from migrations_engine.domain.settings_path import leaf
from migrations_engine.domain.software import NOTHING, Software

SAID_BY_BOTH = frozenset({"storage.bus", "network.bandwidth_mbps", "network.security_groups"})
MIB = 2**20
INTERPRETER_PACKAGES = {"python3": ("python3", "python3-minimal", "python3.11"), "bash": ("bash",)}


class Severity(StrEnum):
    CRITICAL = "Critical"
    WARNING = "Warning"
    INFORMATION = "Information"


@dataclass(frozen=True)
class Concern:
    """`id` is stable (for filters, tests, documentation); `subject` is the setting that it is about, or empty."""

    id: str
    category: str
    severity: Severity
    text: str
    action: str = ""
    subject: str = ""

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


@dataclass(frozen=True)
class Outlook:
    """What concerns are drawn from. `scripts`: [{"name", "interpreter", "approved"?}]; `notices`: of the personas,
    [{"persona", "blocks", "text", "action"}]; `unknown`: (what, name) that no row has."""

    settings: Mapping[str, Any]
    spec: MachineSpec
    facts: Facts | None
    kernel: KernelChoice
    disks: tuple[Mapping[str, Any], ...]
    scripts: tuple[Mapping[str, Any], ...] = ()
    notices: tuple[Mapping[str, Any], ...] = ()
    unknown: tuple[tuple[str, str], ...] = ()
    access: Access = BY_AGENT
    software: Software = NOTHING
    disk_bus: BusChoice | None = None
    enforcement: tuple[machine.Enforcement, ...] = ()
    target: tuple[machine.Concern, ...] = ()
    free_bytes: int | None = None
    has_persona: bool = True
    refused: tuple[Mapping[str, Any], ...] = ()
    missing_since: str = ""


def concerns(outlook: Outlook) -> list[Concern]:
    """Every concern, the worst first, each once: what a target says of a subject that we spoke of is left out."""
    ours = [concern for rule in RULES for concern in rule(outlook)]
    spoken_of = {concern.subject for concern in ours} & SAID_BY_BOTH
    found = [*ours, *(concern for concern in _target(outlook) if concern.subject not in spoken_of)]
    once = {(concern.id, concern.text): concern for concern in found}
    return sorted(once.values(), key=lambda concern: list(Severity).index(concern.severity))


def blocking(found: Iterable[Concern]) -> list[Concern]:
    return [concern for concern in found if concern.severity == Severity.CRITICAL]


def _scan(o: Outlook) -> Iterable[Concern]:
    if o.facts is None:
        yield Concern(
            "scan.none",
            "Source",
            Severity.WARNING,
            "This machine has not been scanned, so less is known before the run.",
            "Scan it first; otherwise the run does, and stops where it finds something critical.",
        )
        return
    for area in o.facts.coverage:
        if area.state != "full" and area.area in ("os", "kernels", "filesystems"):
            yield Concern(
                f"scan.{area.area}",
                "Source",
                Severity.INFORMATION,
                f"The scan could not read all about {area.area}: {area.reason or area.state}.",
            )
    for concern in o.facts.concerns:
        yield Concern(f"disk.{concern.code}", "Source", Severity(concern.severity.capitalize()), concern.text)


def _source(o: Outlook) -> Iterable[Concern]:
    if o.missing_since:
        yield Concern(
            "source.missing",
            "Source",
            Severity.CRITICAL,
            f"The source does not show this machine since {o.missing_since}.",
            "Run the discovery again, or put the disk back where it was.",
        )
    if not o.disks:
        yield Concern(
            "source.no_disk",
            "Source",
            Severity.CRITICAL,
            "The machine has no disk to copy.",
            "Run the discovery again; of a machine from an inventory file, discover its disk image from a directory.",
        )
    root = o.facts.root_filesystem if o.facts else None
    if root is not None and root.disk:
        yield Concern(
            "source.root_elsewhere",
            "Source",
            Severity.CRITICAL,
            f"The system lies on disk {root.disk + 1} of {len(o.disks)}; only the first one is grown and prepared.",
            "Put the disk with the system first (the lowest number, the first drive), and discover the source again.",
        )


def _unknown(o: Outlook) -> Iterable[Concern]:
    for what, name in o.unknown:
        yield Concern(
            f"{what.replace(' ', '_')}.unknown",
            "Settings",
            Severity.CRITICAL,
            f"No {what} is called {name!r}.",
            "Create it, or take it out of the template, persona or override that names it.",
            what,
        )
    for refusal in o.refused:
        yield Concern(
            "settings.locked",
            "Settings",
            Severity.WARNING,
            f"{refusal['path']} is locked by the template; what {refusal['layer']} says is not used.",
            "Take the lock off in the template where the persona should win.",
            refusal["path"],
        )
    if not o.has_persona:
        yield Concern(
            "persona.none",
            "Settings",
            Severity.INFORMATION,
            "No persona takes part; the template alone decides.",
        )


def _notices(o: Outlook) -> Iterable[Concern]:
    for notice in o.notices:
        yield Concern(
            "persona.blocked" if notice["blocks"] else "persona.notice",
            "Persona",
            Severity.CRITICAL if notice["blocks"] else Severity.WARNING,
            f"{notice['persona']}: {notice['text']}",
            notice["action"],
            "persona",
        )


def _approvals(o: Outlook) -> Iterable[Concern]:
    for script in o.scripts:
        if not script.get("approved", True):
            yield Concern(
                "script.unapproved",
                "Scripts",
                Severity.CRITICAL,
                f"The script {script['name']} comes from the marketplace, and nobody has approved this text yet.",
                "An admin of the department, other than who published it, reads and approves it on its page.",
                "post_migration.scripts",
            )


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


def _disk(o: Outlook) -> Iterable[Concern]:
    if not o.disks:
        return
    asked = leaf(o.settings, "resources.root_disk_gib", 0) * GIB
    size = o.disks[0]["virtual_size_bytes"]
    if asked and asked < size:
        yield Concern(
            "disk.would_shrink",
            "Storage",
            Severity.WARNING,
            f"Asked for {asked // GIB} GiB, the disk has {size / GIB:.1f} GiB and keeps it: no disk is shrunk.",
            "Ask for a larger root disk, or make the disk smaller before.",
            "resources.root_disk_gib",
        )
    yield from _space(o)


def _space(o: Outlook) -> Iterable[Concern]:
    """The first disk is there twice for a while: the copy, and the copy in its final format."""
    first, *others = o.disks
    needed = 2 * (_held(first) + o.software.needed_bytes) + sum(_held(disk) for disk in others)
    grown = root_disk_bytes(o.settings, source_bytes=first["virtual_size_bytes"])
    most = grown + sum(disk["virtual_size_bytes"] for disk in others)
    if o.free_bytes is not None and o.free_bytes < needed:
        yield Concern(
            "space.target",
            "Storage",
            Severity.CRITICAL,
            f"The copy needs {needed / GIB:.1f} GiB, the target has {o.free_bytes / GIB:.1f} GiB free.",
            "Remove a migrated machine that is not needed, or give the target more room.",
        )
    elif o.free_bytes is not None and o.free_bytes < most:
        yield Concern(
            "space.overcommitted",
            "Storage",
            Severity.WARNING,
            f"The {'disks' if others else 'disk'} can grow to more than the target has free.",
            "Watch the target's free space.",
        )


def _held(disk: Mapping[str, Any]) -> int:
    return disk.get("allocated_bytes") or disk["virtual_size_bytes"]


def _access(o: Outlook) -> Iterable[Concern]:
    if o.access.way == "none":
        yield Concern(
            "access.no_agent",
            "Access",
            Severity.CRITICAL,
            f"The guest has no guest agent, and none can be installed in the copy: {o.access.reason}.",
            "Install qemu-guest-agent in the machine, then scan it again.",
            "guest",
        )
    elif o.access.is_brought:
        yield Concern(
            "access.agent_brought",
            "Access",
            Severity.WARNING if o.access.origin else Severity.INFORMATION,
            _brought(o.access),
            "Install qemu-guest-agent in the machine where it should have the package of its own distribution."
            if o.access.origin
            else "",
            "guest",
        )


def _brought(access: Access) -> str:
    names = ", ".join(package.replace("=", " ", 1) for package in access.packages)
    made_for = f", made for {access.origin}," if access.origin else ""
    how = {"offline": "put on its disk", "seed": "brought by cloud-init, if it is switched on in the guest"}
    return (
        f"The guest has no guest agent: {names}{made_for} will be installed in the copy at its first boot"
        f" ({how[access.way]}). The source is not touched."
    )


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


def _packages(o: Outlook) -> Iterable[Concern]:
    adds = ", ".join(each.replace("=", " ", 1) for each in o.software.adds)
    if adds:
        yield Concern(
            "packages.added",
            "Software",
            Severity.INFORMATION,
            f"Installed in the copy at its first boot: {adds}"
            f" ({_mib(o.software.fetch_bytes)} to fetch, {_mib(o.software.installed_bytes)} on the disk)."
            " The source is not touched.",
            "",
            "packages",
        )
    for each in o.software.in_state("lacking"):
        yield Concern(
            "packages.missing",
            "Software",
            Severity.WARNING,
            f"{each.name} is not in the machine and cannot be installed in its copy: {each.reason}.",
            "Install it in the machine and scan it again, or take it out of the persona, template or driver set.",
            "packages",
        )
    yield from _room(o)


def _room(o: Outlook) -> Iterable[Concern]:
    """On the root file system, which grows with its disk."""
    root = o.facts.root_filesystem if o.facts else None
    if not o.software.adds or root is None or root.used_bytes is None or not o.disks:
        return
    size = o.disks[0]["virtual_size_bytes"]
    grows = root_disk_bytes(o.settings, source_bytes=size) - size
    free = max(root.size_bytes - root.used_bytes, 0) + grows
    if free < o.software.needed_bytes:
        yield Concern(
            "packages.no_room",
            "Storage",
            Severity.CRITICAL,
            f"The packages to be installed need {_mib(o.software.needed_bytes)} on the root file system,"
            f" which has {_mib(free)} free.",
            "Ask for a larger root disk, or for fewer packages.",
            "resources.root_disk_gib",
        )


def _mib(size: int) -> str:
    return f"{size / MIB:.1f} MiB"


def _scripts(o: Outlook) -> Iterable[Concern]:
    if o.facts is None or o.facts.covered("packages").state != "full":
        return
    installed = {package.name for package in o.facts.packages} | o.software.added_names
    for script in o.scripts:
        packages = INTERPRETER_PACKAGES.get(script["interpreter"])
        if packages and not installed.intersection(packages):
            yield Concern(
                "script.interpreter_missing",
                "Software",
                Severity.CRITICAL,
                f"The script {script['name']} needs {script['interpreter']}, which the machine does not have.",
                "Rewrite it for sh, or install the interpreter in the machine.",
                "post_migration.scripts",
            )


def _enforcement(o: Outlook) -> Iterable[Concern]:
    for row in o.enforcement:
        if row.by == "nobody":
            yield Concern(
                f"enforcement.{row.setting}",
                "Network",
                Severity.WARNING,
                f"Nobody enforces {row.setting} = {row.value}: {row.how}.",
                "Install the tool in the machine, or accept that it is recorded only.",
                row.setting,
            )


def _target(o: Outlook) -> Iterable[Concern]:
    for row in o.target:
        text = f"{row.text[:1].upper()}{row.text[1:].removesuffix('.')}."
        yield Concern(
            f"target.{row.subject}", "Target", Severity(row.severity.capitalize()), text, "", row.subject
        )


RULES = (
    _source, _scan, _unknown, _notices, _approvals, _kernel, _distribution, _disk, _access, _firmware, _drivers, _bus,
    _modules, _packages, _scripts, _enforcement,
)  # fmt: skip
