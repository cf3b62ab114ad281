"""This machine as a target: QEMU, with or without KVM, without root, without libvirt.

A copy is made, grown and prepared as raw and turned into its final format last: debugfs and resize2fs work on raw
files only, a FUSE export of a qcow2 needs /dev/fuse and a daemon to guard, and converting costs 2 s for 784 MB.
"""

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import ClassVar

from analyzer.domain.facts import Facts
from migrations_engine.domain import enforcement as rows
from migrations_engine.domain.access import Access
from migrations_engine.domain.guest_report import UnreadableReport
from migrations_engine.domain.machine import (
    Applied,
    Concern,
    DiskRef,
    Enforcement,
    FirstBoot,
    Forward,
    Growth,
    GuestReport,
    MachineRef,
    MachineSpec,
    PowerState,
    Preparation,
    Result,
    Rule,
    SecurityGroup,
    SourceDisk,
    Status,
)
from migrations_engine.domain.software import Inventory, Software
from migrations_engine.targets.base import (
    FilesystemDamaged,
    KeepAlive,
    MachineMissing,
    PrepareRefused,
    Progress,
    SpecRefused,
    TargetError,
    TargetInfo,
    no_keep_alive,
    no_progress,
)
from migrations_engine.targets.qemu import (
    agent_packages,
    boot,
    host_apt,
    images,
    inside,
    jobs,
    kernel_install,
    process,
    qmp,
    software,
)
from migrations_engine.targets.qemu.accelerator import accelerator
from migrations_engine.targets.qemu.boot import Boot, agent_of
from migrations_engine.targets.qemu.bundle import Bundle
from migrations_engine.targets.qemu.command import mac_address, qemu_command
from migrations_engine.targets.qemu.concerns import concerns
from migrations_engine.targets.qemu.firmware import ovmf
from migrations_engine.targets.qemu.first_boot import prepare_offline
from migrations_engine.targets.qemu.folder import Folder
from migrations_engine.targets.qemu.forwards import allocate
from migrations_engine.targets.qemu.grow import grow
from migrations_engine.targets.qemu.seed import write_seed

KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
COMPARE_SHARE = 4  # of five parts of a copy's progress four are the copy and one its comparison


class QemuTarget:
    """See `Target`. Everything lies under `root`, a folder for each key."""

    kind: ClassVar[str] = "qemu"
    caps: ClassVar[frozenset[str]] = frozenset(
        {
            "guest_exec",
            "console",
            "security_groups",
            "qos",
            "tags",
            "offline_prepare",
            "kernels",
            "kernel_install",
        }
    )

    def __init__(self, *, root: Path):
        self.root = Path(root).absolute()

    def probe(self) -> TargetInfo:
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = accelerator(self.root)
        return TargetInfo(
            version=process.version(),
            accelerator=found.name,
            vcpus=len(os.sched_getaffinity(0)),
            memory_mib=_available_mib(),
            free_bytes=shutil.disk_usage(self.root).free,
            firmwares=("bios", "uefi") if ovmf() else ("bios",),
            detail=found.reason,
        )

    def access(self, facts: Facts) -> Access:
        return agent_packages.access(facts, self._shelf)

    def software(self, facts: Facts, names: Sequence[str], access: Access) -> Software:
        return software.software(facts, names, access)

    def check(self, spec: MachineSpec, facts: Facts, kernel: str | None = None) -> tuple[Concern, ...]:
        return concerns(spec, facts, self.probe(), kernel)

    def enforcement(self, spec: MachineSpec, facts: Facts) -> tuple[Enforcement, ...]:
        return rows.enforcement(spec, facts)

    def checksum(self, source: SourceDisk, progress: Progress = no_progress) -> str:
        return images.checksum(Path(source.path), progress)

    # -- the disk ------------------------------------------------------------------------------------------------

    def copy(self, key: str, source: SourceDisk, progress: Progress = no_progress) -> DiskRef:
        folder = self._folder(key)
        with folder.locked(lambda: progress(0, 0)):
            if (kept := _disk(folder)) is not None:
                return kept
            size = _copied(source, folder.raw, "raw", progress)
            folder.write(copied=_origin(source) | {"virtual_bytes": size})
            return _disk(folder)

    def copy_data(
        self, key: str, index: int, source: SourceDisk, format: str, progress: Progress = no_progress
    ) -> DiskRef:
        folder = self._folder(key)
        with folder.locked(lambda: progress(0, 0)):
            known = folder.read().get("data") or {}
            if (kept := known.get(str(index))) is None:
                size = _copied(source, folder.data_disk(index, _kept_format(format)), format, progress)
                kept = _origin(source) | {"virtual_bytes": size, "format": format}
                folder.write(data={**known, str(index): kept})
            path = folder.data_disk(index, kept["format"])
            return DiskRef(key, str(path), kept["format"], kept["virtual_bytes"])

    def grow(self, disk: DiskRef, size_bytes: int) -> Growth:
        folder = self._folder(disk.key)
        with folder.locked(no_keep_alive):
            record = folder.read()
            if (known := record.get("grown")) and (record.get("sealed") or known["disk_bytes"] >= size_bytes):
                return Growth(**known)
            _require_raw(folder)
            with _copy_lost_if_damaged(folder):
                grown = grow(folder.raw, size_bytes)
            folder.write(grown=asdict(grown))
            return grown

    def fetch(self, first_boot: FirstBoot, keep_alive: KeepAlive = no_keep_alive) -> None:
        for packages in (first_boot.packages, first_boot.software):
            host_apt.files(packages, self._shelf, keep_alive)

    def _bundles(self, first_boot: FirstBoot, key: str) -> list[Bundle]:
        """Fetched where they are not here yet."""
        agent = host_apt.files(first_boot.packages, self._shelf, no_keep_alive)
        others = host_apt.files(first_boot.software, self._shelf, no_keep_alive)
        bundles = [agent_packages.bundle(agent), software.bundle(key, others)]
        return [each for each in bundles if each.files]

    def prepare(self, disk: DiskRef, first_boot: FirstBoot) -> Preparation:
        folder = self._folder(disk.key)
        wanted = hashlib.sha256(json.dumps(asdict(first_boot), sort_keys=True).encode()).hexdigest()
        with folder.locked(no_keep_alive):
            known = folder.read().get("prepared")
            if known and known["wanted"] == wanted:
                return Preparation(known["way"], tuple(known["done"]), tuple(known["left"]))
            _require_raw(folder)
            with _copy_lost_if_damaged(folder):
                done = _prepare(folder, first_boot, self._bundles(first_boot, disk.key))
            folder.write(prepared={"wanted": wanted, **asdict(done)})
            return done

    def install_kernel(
        self,
        disk: DiskRef,
        version: str,
        packages: tuple[str, ...] = (),
        keep_alive: KeepAlive = no_keep_alive,
    ) -> None:
        folder = self._folder(disk.key)
        agent = agent_packages.bundle(host_apt.files(packages, self._shelf, keep_alive))
        with folder.locked(keep_alive):
            if folder.read().get("sealed") is None:
                kernel_install.ensure_kernel(self.root, folder, version, agent, keep_alive)

    def seal(self, disk: DiskRef, format: str, progress: Progress = no_progress) -> DiskRef:
        _kept_format(format)
        folder = self._folder(disk.key)
        with folder.locked(lambda: progress(0, 0)):
            if folder.read().get("sealed") is None:
                _require_raw(folder)
                if format == "qcow2":
                    _to_qcow2(folder, progress)
                folder.write(sealed={"format": format})
                if format == "qcow2":
                    folder.raw.unlink()
            return _disk(folder)

    # -- the machine ---------------------------------------------------------------------------------------------

    def create(self, spec: MachineSpec, disk: DiskRef) -> MachineRef:
        folder = self._folder(spec.key)
        with folder.locked(no_keep_alive):
            if "spec" in folder.read():
                return _ref(folder)
            if _disk(folder) is None:
                raise SpecRefused(f"machine {spec.key} has no disk yet")
            if len(folder.data_disks()) != spec.data_disks:
                raise SpecRefused(f"machine {spec.key} does not have its {spec.data_disks} further disks yet")
            firmware = ovmf() if spec.firmware == "uefi" else None
            if spec.firmware == "uefi":
                if firmware is None:
                    raise SpecRefused("uefi firmware is not installed here (Debian package ovmf)")
                shutil.copyfile(firmware.variables, folder.path / "vars.fd")
            forwards = allocate(spec.forwards)
            qemu_command(
                spec, "raw", forwards, "tcg"
            )  # an unknown model is refused now, not at the first start
            folder.write(spec=_as_json(spec), forwards=forwards, tags=dict(spec.tags), made_at=time.time())
            return _ref(folder)

    def machines(self, key: str | None = None) -> tuple[MachineRef, ...]:
        if not self.root.is_dir():
            return ()
        names = [key] if key is not None else sorted(entry.name for entry in self.root.iterdir())
        folders = (Folder(self.root / name) for name in names if KEY.fullmatch(name))
        return tuple(_ref(folder) for folder in folders if "spec" in folder.read())

    def power(self, ref: MachineRef, want: PowerState, timeout_s: float = 60, hard: bool = False) -> Status:
        folder = self._made(ref)
        with folder.locked(no_keep_alive):
            if want == "on":
                self._boot(folder).start()
            elif process.pid_of(folder) is not None:
                boot.stop(folder, 0 if hard else timeout_s)
        return self.status(ref)

    def _boot(self, folder: Folder) -> Boot:
        return Boot(self.root, folder, lambda name: _command(folder, name), lambda: _new_ports(folder))

    def reset(self, ref: MachineRef, timeout_s: float = 60) -> None:
        folder = self._made(ref)
        with folder.locked(no_keep_alive):
            boot.restart(self._boot(folder), timeout_s)

    def status(self, ref: MachineRef) -> Status:
        folder = Folder(self.root / ref.key)
        if not folder.path.is_dir() or "spec" not in folder.read():
            return Status("missing")
        pid = process.pid_of(folder)
        if pid is None:
            return Status("off")
        return Status("on", agent_of(folder).answers(1.0), qmp.run_state(folder.path / "qmp.sock") or "", pid)

    def console(self, ref: MachineRef, max_bytes: int = 65536) -> str:
        return process.console_end(self._made(ref), max_bytes)

    def wait_ready(self, ref: MachineRef, timeout_s: float, keep_alive: KeepAlive = no_keep_alive) -> None:
        # without the lock, so that a machine that does not come up can be switched off meanwhile
        folder = self._made(ref)
        watched = replace(self._boot(folder), exclusively=lambda: folder.locked(keep_alive))
        watched.wait_ready(timeout_s, keep_alive)

    # -- inside the guest ----------------------------------------------------------------------------------------

    def run(
        self,
        ref: MachineRef,
        script: str,
        timeout_s: float,
        once_key: str | None = None,
        keep_alive: KeepAlive = no_keep_alive,
    ) -> Result:
        return jobs.run_script(agent_of(self._made(ref)), script, timeout_s, once_key, keep_alive)

    def stop_script(self, ref: MachineRef, once_key: str) -> None:
        jobs.stop_script(agent_of(self._made(ref)), once_key)

    def guest_report(self, ref: MachineRef) -> GuestReport:
        try:
            return inside.report(agent_of(self._made(ref)))
        except UnreadableReport as error:
            raise TargetError(str(error)) from error

    def inventory(
        self,
        ref: MachineRef,
        names: Sequence[str],
        brought: Sequence[str] = (),
        keep_alive: KeepAlive = no_keep_alive,
    ) -> Inventory:
        folder = software.bundle(ref.key, {}).folder if brought else ""
        return software.inventory(agent_of(self._made(ref)), names, folder, keep_alive)

    def set_default_kernel(self, ref: MachineRef, version: str) -> None:
        inside.set_default_kernel(agent_of(self._made(ref)), version)

    def apply_security_groups(self, ref: MachineRef, groups: tuple[SecurityGroup, ...]) -> Applied:
        return inside.apply_security_groups(agent_of(self._made(ref)), groups)

    def apply_bandwidth(self, ref: MachineRef, mbps: int) -> Applied:
        return inside.apply_bandwidth(agent_of(self._made(ref)), mbps)

    def tag(self, ref: MachineRef, tags: dict[str, str]) -> Applied:
        folder = self._made(ref)
        with folder.locked(no_keep_alive):
            folder.write(tags=dict(tags))
        observed = folder.read()["tags"]
        return Applied("monitoring_tags", observed == tags, json.dumps(observed, sort_keys=True))

    def destroy(self, key: str, keep_disks: bool = False) -> tuple[str, ...]:
        folder = self._folder(key)
        if not folder.path.is_dir():
            return ()
        with folder.locked(no_keep_alive):
            process.kill(folder)
            kept = {folder.raw, folder.qcow2, *folder.data_disks()} if keep_disks else set()
            removed = [
                path for path in sorted(folder.path.iterdir()) if path not in kept and path.name != ".lock"
            ]
            for path in removed:
                path.unlink()
            (folder.path / ".lock").unlink()
            if not any(folder.path.iterdir()):
                folder.path.rmdir()
        return tuple(path.name for path in removed)

    # -- finding things ------------------------------------------------------------------------------------------

    @property
    def _shelf(self) -> Path:
        """Packages for guests; its name is no key, so it is never taken for a machine."""
        return self.root / ".packages"

    def _folder(self, key: str) -> Folder:
        if not KEY.fullmatch(key):
            raise SpecRefused(f"key {key!r}: letters, digits and '-' only")
        return Folder(self.root / key)

    def _made(self, ref: MachineRef) -> Folder:
        folder = self._folder(ref.key)
        if not folder.path.is_dir() or "spec" not in folder.read():
            raise MachineMissing(f"no machine here carries {ref.key}")
        return folder


def _disk(folder: Folder) -> DiskRef | None:
    """The finished disk, whatever state of its way it is in."""
    record = folder.read()
    if not record.get("copied"):
        return None
    sealed = record.get("sealed", {}).get("format", "raw")
    path = folder.qcow2 if sealed == "qcow2" else folder.raw
    if not path.exists():
        return None
    size = (record.get("grown") or {}).get("disk_bytes", record["copied"]["virtual_bytes"])
    return DiskRef(folder.key, str(path), sealed, size)


def _copied(source: SourceDisk, final: Path, image_format: str, progress: Progress) -> int:
    """A compared copy at `final`, whole or not there at all; the virtual size in bytes."""
    path = Path(source.path)
    inside = images.member_part(path, source.member) if source.member else None
    source_format = "vmdk" if source.member else source.format
    size = images.inspect(path, source_format, inside)
    part = final.with_name(f"{final.name}.part")
    images.convert(path, source_format, part, image_format, size, _first_part(progress), inside)
    images.compare(path, source_format, part, image_format, size, _last_part(progress), inside)
    images.rename_durably(part, final)
    return size


def _origin(source: SourceDisk) -> dict:
    return {"from": source.path, "format": source.format, "member": source.member}


def _kept_format(image_format: str) -> str:
    if image_format not in ("raw", "qcow2"):
        raise SpecRefused(f"storage format {image_format!r}: this target keeps disks as raw or qcow2")
    return image_format


def _require_raw(folder: Folder) -> None:
    if process.pid_of(folder) is not None:
        raise PrepareRefused(f"machine {folder.key} is on: its disk cannot be changed from outside")
    if folder.read().get("sealed") or not folder.raw.exists():
        raise PrepareRefused(f"the disk of machine {folder.key} is not there to be changed any more")


@contextmanager
def _copy_lost_if_damaged(folder: Folder) -> Iterator[None]:
    """After damage the next `copy` begins anew, so that a retry of the step can succeed."""
    try:
        yield
    except FilesystemDamaged:
        folder.write(copied=None, grown=None, prepared=None)
        raise


def _prepare(folder: Folder, wanted: FirstBoot, bundles: list[Bundle]) -> Preparation:
    mac = mac_address(folder.key)
    try:
        return prepare_offline(folder.raw, wanted, mac, bundles)
    except FilesystemDamaged:
        raise  # a guest with a broken disk is not one to boot and hope for
    except PrepareRefused:
        if not wanted.cloud_init:
            raise
        return write_seed(folder.seed, wanted, folder.key, mac, bundles)


def _to_qcow2(folder: Folder, progress: Progress) -> None:
    part, size = folder.path / "disk.qcow2.part", folder.raw.stat().st_size
    images.convert(folder.raw, "raw", part, "qcow2", size, _first_part(progress))
    images.compare(folder.raw, "raw", part, "qcow2", size, _last_part(progress))
    images.rename_durably(part, folder.qcow2)


def _first_part(progress: Progress) -> Progress:
    return lambda done, total: progress(done * COMPARE_SHARE // (COMPARE_SHARE + 1), total)


def _last_part(progress: Progress) -> Progress:
    return lambda done, total: progress((total * COMPARE_SHARE + done) // (COMPARE_SHARE + 1), total)


def _command(folder: Folder, accelerator_name: str) -> list[str]:
    record = folder.read()
    spec = _spec(record["spec"])
    firmware = ovmf() if spec.firmware == "uefi" else None
    return qemu_command(
        spec, _disk(folder).format, record["forwards"], accelerator_name,
        seed=folder.seed.exists(), firmware_code=firmware.code if firmware else None,
        data=[path.name for path in folder.data_disks()],
    )  # fmt: skip


def _new_ports(folder: Folder) -> None:
    folder.write(forwards=allocate(_spec(folder.read()["spec"]).forwards))


def _ref(folder: Folder) -> MachineRef:
    record = folder.read()
    return MachineRef(QemuTarget.kind, folder.key, record["spec"]["name"], record["forwards"])


def _as_json(spec: MachineSpec) -> dict:
    return asdict(replace(spec, tags=dict(spec.tags)))


def _spec(data: dict) -> MachineSpec:
    groups = tuple(
        SecurityGroup(group["name"], tuple(Rule(**rule) for rule in group["rules"]))
        for group in data["security_groups"]
    )
    forwards = tuple(Forward(**forward) for forward in data["forwards"])
    return MachineSpec(
        **{**data, "devices": tuple(data["devices"]), "security_groups": groups, "forwards": forwards}
    )


def _available_mib() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) // 1024
    return 0
