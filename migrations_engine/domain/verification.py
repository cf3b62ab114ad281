"""Asked against found, inside the guest. A verdict is drawn here and nowhere else."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from analyzer.domain.facts import Facts
from migrations_engine.domain.blueprint import normal
from migrations_engine.domain.concerns.system import version_matches
from migrations_engine.domain.guest_report import memory_as_asked
from migrations_engine.domain.kernels import satisfies
from migrations_engine.domain.machine import (
    GIB,
    MIB,
    Applied,
    Enforcement,
    FirstBoot,
    GuestReport,
    MachineSpec,
    disk_serial,
)
from migrations_engine.domain.settings_path import leaf
from migrations_engine.domain.software import NOT_ASKED, Inventory

SEEN_IN_THE_GUEST = frozenset({"resources.vcpus", "resources.memory_mib", "storage.bus", "firmware"})
FILESYSTEM_SHARE = 0.85  # of the root disk: boot partition, inode tables and journal take the rest


class Verdict(StrEnum):
    PASS = "pass"  # noqa: S105  a verdict
    FAIL = "fail"
    WARNING = "warning"
    NOT_CHECKED = "not_checked"


@dataclass(frozen=True)
class Row:
    """`by`: who says so or who enforces it (guest, hypervisor, target, nobody)."""

    setting: str
    asked: str
    found: str
    verdict: Verdict
    by: str = "guest"

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


def read_rows(stored: Iterable[Mapping[str, str]]) -> list[Row]:
    """What `as_dict` wrote."""
    return [Row(**row | {"verdict": Verdict(row["verdict"])}) for row in stored]


@dataclass(frozen=True)
class Evidence:
    """What was asked, and everything that was observed. `applied` and `enforcement` are keyed by setting;
    `firmware` is what the guest booted with ("bios", "uefi"), "" where it could not tell."""

    settings: Mapping[str, Any]
    spec: MachineSpec
    first_boot: FirstBoot
    disk_bytes: int
    report: GuestReport
    data_bytes: tuple[int, ...] = ()  # of the disks beside the first, as they are in the source
    facts: Facts | None = None
    inventory: Inventory = NOT_ASKED
    firmware: str = ""
    builtin_modules: frozenset[str] = frozenset()
    applied: Mapping[str, Applied] | None = None
    enforcement: tuple[Enforcement, ...] = ()


def table(evidence: Evidence) -> list[Row]:
    """One row for every setting that was asked for, in the order of the vocabulary."""
    return [row for check in CHECKS for row in check(evidence)]


def failures(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if row.verdict == Verdict.FAIL]


def told(rows: Iterable[Row]) -> str:
    """ "resources.vcpus: asked for 4, found 2; ..." """
    return "; ".join(f"{row.setting}: asked for {row.asked}, found {row.found}" for row in rows)


def differences(rows: Iterable[Row]) -> list[Row]:
    """Those that are not as asked, whether that fails the run or not."""
    return [row for row in rows if row.verdict in (Verdict.FAIL, Verdict.WARNING)]


def outcome(rows: Iterable[Row]) -> str:
    """ "verified" only where something was checked and nothing differs; else "differs", "warning", "not_checked"."""
    found = {row.verdict for row in rows}
    if Verdict.FAIL in found:
        return "differs"
    if Verdict.WARNING in found:
        return "warning"
    return "verified" if Verdict.PASS in found else "not_checked"


def _verdict(holds: bool, otherwise: Verdict = Verdict.FAIL) -> Verdict:
    return Verdict.PASS if holds else otherwise


def _must(e: Evidence, group: str) -> Verdict:
    """`prefer` that is not met is a warning, `require` and `install` fail."""
    must = leaf(e.settings, f"{group}.intent", "prefer") in ("require", "install")
    return Verdict.FAIL if must else Verdict.WARNING


def _kernel(e: Evidence):
    asked = leaf(e.settings, "kernel.version")
    if asked is None:
        return
    otherwise = Verdict.FAIL if e.first_boot.kernel else _must(e, "kernel")  # the plan promised to boot it
    yield Row(
        "kernel.version", e.first_boot.kernel or asked, e.report.kernel, _verdict(_boots(e, asked), otherwise)
    )


def _boots(e: Evidence, asked: str) -> bool:
    return (
        e.report.kernel == e.first_boot.kernel if e.first_boot.kernel else satisfies(e.report.kernel, asked)
    )


def _distribution(e: Evidence):
    name, version = leaf(e.settings, "distribution.name"), leaf(e.settings, "distribution.version")
    if not (name or version):
        return
    found_name, found_version = e.report.os_release.get("ID", ""), e.report.os_release.get("VERSION_ID", "")
    holds = (not name or name == found_name) and (not version or version_matches(found_version, version))
    asked, found = f"{name or ''} {version or ''}".strip(), f"{found_name} {found_version}".strip()
    yield Row("distribution", asked, found or "not known", _verdict(holds, _must(e, "distribution")))


def _vcpus(e: Evidence):
    yield Row(
        "resources.vcpus", str(e.spec.vcpus), str(e.report.vcpus), _verdict(e.report.vcpus == e.spec.vcpus)
    )


def _memory(e: Evidence):
    asked, found = e.spec.memory_mib, e.report.memory_mib
    yield Row("resources.memory_mib", f"{asked} MiB", f"{found} MiB", _verdict(memory_as_asked(found, asked)))


def _disk(e: Evidence):
    found, asked = e.report.root_disk_bytes, _gib(e.disk_bytes)
    if found is None:
        yield Row("resources.root_disk_gib", asked, "not known", Verdict.NOT_CHECKED)
        return
    yield Row("resources.root_disk_gib", asked, _gib(found), _verdict(found >= e.disk_bytes))
    filesystem = e.report.root_filesystem_bytes
    if filesystem is not None:
        holds = filesystem >= e.disk_bytes * FILESYSTEM_SHARE
        yield Row("root file system", f"fills {asked}", _gib(filesystem), _verdict(holds, Verdict.WARNING))


def _data_disks(e: Evidence):
    """By its serial; a driver that tells the guest none leaves the order of the disks."""
    by_serial = {disk.serial: disk for disk in e.report.disks if disk.serial}
    in_order = dict(enumerate(sorted(e.report.disks, key=lambda disk: (len(disk.name), disk.name))))
    for index, size in enumerate(e.data_bytes, start=1):
        disk = by_serial.get(disk_serial(index)) or (None if by_serial else in_order.get(index))
        found = f"{disk.name}, {_size(disk.size_bytes)}" if disk else "not there"
        holds = disk is not None and disk.size_bytes == size
        yield Row(f"disks.{index}", _size(size), found, _verdict(holds))


def _mounts(e: Evidence):
    """What the guest's own fstab names on a disk that was copied is mounted."""
    known = {each.mount_point for each in e.facts.filesystems if each.mount_point} if e.facts else set()
    mounted = {words[1]: words[0] for line in e.report.mounts if len(words := line.split()) > 1}
    for line in e.report.fstab:
        point, kind, options = [*line.split(), "", ""][:3]
        if point == "/" or point not in known or kind == "swap" or "noauto" in options.split(","):
            continue
        otherwise = Verdict.WARNING if "nofail" in options.split(",") else Verdict.FAIL
        found = mounted.get(point, "not mounted")
        yield Row(f"mount {point}", "mounted", found, _verdict(point in mounted, otherwise))


def _firmware(e: Evidence):
    if not e.firmware:
        yield Row("firmware", e.spec.firmware, "not known", Verdict.NOT_CHECKED)
    else:
        yield Row("firmware", e.spec.firmware, e.firmware, _verdict(e.firmware == e.spec.firmware))


def _modules(e: Evidence):
    present = {normal(name) for name in e.report.modules} | {normal(name) for name in e.builtin_modules}
    for module in leaf(e.settings, "kernel_modules", []):
        holds = normal(module) in present
        otherwise = Verdict.FAIL if module in e.first_boot.kernel_modules else Verdict.WARNING
        yield Row(
            f"kernel_modules.{module}",
            "loaded",
            "loaded" if holds else "not loaded",
            _verdict(holds, otherwise),
        )


def _packages(e: Evidence):
    versions, by = _versions(e)
    brought = {each.partition("=")[0] for each in e.first_boot.software}
    for name in leaf(e.settings, "packages", []):
        setting = f"packages.{name}"
        if versions is None:
            yield Row(setting, "installed", "not known", Verdict.NOT_CHECKED, by)
        elif name in versions:
            origin = "installed by this run" if name in brought else "there before"
            yield Row(setting, "installed", f"{versions[name]}, {origin}".strip(", "), Verdict.PASS, by)
        else:
            # of those that it could not bring the plan has warned
            promised = name in brought
            found = (promised and e.inventory.problem) or "not installed"
            yield Row(setting, "installed", found, Verdict.FAIL if promised else Verdict.WARNING, by)


def _versions(e: Evidence) -> tuple[Mapping[str, str] | None, str]:
    """(name → version of what is installed, None where nobody knows; who says so)."""
    if e.inventory.versions is not None:
        return e.inventory.versions, "guest"
    if e.facts is None or e.facts.covered("packages").state == "none":
        return None, "scan"
    return {package.name: package.version for package in e.facts.packages}, "scan"


def _bus(e: Evidence):
    """The kernel names a disk after its driver: vda on virtio-blk, sda on SCSI and SATA alike."""
    device = next((line.split()[0] for line in e.report.mounts if line.split()[1:2] == ["/"]), "")
    kind = {"/dev/vd": ("virtio",), "/dev/sd": ("sata", "scsi")}.get(device[:7])
    if kind is None:
        yield Row("storage.bus", e.spec.disk_bus, device or "not known", Verdict.NOT_CHECKED)
    else:
        yield Row(
            "storage.bus",
            e.spec.disk_bus,
            f"{device} ({' or '.join(kind)})",
            _verdict(e.spec.disk_bus in kind),
        )


def _applied(e: Evidence):
    """What somebody enforces and nobody can see in the guest's own numbers: filters, limits, tags."""
    done = e.applied or {}
    for row in e.enforcement:
        applied = done.get(row.setting) or done.get(row.setting.partition(".")[0])
        if row.setting in SEEN_IN_THE_GUEST:
            continue
        if row.by == "nobody":
            yield Row(row.setting, row.value, row.how, Verdict.WARNING, "nobody")
        elif applied is None:
            yield Row(row.setting, row.value, row.how, Verdict.NOT_CHECKED, row.by)
        else:
            found = row.value if applied.ok else applied.detail or applied.observed or "nothing"
            yield Row(row.setting, row.value, found, _verdict(applied.ok), row.by)


def _units(e: Evidence):
    failed = e.report.failed_units
    yield Row("failed units", "none", ", ".join(failed) or "none", _verdict(not failed, Verdict.WARNING))


def _size(size: int) -> str:
    """A data disk may be smaller than a tenth of a GiB."""
    return _gib(size) if size >= GIB // 10 else f"{size // MIB} MiB"


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB".replace(".0 GiB", " GiB")


CHECKS = (
    _kernel, _distribution, _modules, _packages, _vcpus, _memory, _disk, _data_disks, _mounts, _bus, _firmware,
    _applied, _units,
)  # fmt: skip
