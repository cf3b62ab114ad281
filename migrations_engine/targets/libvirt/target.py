"""A hypervisor that libvirt keeps, here or elsewhere: disks are made on this machine and uploaded to its pool.

What a run makes there carries its key: the domain's metadata and UUID, the names of volumes and of the filter. A domain
is defined last, when all its volumes were compared, so a domain that is there is whole; libvirt cannot rename a volume.
"""

import contextlib
import json
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import ClassVar
from xml.etree import ElementTree

from analyzer.domain.facts import Facts
from analyzer.sources.libvirt.xml import read_xml
from migrations_engine.domain import enforcement as rows
from migrations_engine.domain.boot_console import READ, BootConsole, last_words
from migrations_engine.domain.machine import (
    Applied,
    Concern,
    DiskRef,
    Enforcement,
    MachineRef,
    MachineSpec,
    PowerState,
    SecurityGroup,
    Status,
)
from migrations_engine.targets.base import (
    AgentUnavailable,
    KeepAlive,
    MachineFailed,
    MachineMissing,
    Progress,
    SpecRefused,
    TargetInfo,
    Trial,
    no_keep_alive,
    no_progress,
)
from migrations_engine.targets.libvirt import marks, probe, trial
from migrations_engine.targets.libvirt.agent import LibvirtAgent
from migrations_engine.targets.libvirt.domain import KBYTES_PER_MBIT, Layout, Volume, domain_xml
from migrations_engine.targets.libvirt.filters import filter_xml, told
from migrations_engine.targets.libvirt.link import LibvirtFailed, Link
from migrations_engine.targets.libvirt.marks import Mark, filter_name, parse_mark, volume_name
from migrations_engine.targets.libvirt.place import Place
from migrations_engine.targets.libvirt.pool import Pool
from migrations_engine.targets.qemu.agent_packages import FAILED
from migrations_engine.targets.qemu.command import mac_address, machine_uuid
from migrations_engine.targets.qemu.concerns import concerns
from migrations_engine.targets.qemu.folder import Folder
from migrations_engine.targets.qemu.guest import GUEST_CAPS, InGuest
from migrations_engine.targets.qemu.workbench import KEY, WORKBENCH_CAPS, Workbench, finished_disk

OFF = frozenset({"shut off", "crashed"})
LOOK_S = 1.0  # each look is a process and a round trip
GOES_S = 30  # what libvirt itself needs to end a QEMU
ISOLATED = "a rehearsal's card has its link down, since the source goes on under the same addresses"
NO_WAY_IN = "no port is forwarded to it from here: TCP and HTTP checks are asked inside the guest"


class LibvirtTarget(Workbench, InGuest):
    """See `Target`. Disks are prepared under `root`, a folder for each key, which is empty once a machine is made."""

    kind: ClassVar[str] = "libvirt"
    caps: ClassVar[frozenset[str]] = WORKBENCH_CAPS | GUEST_CAPS | {"console", "tags"}

    def __init__(self, *, root: Path, place: Place):
        super().__init__(root=root)
        self.place = place
        self.link = Link(place)
        self.pool = Pool(self.link, place.pool)
        self._info: TargetInfo | None = None

    def probe(self) -> TargetInfo:
        """Disks are made and sealed under `root` before they are uploaded, so there must be room in both places."""
        if self._info is None:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            told, here = probe.probe(self.link), shutil.disk_usage(self.root).free
            self._info = replace(told, free_bytes=min(told.free_bytes, here))
        return self._info

    def trial(self) -> Trial:
        return trial.trial(self.link)

    def check(self, spec: MachineSpec, facts: Facts, kernel: str | None = None) -> tuple[Concern, ...]:
        found = concerns(spec, facts, self.probe(), kernel, network=self._network, refused=self._refused)
        if spec.forwards:
            found += (Concern("information", "network", NO_WAY_IN),)
        if spec.isolated and self.place.network:
            found += (Concern("information", "network", ISOLATED),)
        return found

    def enforcement(self, spec: MachineSpec, facts: Facts) -> tuple[Enforcement, ...]:
        return rows.enforcement(spec, facts, self._network)

    # -- the disks -----------------------------------------------------------------------------------------------

    def seal(self, disk: DiskRef, format: str, progress: Progress = no_progress) -> DiskRef:
        """As on the workbench, then uploaded to the pool with the disks beside it, and compared there."""
        sealed = super().seal(disk, format, lambda done, total: progress(done // 2, total))
        folder = self._folder(disk.key)
        with folder.locked(lambda: progress(0, 0)):
            files = self._to_upload(folder, sealed)
            for number, (volume, file, size) in enumerate(files):
                part = _upload_part(progress, number, len(files))
                self._ensure_uploaded(folder, volume, file, size, part)
        return sealed

    def _to_upload(self, folder: Folder, sealed: DiskRef) -> list[tuple[Volume, Path, int]]:
        """(volume, file, virtual size), the disk that boots first."""
        known = folder.read().get("data") or {}
        sizes = [sealed.virtual_bytes, *(known[index]["virtual_bytes"] for index in sorted(known, key=int))]
        files = [Path(sealed.path), *folder.data_disks()]
        found = [
            (_disk_volume(folder.key, number, file.suffix[1:]), file, size)
            for number, (file, size) in enumerate(zip(files, sizes, strict=True))
        ]
        if folder.seed.exists():
            name = volume_name(folder.key, "seed", "iso")
            found.append((Volume(name, "raw"), folder.seed, folder.seed.stat().st_size))
        return found

    def _ensure_uploaded(self, folder: Folder, volume: Volume, file: Path, size: int, progress: Progress) -> None:
        uploaded = folder.read().get("uploaded") or {}
        if volume.name not in uploaded or volume.name not in self.pool.volumes(folder.key):
            sha256 = self.pool.upload(file, volume, size, progress)
            folder.write(uploaded={**uploaded, volume.name: {"format": volume.format, "sha256": sha256}})

    # -- the machine ---------------------------------------------------------------------------------------------

    def create(self, spec: MachineSpec, disk: DiskRef) -> MachineRef:
        folder = self._folder(spec.key)
        with folder.locked(no_keep_alive):
            if (found := self._mark(spec.key)) is None:
                layout = self._layout(spec, folder)
                if layout.filter:
                    self._ensure_filter(spec.key, spec.security_groups)
                self.link.ask("define", "/dev/stdin", stdin=domain_xml(spec, layout))
                found = marks.mark_of(spec)
            folder.remove()  # what was prepared here is at the hypervisor now
        return _ref(found)

    def _layout(self, spec: MachineSpec, folder: Folder) -> Layout:
        if finished_disk(folder) is None:
            raise SpecRefused(f"machine {spec.key} has no disk yet")
        if len(folder.data_disks()) != spec.data_disks:
            raise SpecRefused(f"machine {spec.key} does not have its {spec.data_disks} further disks yet")
        volumes = [volume for volume, _, _ in self._to_upload(folder, finished_disk(folder))]
        uploaded = folder.read().get("uploaded") or {}
        if absent := [volume.name for volume in volumes if volume.name not in uploaded]:
            raise SpecRefused(f"machine {spec.key}: {', '.join(absent)} was not uploaded yet")
        seed = volume_name(spec.key, "seed", "iso") if folder.seed.exists() else ""
        return Layout(
            self.place.accelerator or "tcg",
            self.place.pool,
            [volume for volume in volumes if volume.name != seed],
            self.pool.ensure_text(_console(spec.key)),
            self.place.network,
            seed,
            filter_name(spec.key) if spec.security_groups and self._network.filters else "",
        )

    def keys(self) -> tuple[str, ...]:
        uuids = self.link.ask("list", "--all", "--uuid").split()
        domains = {mark.key for uuid in uuids if (mark := self._mark_of_domain(uuid))}
        return tuple(sorted(domains | self.pool.keys() | set(self.workbench_keys())))

    def machines(self, key: str | None = None) -> tuple[MachineRef, ...]:
        if key is not None:
            found = self._mark(key) if KEY.fullmatch(key) else None
            return (_ref(found),) if found else ()
        uuids = self.link.ask("list", "--all", "--uuid").split()
        found = [mark for uuid in uuids if (mark := self._mark_of_domain(uuid))]
        return tuple(_ref(mark) for mark in found if str(machine_uuid(mark.key)) in uuids)

    def power(self, ref: MachineRef, want: PowerState, timeout_s: float = 60, hard: bool = False) -> Status:
        uuid = self._uuid(ref)
        if want == "on":
            self._start(uuid)
        else:
            self._stop(ref, 0 if hard else timeout_s)
        return Status("off" if self._state(uuid) in OFF else "on")

    def _start(self, uuid: str) -> None:
        if self._state(uuid) == "paused":
            self.link.ask("resume", uuid)
            return
        try:
            self.link.ask("start", uuid)
        except LibvirtFailed as error:
            if error.kind != "running" and "already active" not in str(error):
                raise MachineFailed(str(error)) from error

    def _stop(self, ref: MachineRef, patience_s: float) -> None:
        """By the guest itself; by libvirt when its patience is over, or is 0."""
        uuid = self._uuid(ref)
        if self._state(uuid) in OFF:
            return
        if patience_s > 0:
            self._ask_to_end(ref, uuid)
            if self._wait_off(uuid, patience_s):
                return
        with _already(("not_running",)):
            self.link.ask("destroy", uuid)
        if not self._wait_off(uuid, GOES_S):
            raise MachineFailed(f"machine {ref.key} cannot be ended")

    def _ask_to_end(self, ref: MachineRef, uuid: str) -> None:
        mode = "agent" if self.agent(ref).answers(2) else "acpi"  # acpi: the power button
        with _already(("not_running", "agent", "timeout")):
            self.link.ask("shutdown", uuid, "--mode", mode)

    def _wait_off(self, uuid: str, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        while self._state(uuid) not in OFF:
            if time.monotonic() > deadline:
                return False
            time.sleep(LOOK_S / 2)
        return True

    def reset(self, ref: MachineRef, timeout_s: float = 60) -> None:
        """In a QEMU started anew, which boots quicker under emulation (see qemu/boot.py)."""
        uuid = self._uuid(ref)
        if self._state(uuid) in OFF:
            raise MachineFailed(f"machine {ref.key} is not running")
        self._stop(ref, timeout_s)
        self._start(uuid)

    def status(self, ref: MachineRef) -> Status:
        try:  # not patiently: a page waits for the answer
            state = self._state(self._uuid(ref, patient=False), patient=False)
        except MachineMissing:
            return Status("missing")
        if state in OFF:
            return Status("off")
        return Status("on", self.agent(ref).answers(1), state)

    def console(self, ref: MachineRef, max_bytes: int = 65536) -> str:
        self._uuid(ref)
        return self.pool.end_of(_console(ref.key), max_bytes)

    def wait_ready(self, ref: MachineRef, timeout_s: float, keep_alive: KeepAlive = no_keep_alive) -> None:
        uuid, agent = self._uuid(ref), self.agent(ref)
        deadline, console = time.monotonic() + timeout_s, BootConsole(FAILED)
        while not agent.answers(1):
            keep_alive()
            said = self.console(ref, READ)
            if told_hopeless := console.verdict(said, time.monotonic()):
                raise AgentUnavailable(told_hopeless)
            if self._state(uuid) != "running":
                raise MachineFailed(f"the machine stopped while booting; its console ends: {last_words(said)}")
            if time.monotonic() > deadline:
                raise AgentUnavailable(f"no guest agent within {timeout_s:.0f} s; the console ends: {last_words(said)}")
            time.sleep(LOOK_S)

    def accepted(self, ref: MachineRef, host_port: int) -> bool:
        return False  # no port is forwarded to a machine here

    # -- settings ------------------------------------------------------------------------------------------------

    def apply_security_groups(self, ref: MachineRef, groups: tuple[SecurityGroup, ...]) -> Applied:
        if not self._network.filters:
            return super().apply_security_groups(ref, groups)
        setting, name = "network.security_groups", filter_name(ref.key)
        self._ensure_filter(ref.key, groups)
        wanted = told(read_xml(filter_xml(ref.key, groups)))
        found = told(self.link.xml("nwfilter-dumpxml", name))
        if missing := [rule for rule in wanted if rule not in found]:
            return Applied(setting, False, str(found), f"the filter lacks {missing}")
        bound = self.link.ask("nwfilter-binding-list")
        holds = any(line.split()[-1:] == [name] for line in bound.splitlines())
        return Applied(setting, holds, f"{name}: {len(found)} rules", "" if holds else "no card has the filter")

    def _ensure_filter(self, key: str, groups: tuple[SecurityGroup, ...]) -> None:
        try:
            uuid = self.link.xml("nwfilter-dumpxml", filter_name(key)).findtext("uuid") or ""
        except LibvirtFailed as error:
            if error.kind != "gone":
                raise
            uuid = ""
        self.link.ask("nwfilter-define", "/dev/stdin", stdin=filter_xml(key, groups, uuid))

    def apply_bandwidth(self, ref: MachineRef, mbps: int) -> Applied:
        if not self._network.limits:
            return super().apply_bandwidth(ref, mbps)
        uuid, mac, average = self._uuid(ref), mac_address(ref.key), str(mbps * KBYTES_PER_MBIT)
        self.link.ask(
            "domiftune", uuid, mac, "--inbound", average, "--outbound", average, "--live", "--config"
        )
        listed = self.link.ask("domiftune", uuid, mac, "--live")
        values = dict(line.replace(" ", "").split(":", 1) for line in listed.splitlines() if ":" in line)
        holds = values.get("inbound.average") == values.get("outbound.average") == average
        return Applied("network.bandwidth_mbps", holds, listed)

    def tag(self, ref: MachineRef, tags: dict[str, str]) -> Applied:
        uuid, mark = self._uuid(ref), self._mark(ref.key)
        document = marks.element(replace(mark, tags=tags), namespace="")
        live = () if self._state(uuid) in OFF else ("--live",)
        words = ("metadata", uuid, marks.NAMESPACE, "--key", marks.PREFIX, "--config", *live)
        self.link.ask(*words, "--set", ElementTree.tostring(document, encoding="unicode"))
        observed = dict(self._mark(ref.key).tags)
        return Applied("monitoring_tags", observed == tags, json.dumps(observed, sort_keys=True))

    # -- the end -------------------------------------------------------------------------------------------------

    def destroy(self, key: str, keep_disks: bool = False) -> tuple[str, ...]:
        folder = self._folder(key)
        removed = self._undefine(key)
        with _already(("gone", "unsupported")):
            self.link.ask("nwfilter-undefine", filter_name(key))
            removed.append(filter_name(key))
        self.pool.refresh()  # a log that was rotated
        for name in self.pool.volumes(key):
            if not (keep_disks and ".disk" in name) and self.pool.delete(name):
                removed.append(name)
        if folder.path.is_dir():
            with folder.locked(no_keep_alive):
                removed += folder.remove()
        return tuple(removed)

    def _undefine(self, key: str) -> list[str]:
        if self._mark(key) is None:
            return []
        uuid = str(machine_uuid(key))
        with _already(("not_running", "gone")):
            self.link.ask("destroy", uuid)
        with _already(("gone",)):
            options = ("--nvram", "--managed-save", "--snapshots-metadata", "--checkpoints-metadata")
            self.link.ask("undefine", uuid, *options)
        return ["machine"]

    # -- finding things ------------------------------------------------------------------------------------------

    def agent(self, ref: MachineRef) -> LibvirtAgent:
        return LibvirtAgent(self.link, self._uuid(ref))

    @property
    def _network(self) -> rows.Network:
        if not self.place.network:
            return rows.Network(reach="nothing reaches it")
        return rows.Network(
            f"the network {self.place.network}",
            limits="bandwidth" in self.place.enforces,
            filters="filters" in self.place.enforces,
            reach=f"all of the network {self.place.network} reaches it",
        )

    def _refused(self, spec: MachineSpec) -> str:
        disks = [_disk_volume(spec.key, number, "qcow2") for number in range(spec.data_disks + 1)]
        try:
            domain_xml(spec, Layout("tcg", self.place.pool, disks, "/", self.place.network))
        except SpecRefused as error:
            return str(error)
        return ""

    def _uuid(self, ref: MachineRef, patient: bool = True) -> str:
        if not KEY.fullmatch(ref.key) or self._mark(ref.key, patient) is None:
            raise MachineMissing(f"no machine here carries {ref.key}")
        return str(machine_uuid(ref.key))

    def _mark(self, key: str, patient: bool = True) -> Mark | None:
        found = self._mark_of_domain(str(machine_uuid(key)), patient)
        return found if found and found.key == key else None

    def _mark_of_domain(self, uuid: str, patient: bool = True) -> Mark | None:
        """None where there is no such domain, or one that is not ours."""
        try:
            return parse_mark(self.link.xml("metadata", uuid, marks.NAMESPACE, patient=patient))
        except LibvirtFailed as error:
            if error.kind == "gone" or "metadata" in str(error):
                return None
            raise

    def _state(self, uuid: str, patient: bool = True) -> str:
        try:
            return self.link.ask("domstate", uuid, patient=patient)
        except LibvirtFailed as error:
            if error.kind == "gone":
                raise MachineMissing(f"the machine {uuid} is gone") from error
            raise


@contextlib.contextmanager
def _already(kinds: tuple[str, ...]):
    """What is to be done may have been done before."""
    try:
        yield
    except LibvirtFailed as error:
        if error.kind not in kinds:
            raise


def _upload_part(progress: Progress, number: int, count: int) -> Progress:
    """The second half of a seal, shared by `count` files."""
    return lambda done, total: progress((total + (number * total + done) // count) // 2, total)


def _disk_volume(key: str, number: int, image_format: str) -> Volume:
    return Volume(volume_name(key, f"disk{number}", image_format), image_format)


def _console(key: str) -> str:
    return volume_name(key, "console", "log")


def _ref(mark: Mark) -> MachineRef:
    return MachineRef(LibvirtTarget.kind, mark.key, mark.name)
