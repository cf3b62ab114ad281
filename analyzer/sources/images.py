"""A directory of disk images as a source: each image is a machine, an OVA with all the disks it holds.

A folder below it whose images are named as the disks of one machine is that machine (see `domain/disk_names.py`). It
is listed whole or not at all: a disk that is still being copied, or cannot be read, keeps the others back.

Which machine is which? A file has no id of its own, and every single sign of it fails somewhere: the path
when it is renamed, the inode when rsync or `qemu-img convert` replaces the file by a newer copy of the same
machine, a hash of the first bytes when two machines were cloned from one image. So the external id is made
once, from all three (of the first disk's file), and recognised again by two rules, in this order:

1. the same path is the same machine (a refreshed copy keeps its history);
2. a file at a new path with the inode *and* the first 64 KiB that a vanished machine had when it was first
   seen is that machine, moved. Both, because a file system soon gives a deleted file's inode to a new file.

A copy that was refreshed and then renamed between two looks is therefore a new machine.
"""

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from analyzer.domain.disk_names import UNFINISHED, Ambiguous, disks_of_folder
from analyzer.domain.image_format import HEAD_BYTES, TAIL_BYTES, sniff
from analyzer.domain.image_header import BadHeader, virtual_size
from analyzer.domain.ova import BadOva, Ova, OvaDisk, read_ova
from analyzer.domain.partitions import BIOS_BOOT, ESP, read_table
from analyzer.domain.printable import printable
from analyzer.sources.base import (
    BlockReader,
    CopySession,
    Extent,
    FoundDisk,
    Machine,
    Refused,
    Skipped,
    SourceChanged,
)

DEEPEST = 4  # directories below the source's own
MOST_FILES = 20_000
_MARKED_BYTES = 64 * 1024  # what of a file's start goes into its id
_DISK_SUFFIXES = (".raw", ".img", ".qcow2", ".vmdk", ".vhd", ".vhdx", ".vdi", *UNFINISHED)


class ImageDirectory:
    kind: ClassVar[str] = "images"
    caps: ClassVar[frozenset[str]] = frozenset({"disk_read", "extents"})

    def __init__(self, location: str):
        self.root = Path(location)

    def probe(self) -> dict[str, str]:
        if not self.root.is_absolute() or not self.root.is_dir():
            raise Refused(f"{printable(str(self.root))} is not a directory on this machine.")
        files, skipped = self._walk()
        return {
            "kind": self.kind,
            "location": printable(str(self.root), 1000),
            "files": str(len(files)),
            "skipped": str(len(skipped)),
        }

    def machines(
        self, cursor: str | None = None, known: Mapping[str, str] | None = None
    ) -> Iterator[Machine | Skipped]:
        """In the order of paths; `cursor` is an external_id of `known`, or a path."""
        files, skipped = self._walk()
        known = dict(known or {})
        after = known.get(cursor or "", cursor)
        looked = [self._look(path) for path in files]
        images, doubles = _without_links([each for each in looked if isinstance(each, _Image)])
        skipped += [self._skipped(path, f"the same file as {first.name}") for path, first in doubles]
        found, kept_back = self._grouped(images, files)
        ids = _recognised([first for _, (first, *_) in found], known)
        if after is None:  # a later page need not hear it again
            yield from [*skipped, *kept_back]
            yield from (each for each in looked if isinstance(each, Skipped))
        for name, disks in found:
            place = str(disks[0].path)
            if after is None or place > after:
                yield _machine(ids[place], name, disks)

    def _grouped(self, images: list["_Image"], files: list[Path]) -> "tuple[list[_Named], list[Skipped]]":
        """Machines with their disks in order, and the folders whose machine is not whole."""
        by_folder: dict[Path, list[_Image]] = {}
        for image in images:
            by_folder.setdefault(image.path.parent, []).append(image)
        found, kept_back = [], []
        for folder, inside in by_folder.items():
            names = _disk_files(folder, inside, files) if folder != self.root else []
            try:
                disks = _whole(disks_of_folder(folder.name, names), inside)
            except (Ambiguous, _NotWhole) as error:
                kept_back.append(self._skipped(folder, str(error)))
                claimed = set(names)
            else:
                found += [(printable(folder.name, 200), disks)] if disks else []
                claimed = {disk.path.name for disk in disks}
            found += [(image.name, [image]) for image in inside if image.path.name not in claimed]
        return sorted(found, key=lambda each: each[1][0].path), kept_back

    def prepare(self, machine: Machine, mode: str = "cold") -> CopySession:
        """A file needs no preparing; its state is noted, so that `release` can tell whether it held still."""
        return CopySession(machine, tuple(_mark(disk.path) for disk in machine.disks))

    def disk(self, session: CopySession, index: int) -> BlockReader:
        disk = session.machine.disks[index]
        if disk.format != "raw":
            raise Refused(f"A {disk.format} image is read by qemu-img, not block by block.")
        return RawReader(disk.path)

    def release(self, session: CopySession) -> None:
        for disk, before in zip(session.machine.disks, session.marks, strict=True):
            if _mark(disk.path) != before:
                raise SourceChanged(f"{printable(disk.path.name)} was written to while it was read.")

    def _walk(self) -> tuple[list[Path], list[Skipped]]:
        """Regular files below the directory, sorted; links are never followed. Raises Refused."""
        files, skipped, pending = [], [], [(self.root, 0)]
        while pending:
            directory, depth = pending.pop()
            try:
                entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
            except OSError as error:
                if directory == self.root:
                    raise Refused(f"The directory cannot be listed: {error.strerror}.") from None
                skipped.append(self._skipped(directory, f"the directory cannot be listed: {error.strerror}"))
                continue
            for entry in entries:
                path = Path(entry.path)
                if entry.is_symlink():
                    skipped.append(self._skipped(path, "a link: it could lead out of the directory"))
                elif entry.is_dir(follow_symlinks=False):
                    if depth < DEEPEST:
                        pending.append((path, depth + 1))
                elif entry.is_file(follow_symlinks=False):
                    files.append(path)
                else:
                    skipped.append(self._skipped(path, "not a regular file"))
            if len(files) > MOST_FILES:
                raise Refused(f"There are more than {MOST_FILES} files below it: give a smaller directory.")
        return sorted(files), skipped

    def _look(self, path: Path) -> "_Image | Skipped":
        if path.name.startswith(".") or path.suffix.lower() in UNFINISHED:
            return self._skipped(path, "hidden, or a copy that is not finished")
        try:
            return _examined(path)
        except (BadHeader, BadOva) as error:
            return self._skipped(path, str(error))
        except OSError as error:
            return self._skipped(path, f"it cannot be read: {error.strerror}")

    def _skipped(self, path: Path, reason: str) -> Skipped:
        return Skipped(printable(str(path.relative_to(self.root)), 1000), printable(reason, 500))


@dataclass(frozen=True)
class _Image:
    path: Path
    disks: tuple[FoundDisk, ...]  # more than one in an OVA
    inode: int
    device: int
    head: str  # hash of its first bytes
    firmware: str
    ova: Ova | None

    def new_id(self) -> str:
        place = hashlib.sha256(os.fsencode(self.path)).hexdigest()[:16]
        return f"{self.inode:x}.{self.head}.{place}"

    @property
    def name(self) -> str:
        return printable(self.path.stem, 200)


_Named = tuple[str, list[_Image]]  # a machine's name and its images, the one that boots first


class _NotWhole(ValueError):
    """A disk of a machine is missing; the message names it."""


def _machine(external_id: str, name: str, images: list[_Image]) -> Machine:
    first = images[0]
    vcpus, memory_mib = (first.ova.vcpus, first.ova.memory_mib) if first.ova else (None, None)
    disks = tuple(disk for image in images for disk in image.disks)
    return Machine(external_id, name, disks, first.firmware, "off", vcpus, memory_mib)


def _disk_files(folder: Path, images: list[_Image], files: list[Path]) -> list[str]:
    """Names in the folder that are disks, or would be when their copy is finished or mended."""
    readable = {image.path.name for image in images}
    inside = [path.name for path in files if path.parent == folder]
    return [name for name in inside if name in readable or name.lower().endswith(_DISK_SUFFIXES)]


def _whole(names: list[str], images: list[_Image]) -> list[_Image]:
    """The images of these names, in their order; none where none of them is one. Raises _NotWhole."""
    by_name = {image.path.name: image for image in images}
    if missing := [name for name in names if name not in by_name]:
        if len(missing) == len(names):
            return []
        raise _NotWhole(f"a machine of {len(names)} disks, of which {missing[0]} cannot be read")
    return [by_name[name] for name in names]


def _examined(path: Path) -> _Image:
    """Reads a few headers with memory-safe code: nothing here needs the sandbox. Raises OSError, BadHeader, BadOva."""
    # the file may have become something else since it was listed
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise BadHeader("not a regular file")

        def read(offset: int, length: int) -> bytes:
            return os.pread(descriptor, length, offset) if length > 0 and offset < 2**62 else b""

        head = read(0, HEAD_BYTES)
        found = sniff(head, read(max(status.st_size - TAIL_BYTES, 0), TAIL_BYTES))
        if found is None:
            raise BadHeader("not a disk image" if status.st_size else "the file is empty")
        if found == "raw" and head[32769:32774] == b"CD001":
            raise BadHeader("an installation medium (ISO 9660), not a machine's disk")
        ova = read_ova(read, status.st_size) if found == "ova" else None
        return _Image(
            path=path,
            disks=_disks(path, found, read, status, ova),
            inode=status.st_ino,
            device=status.st_dev,
            head=hashlib.sha256(head[:_MARKED_BYTES]).hexdigest()[:16],
            firmware=_firmware(read, status.st_size) if found == "raw" else "",
            ova=ova,
        )
    finally:
        os.close(descriptor)


def _disks(path: Path, found: str, read, status: os.stat_result, ova: Ova | None) -> tuple[FoundDisk, ...]:
    if ova is None:
        size = _possible(virtual_size(found, read, status.st_size))
        return (FoundDisk(path, found, size, status.st_blocks * 512),)
    return tuple(
        FoundDisk(path, found, _possible(_member_size(read, disk)), disk.size, disk.name)
        for disk in ova.disks
    )


def _member_size(read, disk: OvaDisk) -> int:
    return virtual_size("vmdk", lambda offset, length: read(disk.offset + offset, length), disk.size)


def _possible(size: int) -> int:
    if not 0 < size < 2**63:
        raise BadHeader("its header tells an impossible size")
    return size


def _firmware(read, size_bytes: int) -> str:
    """A guess for the list; the scan knows better. "" where the partition table does not tell."""
    table = read_table(read, size_bytes)
    types = {each.type for each in table.partitions}
    if table.kind == "mbr":
        return "uefi" if "0xef" in types else "bios"
    return "bios" if BIOS_BOOT in types else "uefi" if ESP in types else ""


def _without_links(images: list[_Image]) -> tuple[list[_Image], list[tuple[Path, Path]]]:
    """Images without second hard links, and those links with the path that stands for them: it is the same disk."""
    seen: dict[tuple[int, int], Path] = {}
    for image in images:
        seen.setdefault((image.device, image.inode), image.path)
    first = [seen[image.device, image.inode] for image in images]
    pairs = list(zip(images, first, strict=True))
    return (
        [image for image, path in pairs if path == image.path],
        [(image.path, path) for image, path in pairs if path != image.path],
    )


def _recognised(images: list[_Image], known: dict[str, str]) -> dict[str, str]:
    """Path -> external id, by the two rules of this module."""
    by_path = {path: external_id for external_id, path in known.items()}
    present = {str(image.path) for image in images}
    vanished = {
        _file_marks(external_id): external_id for external_id, path in known.items() if path not in present
    }
    ids, taken = {}, set(known)
    for image in images:
        place, fresh = str(image.path), image.new_id()
        # what was moved away and is at its old place again as another file must not get the same id
        found = by_path.get(place) or vanished.pop(_file_marks(fresh), None)
        while not found and fresh in taken:
            fresh += "+"
        ids[place] = found or fresh
        taken.add(ids[place])
    return ids


def _file_marks(external_id: str) -> str:
    """Inode and first bytes, without the place."""
    return external_id.rpartition(".")[0]


def _mark(path: Path) -> str:
    """Changes when anybody writes to the file. Raises Refused."""
    try:
        status = os.stat(path, follow_symlinks=False)
    except OSError as error:
        raise Refused(f"{printable(path.name)} cannot be read: {error.strerror}.") from None
    return f"{status.st_ino}-{status.st_size}-{status.st_mtime_ns}"


class RawReader:
    """A raw image, read with `pread`: any number of threads at once."""

    def __init__(self, path: Path):
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError as error:
            raise Refused(f"{printable(path.name)} cannot be read: {error.strerror}.") from None
        self.size = os.fstat(self._descriptor).st_size

    def extents(self) -> Iterator[Extent]:
        at = 0
        while at < self.size:
            data = self._next(at, os.SEEK_DATA)
            if data > at:
                yield Extent(at, data - at, data=False)
            if data < self.size:
                hole = self._next(data, os.SEEK_HOLE)
                yield Extent(data, hole - data, data=True)
                data = hole
            at = data

    def _next(self, at: int, whence: int) -> int:
        # a descriptor of its own: lseek moves the offset that all users of a descriptor share
        descriptor = os.open(f"/proc/self/fd/{self._descriptor}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.lseek(descriptor, at, whence)
        except OSError:
            return self.size  # ENXIO: no data from here on
        finally:
            os.close(descriptor)

    def read(self, offset: int, length: int) -> bytes:
        return os.pread(self._descriptor, length, offset)

    def close(self) -> None:
        os.close(self._descriptor)
