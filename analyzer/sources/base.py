"""What a source is: the contract that every place machines come from fulfils.

Worked example:

    source = source_of_kind("images", "/srv/images")
    source.probe()                                     # {"kind": "images", "location": …, "files": "3"}
    known = {vm.external_id: vm.disks.first().path for vm in vms}
    for found in source.machines(known=known):
        match found:
            case Machine(): ...                        # found.external_id is as it was the last time
            case Skipped(): ...                        # found.name, found.reason
    session = source.prepare(machine)
    try:
        reader = source.disk(session, 0)
        for extent in reader.extents():
            if extent.data:
                write(extent.offset, reader.read(extent.offset, extent.length))
    finally:
        source.release(session)                        # raises SourceChanged if somebody wrote meanwhile
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol


class SourceError(Exception):
    """Base of the failures that a source names; the message is one sentence for a person."""


class Refused(SourceError):
    """The source does not answer, does not let us in, or cannot do what was asked."""


class SourceChanged(SourceError):
    """The disk changed while it was read: the copy is not of one moment."""


@dataclass(frozen=True)
class FoundDisk:
    path: Path  # absolute
    format: str  # one of domain.image_format.FORMATS
    virtual_size_bytes: int
    allocated_bytes: int | None
    member: str = ""  # of an OVA: the disk's name in the archive


@dataclass(frozen=True)
class FoundNic:
    mac: str
    network: str


@dataclass(frozen=True)
class Machine:
    """A machine as a source shows it. None or "": the source does not tell."""

    external_id: str  # at most 200 characters
    name: str
    disks: tuple[FoundDisk, ...]  # the one that boots first
    firmware: str = ""  # "bios", "uefi" or ""
    power_state: str = "unknown"  # "on", "off", "unknown"
    vcpus: int | None = None
    memory_mib: int | None = None
    nics: tuple[FoundNic, ...] | None = None


@dataclass(frozen=True)
class Skipped:
    """Something that looked like a machine and is not one that can be taken."""

    name: str  # as the source calls it; of a file its path below the directory
    reason: str


@dataclass(frozen=True)
class Extent:
    offset: int
    length: int
    data: bool  # False: reads as zeros


@dataclass(frozen=True)
class CopySession:
    """A machine held still for copying: what `release` needs to undo or to check."""

    machine: Machine
    marks: tuple[str, ...]  # one a disk: its state when the session began


class BlockReader(Protocol):
    """A disk's bytes as the guest sees them. Every method MAY be called from several threads."""

    size: int

    def extents(self) -> Iterator[Extent]:
        """From 0 to `size` without a gap. A reader that cannot tell SHALL call everything data."""

    def read(self, offset: int, length: int) -> bytes:
        """Exactly those bytes, shorter only at the end of the disk. Raises OSError."""


class Source(Protocol):
    """SHALL never change the machine, its disks or its power state, beyond what `prepare` records for `release`."""

    kind: ClassVar[str]
    caps: ClassVar[frozenset[str]]  # of: disk_read, extents, usage, delta, power, snapshot, guest_exec

    def probe(self) -> dict[str, str]:
        """What answers, in words (kind, location, version …). Raises Refused."""

    def machines(
        self, cursor: str | None = None, known: Mapping[str, str] | None = None
    ) -> Iterator[Machine | Skipped]:
        """All machines in a stable order, from behind `cursor` (the external_id of the last one seen).

        `external_id` SHALL be the same at every call for one and the same machine, whatever its name; a
        source without ids of its own needs `known` for that: {external_id: where it was last seen}.
        One bad entry SHALL NOT raise; it is a Skipped with its reason. Raises Refused if nothing can be listed.
        """

    def prepare(self, machine: Machine, mode: str = "cold") -> CopySession:
        """Makes the disks fit to be read (snapshot, quiesce, power off). MAY be said again. Raises Refused."""

    def disk(self, session: CopySession, index: int) -> BlockReader:
        """Raises Refused for a disk that this source cannot read itself."""

    def release(self, session: CopySession) -> None:
        """Undoes `prepare`; SHALL be said whatever happened between. Raises SourceChanged, after undoing."""
