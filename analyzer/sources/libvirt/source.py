"""A hypervisor as a source: its domains, whether they run, their counters, and their disks as they are at one moment.

A domain is known by its UUID. One that runs is read through a backup, which does not disturb it; one that is off by its
file where the hypervisor is this machine, else the hypervisor sends the file.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from analyzer.domain.image_format import FORMATS
from analyzer.domain.libvirt_address import BadAddress, parse_libvirt_address
from analyzer.domain.libvirt_domain import Domain, DomainDisk, counters_of, domain_of
from analyzer.domain.printable import printable
from analyzer.sources.base import FoundDisk, FoundNic, Machine, Refused, Skipped
from analyzer.sources.libvirt import changes
from analyzer.sources.libvirt.backup import backup
from analyzer.sources.libvirt.connection import Failed, Hypervisor, connected
from analyzer.sources.libvirt.copying import Watch, copy_export, download
from analyzer.sources.ssh import Door, Login

ON, OFF = "on", "off"
_OFF = frozenset({"shut off", "crashed"})


@dataclass(frozen=True)
class DiskFile:
    """A disk as a file of this machine. `fetched`: a copy of ours, else the machine's own file."""

    path: str
    format: str
    fetched: bool


def nobody_watches(percent: float) -> None:
    """For a caller that waits."""


class LibvirtSource:
    kind: ClassVar[str] = "libvirt"
    caps: ClassVar[frozenset[str]] = frozenset({"disk_read", "usage", "power", "snapshot", "delta"})

    def __init__(
        self, location: str, *, login: Login | None = None, door: Door | None = None, socket_folder: str = ""
    ):
        """`socket_folder`: where the hypervisor's QEMU may make the socket of a backup. Raises Refused."""
        try:
            self.address = parse_libvirt_address(location)
        except BadAddress as error:
            raise Refused(str(error)) from None
        self.login, self.door, self.socket_folder = login, door, socket_folder

    def connect(self) -> AbstractContextManager[Hypervisor]:
        return connected(self.address, login=self.login, door=self.door)

    def probe(self) -> dict[str, str]:
        with self.connect() as hypervisor:
            lines = dict(
                line.partition(":")[::2]
                for line in hypervisor.ask("version", "--daemon").splitlines()
                if ":" in line
            )
            machines = len(hypervisor.ask("list", "--all", "--uuid").split())
        told = {
            "hypervisor": lines.get("Running hypervisor", ""),
            "libvirt": lines.get("Running against daemon", ""),
            "location": str(self.address),
            "machines": str(machines),
        }
        return {key: printable(value.strip(), 300) for key, value in told.items()}

    def machines(
        self, cursor: str | None = None, known: Mapping[str, str] | None = None
    ) -> Iterator[Machine | Skipped]:
        """In the order of UUIDs."""
        with self.connect() as hypervisor:
            running = set(
                hypervisor.ask("list", "--uuid").split()
            )  # paused ones as well: their disks are in use
            for uuid in sorted(hypervisor.ask("list", "--all", "--uuid").split()):
                if cursor is None or uuid > cursor:
                    yield _machine(hypervisor, uuid, uuid in running)

    def counters(self) -> dict[str, dict[str, str]]:
        """UUID → what `domstats` tells of each domain that runs."""
        with self.connect() as hypervisor:
            answer = counters_of(hypervisor.ask("domstats", "--raw", "--list-active"))
            named = (
                line.split(maxsplit=1) for line in hypervisor.ask("list", "--uuid", "--name").splitlines()
            )
            ids = {name.strip(): uuid for uuid, name in (pair for pair in named if len(pair) == 2)}
        return {ids[name]: values for name, values in answer.items() if name in ids}

    def power_state(self, external_id: str) -> str:
        with self.connect() as hypervisor:
            return _power(hypervisor, external_id)

    def power_refusal(self, external_id: str) -> str:
        """Why it could not be switched on again; "" where it can."""
        with self.connect() as hypervisor:
            told = hypervisor.ask("dominfo", external_id)
        is_persistent = any(line.split() == ["Persistent:", "yes"] for line in told.splitlines())
        return "" if is_persistent else "it is a transient domain: once it is off, libvirt knows it no more"

    def off_refusal(self, external_id: str) -> str:
        """Why its disks could not be read when it is off; "" where they can."""
        with self.connect() as hypervisor:
            disks = _domain(hypervisor, external_id).disks
            return next((why for disk in disks if (why := _unread(hypervisor, disk))), "")

    def ask_shutdown(self, external_id: str) -> None:
        """The guest is asked; whether it obeys is its own affair. Nothing happens to one that is off."""
        with self.connect() as hypervisor:
            _unless(hypervisor, "not_running", "shutdown", external_id)

    def switch_off(self, external_id: str) -> None:
        """As pulling the plug. Off afterwards, also when said twice."""
        with self.connect() as hypervisor:
            _unless(hypervisor, "not_running", "destroy", external_id)

    def switch_on(self, external_id: str) -> None:
        """On afterwards, also when said twice."""
        with self.connect() as hypervisor:
            _unless(hypervisor, "running", "start", external_id)

    def disk_files(
        self, external_id: str, folder: Path, *, owner: str, watch: Watch = nobody_watches
    ) -> list[DiskFile]:
        """The disks as they are at one moment, the one that boots first: copies in `folder` (made by the caller and
        empty, or holding what an earlier call of the same owner began), or the machine's own files. Raises Refused."""
        with self.connect() as hypervisor:
            disks = _domain(hypervisor, external_id).disks
            if not disks:
                raise Refused("The machine has no disk.")
            if _power(hypervisor, external_id) == ON:
                return self._running(hypervisor, external_id, disks, folder, owner, watch)
            if hypervisor.is_remote:
                return _downloaded(hypervisor, disks, folder, watch)
            return [DiskFile(_own_file(disk), disk.format, False) for disk in disks]

    def _running(
        self, hypervisor, external_id, disks, folder: Path, owner: str, watch: Watch
    ) -> list[DiskFile]:
        files = [folder / f"disk{number}.raw" for number in range(len(disks))]
        with backup(hypervisor, external_id, disks, folder=self.socket_folder, owner=owner) as exports:
            for number, (export, file) in enumerate(zip(exports, files, strict=True)):
                copy_export(export.url, file, _share(watch, number, len(disks)))
        return [DiskFile(str(file), "raw", True) for file in files]


    # -- copies that follow a running machine ------------------------------------------------------------------------

    def delta_refusal(self, external_id: str) -> str:
        """Why it cannot be told what the machine writes; "" where it can."""
        with self.connect() as hypervisor:
            return changes.refusal(hypervisor, external_id, _domain(hypervisor, external_id).disks)

    def copy_first(
        self, external_id: str, folder: Path, *, owner: str, checkpoint: str, watch: Watch = nobody_watches
    ) -> int:
        """The running machine's disks in `folder`, whole, as of the moment `checkpoint`; the bytes that they take."""
        with self.connect() as hypervisor:
            disks = _domain(hypervisor, external_id).disks
            changes.release(hypervisor, external_id, owner)
            at = {"folder": self.socket_folder, "owner": owner}
            return changes.first(hypervisor, external_id, disks, folder, watch, checkpoint=checkpoint, **at)

    def copy_changes(
        self, external_id: str, folder: Path, *, owner: str, base: str, checkpoint: str, watch: Watch = nobody_watches
    ) -> int:
        """Brings the disks in `folder` from `base` to now, the moment of `checkpoint`; the bytes that changed. `base`
        stays, for whoever has to do it again. Raises ChangesLost."""
        with self.connect() as hypervisor:
            disks = _domain(hypervisor, external_id).disks
            changes.release(hypervisor, external_id, owner, keep=base)
            at = {"folder": self.socket_folder, "owner": owner, "base": base}
            return changes.since(hypervisor, external_id, disks, folder, watch, checkpoint=checkpoint, **at)

    def copy_last(
        self, external_id: str, folder: Path, *, owner: str, base: str, watch: Watch = nobody_watches
    ) -> int:
        """As `copy_changes` of a machine that is off, and is off afterwards; no instruction of its guest runs."""
        with self.connect() as hypervisor:
            disks = _domain(hypervisor, external_id).disks
            at = {"folder": self.socket_folder, "owner": owner, "base": base}
            with changes.paused(hypervisor, external_id):
                return changes.since(hypervisor, external_id, disks, folder, watch, is_still=True, **at)

    def release_changes(self, external_id: str, *, owner: str) -> int:
        """No checkpoint of this owner is left on the machine; how many went."""
        with self.connect() as hypervisor:
            return changes.release(hypervisor, external_id, owner)

    def is_running(self, external_id: str) -> bool:
        """Its guest is at work; one that is paused is on, and does nothing."""
        with self.connect() as hypervisor:
            return hypervisor.ask("domstate", external_id) == "running"

    def discard_paused(self, external_id: str) -> None:
        """A machine that a dead worker left paused is off afterwards; one that runs is left alone."""
        with self.connect() as hypervisor:
            changes.discard_paused(hypervisor, external_id)


def _machine(hypervisor: Hypervisor, uuid: str, is_on: bool) -> Machine | Skipped:
    try:
        domain = _domain(hypervisor, uuid)
        sizes = _sizes(hypervisor, uuid)
        disks = tuple(_found(disk, sizes) for disk in domain.disks)
    except Failed as error:
        if error.kind in ("unreachable", "timeout"):
            raise  # it says nothing of this machine, nor of those that would come
        return Skipped(uuid, printable(str(error), 500))
    except Refused as error:
        return Skipped(uuid, printable(str(error), 500))
    if not disks:
        return Skipped(domain.name, "it has no disk")
    return Machine(
        external_id=domain.uuid,
        name=domain.name,
        disks=disks,
        firmware=domain.firmware,
        power_state=ON if is_on else OFF,
        vcpus=domain.vcpus,
        memory_mib=domain.memory_mib,
        nics=tuple(FoundNic(nic.mac, nic.network) for nic in domain.nics),
    )


def _domain(hypervisor: Hypervisor, uuid: str) -> Domain:
    try:
        return domain_of(hypervisor.xml("dumpxml", uuid))
    except ValueError as error:
        raise Refused(f"Its description cannot be read: {error}.") from None


def _sizes(hypervisor: Hypervisor, uuid: str) -> dict[str, tuple[int, int | None]]:
    """Target → (capacity, allocation) in bytes."""
    found = {}
    for line in hypervisor.ask("domblkinfo", uuid, "--all").splitlines():
        words = line.split()
        if len(words) >= 2 and words[1].isdecimal():
            found[words[0]] = (
                int(words[1]),
                int(words[2]) if len(words) > 2 and words[2].isdecimal() else None,
            )
    return found


def _found(disk: DomainDisk, sizes: dict) -> FoundDisk:
    capacity, allocated = sizes.get(disk.target, (0, None))
    if not capacity:
        raise Refused(f"The size of its disk {printable(disk.target)} is not known.")
    if not disk.path:
        raise Refused(
            f"Its disk {printable(disk.target)} is of the kind {printable(disk.kind)}, which is not read here."
        )
    if disk.format not in FORMATS:
        raise Refused(f"Its disk {printable(disk.target)} has the format {printable(disk.format)}.")
    return FoundDisk(Path(disk.path), disk.format, capacity, allocated)


def _power(hypervisor: Hypervisor, uuid: str) -> str:
    return OFF if hypervisor.ask("domstate", uuid) in _OFF else ON


def _unless(hypervisor: Hypervisor, kind: str, *words: str) -> None:
    try:
        hypervisor.ask(*words)
    except Failed as error:
        if error.kind != kind:
            raise


def _own_file(disk: DomainDisk) -> str:
    if disk.kind != "file" or not disk.path:
        raise Refused(f"Its disk {disk.target} is no file; start the machine, then it is read as a backup.")
    return disk.path


def _unread(hypervisor: Hypervisor, disk: DomainDisk) -> str:
    if disk.kind != "file" or not disk.path:
        return f"its disk {printable(disk.target)} is no file"
    path = printable(disk.path)
    if not hypervisor.is_remote:
        # whether we may read it is seen when it is off: libvirt has taken it from its owner, and gives it back
        return "" if os.path.exists(disk.path) else f"its disk {path} is not to be found by this service"
    try:
        hypervisor.ask("vol-info", disk.path)
    except Failed as error:
        if error.kind != "gone":
            raise
        return f"its disk {path} is in no active storage pool"
    return ""


def _downloaded(hypervisor: Hypervisor, disks, folder: Path, watch: Watch) -> list[DiskFile]:
    files = []
    for number, disk in enumerate(disks):
        file = folder / f"disk{number}.{disk.format}"
        try:
            download(hypervisor, _own_file(disk), file, _share(watch, number, len(disks)))
        except Refused as error:
            raise Refused(
                f"{error} A machine that is off must have its disks in an active storage pool."
            ) from None
        files.append(DiskFile(str(file), disk.format, True))
    return files


def _share(watch: Watch, number: int, count: int) -> Watch:
    return lambda percent: watch((100 * number + percent) / count)
