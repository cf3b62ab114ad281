"""This machine as a target: QEMU, with or without KVM, without root, without libvirt."""

import json
import os
import shutil
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import ClassVar

from analyzer.domain.facts import Facts
from migrations_engine.domain import enforcement as rows
from migrations_engine.domain.machine import (
    Applied,
    Concern,
    DiskRef,
    Enforcement,
    Forward,
    MachineRef,
    MachineSpec,
    PowerState,
    Rule,
    SecurityGroup,
    Status,
)
from migrations_engine.targets.base import (
    KeepAlive,
    MachineMissing,
    SpecRefused,
    TargetInfo,
    Trial,
    no_keep_alive,
)
from migrations_engine.targets.qemu import boot, process, qmp, usernet
from migrations_engine.targets.qemu.accelerator import accelerator
from migrations_engine.targets.qemu.agent import Agent
from migrations_engine.targets.qemu.boot import Boot, agent_of
from migrations_engine.targets.qemu.command import qemu_command
from migrations_engine.targets.qemu.concerns import concerns
from migrations_engine.targets.qemu.firmware import firmware_of, ovmf
from migrations_engine.targets.qemu.folder import Folder
from migrations_engine.targets.qemu.forwards import allocate
from migrations_engine.targets.qemu.guest import GUEST_CAPS, InGuest
from migrations_engine.targets.qemu.workbench import KEY, WORKBENCH_CAPS, Workbench, finished_disk

PROGRAMS = ("qemu-system-x86_64", "qemu-img", "bwrap", "debugfs", "sfdisk")


class QemuTarget(Workbench, InGuest):
    """See `Target`. Everything lies under `root`, a folder for each key."""

    kind: ClassVar[str] = "qemu"
    caps: ClassVar[frozenset[str]] = WORKBENCH_CAPS | GUEST_CAPS | {"console", "tags"}

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

    def trial(self) -> Trial:
        """Its accelerator was tried by booting; the folder and the programs are what else a run needs."""
        found = self.probe().accelerator
        missing = [f"the program {name}" for name in PROGRAMS if shutil.which(name) is None]
        if not os.access(self.root, os.W_OK):
            missing.append(f"the right to write below {self.root}")
        return Trial(found, missing=tuple(missing))

    def check(self, spec: MachineSpec, facts: Facts, kernel: str | None = None) -> tuple[Concern, ...]:
        return concerns(spec, facts, self.probe(), kernel)

    def enforcement(self, spec: MachineSpec, facts: Facts) -> tuple[Enforcement, ...]:
        return rows.enforcement(spec, facts)

    # -- the machine ---------------------------------------------------------------------------------------------

    def create(self, spec: MachineSpec, disk: DiskRef) -> MachineRef:
        folder = self._folder(spec.key)
        with folder.locked(no_keep_alive):
            if "spec" in folder.read():
                return _ref(folder)
            if finished_disk(folder) is None:
                raise SpecRefused(f"machine {spec.key} has no disk yet")
            if len(folder.data_disks()) != spec.data_disks:
                raise SpecRefused(f"machine {spec.key} does not have its {spec.data_disks} further disks yet")
            if firmware := firmware_of(spec):
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

    def keys(self) -> tuple[str, ...]:
        return self.workbench_keys()

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

    def accepted(self, ref: MachineRef, host_port: int) -> bool:
        return usernet.is_taken(self._made(ref).path / "qmp.sock", host_port)

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
            return folder.remove(kept)

    # -- finding things ------------------------------------------------------------------------------------------

    def agent(self, ref: MachineRef) -> Agent:
        return agent_of(self._made(ref))

    def _made(self, ref: MachineRef) -> Folder:
        folder = self._folder(ref.key)
        if not folder.path.is_dir() or "spec" not in folder.read():
            raise MachineMissing(f"no machine here carries {ref.key}")
        return folder


def _command(folder: Folder, accelerator_name: str) -> list[str]:
    record = folder.read()
    spec = _spec(record["spec"])
    firmware = firmware_of(spec)
    return qemu_command(
        spec, finished_disk(folder).format, record["forwards"], accelerator_name,
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
    lists = {name: tuple(data.get(name, ())) for name in ("devices", "personas")}  # records of before name nobody
    return MachineSpec(**{**data, **lists, "security_groups": groups, "forwards": forwards})


def _available_mib() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) // 1024
    return 0
