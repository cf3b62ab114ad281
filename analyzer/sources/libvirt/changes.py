"""What a running machine has written since a moment: libvirt keeps it in a bitmap of each disk, a *checkpoint*.

A checkpoint and the backup that begins at it are of one moment, so nothing is lost between two rounds. The bitmap lives
in the machine's qcow2 and survives its shutdown. What the guest wrote last, when it shut down, is read from the machine
started *paused*: none of its instructions runs, and the hypervisor shows the disk as ever, near or remote.
"""

import fcntl
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from analyzer.domain.extents import Changed, changed, covered
from analyzer.domain.libvirt_domain import DomainDisk
from analyzer.sources.base import Refused
from analyzer.sources.libvirt import sums
from analyzer.sources.libvirt.backup import PREFIX, Export, backup
from analyzer.sources.libvirt.connection import Failed, Hypervisor
from analyzer.sources.libvirt.copying import Watch, copy_export
from analyzer.sources.libvirt.nbd import MOST_READ, NbdExport

BITMAP = "changed"
ALLOCATION, DIRTY = "base:allocation", f"qemu:dirty-bitmap:{BITMAP}"
LOCK_S = 0.5
_LOST = re.compile(r"checkpoint .*not found|no domain checkpoint|bitmap|inconsistent", re.I)
_UNKEPT = re.compile(r"bitmap .*not found", re.I)  # its QEMU was killed before it had ever stored it
_ZEROS = bytes(1 << 20)


class ChangesLost(Refused):
    """The hypervisor cannot say any more what changed: everything must be read again."""


def prefix(owner: str) -> str:
    """What the names of an owner's checkpoints begin with."""
    return f"{PREFIX}{sha256(owner.encode()).hexdigest()[:12]}-"


def refusal(hypervisor: Hypervisor, uuid: str, disks: Sequence[DomainDisk]) -> str:
    """Why its changes cannot be told; "" where they can."""
    if other := next((disk for disk in disks if disk.format != "qcow2"), None):
        return f"its disk {other.target} is {other.format}, and only qcow2 keeps a bitmap of changes"
    if layered := next((disk for disk in disks if disk.is_layered), None):
        return f"its disk {layered.target} lies on top of another image, and such a one is not copied"
    if hypervisor.ask("snapshot-list", uuid, "--name"):
        return "it has snapshots, beside which libvirt keeps no bitmap of changes"
    return ""


def first(
    hypervisor: Hypervisor, uuid: str, disks: Sequence[DomainDisk], into: Path, watch: Watch, *, checkpoint: str, **at
) -> int:
    """The whole disks as they are at the moment of `checkpoint`. The bytes that the copies take."""
    files = staged(into, len(disks))
    with _alone(into, watch):
        with backup(hypervisor, uuid, disks, checkpoint=checkpoint, **at) as exports:
            for number, (export, file) in enumerate(zip(exports, files, strict=True)):
                copy_export(export.url, file, lambda p, n=number: watch(0.8 * (100 * n + p) / len(files)))
        for number, file in enumerate(files):
            sums.take(file, lambda p, n=number: watch(80 + 0.2 * (100 * n + p) / len(files)))
            _synced(file)
    return sum(file.stat().st_blocks * 512 for file in files)


def since(
    hypervisor: Hypervisor, uuid: str, disks: Sequence[DomainDisk], into: Path, watch: Watch, *,
    base: str, checkpoint: str = "", is_still: bool = False, **at,
) -> int:  # fmt: skip
    """Brings the staged disks from the moment of `base` to now, which becomes `checkpoint`. The bytes that changed.

    Said again after a crash it does no harm: what changed since `base` is written once more. Raises ChangesLost.
    """
    files, found = staged(into, len(disks)), []
    options = {"since": base, "checkpoint": checkpoint, "is_still": is_still}
    with _alone(into, watch):
        with _as_lost(), backup(hypervisor, uuid, disks, **options, **at) as exports:
            for number, (export, file) in enumerate(zip(exports, files, strict=True)):
                found.append(_applied(export, file, lambda p, n=number: watch((100 * n + p) / len(files))))
        for file, pieces in zip(files, found, strict=True):
            sums.renew(file, pieces)
    return sum(piece.length for pieces in found for piece in pieces)


def staged(folder: Path, count: int) -> list[Path]:
    return [folder / f"disk{number}.raw" for number in range(count)]


@contextmanager
def _as_lost() -> Iterator[None]:
    try:
        yield
    except Failed as error:
        if _LOST.search(str(error)):
            raise ChangesLost(str(error)) from None
        raise


@contextmanager
def paused(hypervisor: Hypervisor, uuid: str) -> Iterator[None]:
    """The machine, which is off, with its hypervisor's process but not one instruction of its guest. Raises Refused
    where somebody sets it running meanwhile. It is off afterwards."""
    hypervisor.ask("start", uuid, "--paused")
    try:
        yield
        if hypervisor.ask("domstate", uuid) != "paused":
            raise Refused("Somebody set the machine running while its last changes were read.")
    finally:
        discard_paused(hypervisor, uuid)


def discard_paused(hypervisor: Hypervisor, uuid: str) -> None:
    """Ends what a dead worker left paused; one that runs is left alone."""
    if hypervisor.ask("domstate", uuid) == "paused":
        _unless_gone(hypervisor, "destroy", uuid)


def release(hypervisor: Hypervisor, uuid: str, owner: str, keep: str = "") -> int:
    """No checkpoint of this owner but `keep` is there afterwards; how many went. A machine that is off stays so."""
    try:
        names = _checkpoints(hypervisor, uuid, owner)
    except Failed as error:
        if error.kind == "gone":
            return 0
        raise
    left = [name for name in names if name != keep]
    if not left:
        return 0
    if hypervisor.ask("domstate", uuid) in ("shut off", "crashed"):  # libvirt removes bitmaps of an active one only
        with paused(hypervisor, uuid):
            return _delete(hypervisor, uuid, left)
    return _delete(hypervisor, uuid, left)


def _checkpoints(hypervisor: Hypervisor, uuid: str, owner: str) -> list[str]:
    names = hypervisor.ask("checkpoint-list", uuid, "--name").split()
    return [name for name in names if name.startswith(prefix(owner))]


def _delete(hypervisor: Hypervisor, uuid: str, names: list[str]) -> int:
    for name in names:
        try:
            hypervisor.ask("checkpoint-delete", uuid, name)
        except Failed as error:
            if not _UNKEPT.search(str(error)):
                raise
            hypervisor.ask("checkpoint-delete", uuid, name, "--metadata")
    return len(names)


def _unless_gone(hypervisor: Hypervisor, *words: str) -> None:
    try:
        hypervisor.ask(*words)
    except Failed as error:
        if error.kind not in ("not_running", "gone"):
            raise


def _applied(export: Export, file: Path, watch: Watch) -> list[Changed]:
    """Reads what changed, and nothing else."""
    found: list[Changed] = []
    with NbdExport(export.socket, export.disk.target, contexts=(ALLOCATION, DIRTY)) as disk, open(file, "r+b") as copy:
        if disk.size != os.fstat(copy.fileno()).st_size:
            raise ChangesLost(f"The size of the disk {export.disk.target} has changed since it was copied.")
        for piece in _pieces(disk):
            _write(disk, piece, copy.fileno(), lambda at: watch(100 * at / disk.size))
            found.append(piece)
        copy.flush()
        os.fsync(copy.fileno())
    return found


def _pieces(disk: NbdExport) -> Iterator[Changed]:
    at = 0
    while at < disk.size:
        maps = disk.maps(at, disk.size - at)
        yield from changed(at, maps[DIRTY], maps[ALLOCATION])
        at += covered(maps[DIRTY], maps[ALLOCATION])


def _write(disk: NbdExport, piece: Changed, descriptor: int, told) -> None:
    at = piece.offset
    while at < piece.end:
        length = min(MOST_READ, piece.end - at, len(_ZEROS) if piece.zero else MOST_READ)
        data = _ZEROS[:length] if piece.zero else disk.read(at, length)
        if os.pwrite(descriptor, data, at) != length:
            raise OSError("the copy of the disk could not be written")
        at += length
        told(at)


def _synced(file: Path) -> None:
    with open(file, "rb") as copy:
        os.fsync(copy.fileno())


@contextmanager
def _alone(folder: Path, watch: Watch) -> Iterator[None]:
    """One worker at a time writes here; the kernel frees the lock of one that is killed."""
    with open(folder / ".lock", "w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                watch(0.0)
                time.sleep(LOCK_S)
        yield
