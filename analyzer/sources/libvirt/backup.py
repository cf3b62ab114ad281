"""The disks of a running machine as they are at one moment: QEMU serves them over NBD while the machine goes on.

libvirt's "pull" backup (libvirt.org/formatbackup.html): what the guest overwrites meanwhile is kept aside in a scratch
file beside the disk, and gone when the backup ends. Nothing of the machine or its disks changes.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, tostring

from analyzer.domain.libvirt_domain import DomainDisk
from analyzer.sources.base import Refused
from analyzer.sources.libvirt.connection import Failed, Hypervisor

PREFIX = "personas-"
BEGIN_S = 90.0  # a guest that writes much needs seconds to come to rest


@dataclass(frozen=True)
class Export:
    disk: DomainDisk
    url: str  # what qemu-img opens, as raw
    socket: Path  # a path of this machine


@contextmanager
def backup(
    hypervisor: Hypervisor, uuid: str, disks: Sequence[DomainDisk], *, folder: str, owner: str,
    since: str = "", checkpoint: str = "", is_still: bool = False,
) -> Iterator[list[Export]]:  # fmt: skip
    """Exports that last as long as the context. `folder`: where the hypervisor's QEMU may make a socket.

    `owner` names who makes it: what a dead worker of the same owner left is ended first, anybody else's backup is
    respected. Raises Refused.

    With `since`, a checkpoint, the exports also say what changed since then (bitmap "changed"). `checkpoint` names the
    moment of this backup. `is_still`: the guest is paused, so there is nobody to ask for a rest.
    """
    socket = f"{folder}/{PREFIX}{sha256(owner.encode()).hexdigest()[:12]}.sock"  # of at most 107 bytes
    _end_leftover(hypervisor, uuid, socket)
    _begin(hypervisor, uuid, _document(socket, disks, since), _moment(checkpoint, disks), is_still)
    try:
        here = hypervisor.socket_here(socket)
        yield [Export(disk, f"nbd+unix:///{disk.target}?socket={here}", Path(here)) for disk in disks]
    finally:
        _end(hypervisor, uuid)


def _document(socket: str, disks: Sequence[DomainDisk], since: str) -> str:
    root = Element("domainbackup", mode="pull")
    if since:
        SubElement(root, "incremental").text = since
    SubElement(root, "server", transport="unix", socket=socket)
    listed = SubElement(root, "disks")
    for disk in disks:
        bitmap = {"exportbitmap": "changed"} if since else {}
        one = SubElement(
            listed, "disk", name=disk.target, backup="yes", type="file", exportname=disk.target, **bitmap
        )
        SubElement(one, "scratch", file=_scratch(socket, disk))
    return tostring(root, encoding="unicode")


def _moment(name: str, disks: Sequence[DomainDisk]) -> str:
    """A checkpoint's document (libvirt.org/formatcheckpoint.html); "" without a name."""
    if not name:
        return ""
    root = Element("domaincheckpoint")
    SubElement(root, "name").text = name
    listed = SubElement(root, "disks")
    for disk in disks:
        SubElement(listed, "disk", name=disk.target, checkpoint="bitmap")
    return tostring(root, encoding="unicode")


def _begin(hypervisor: Hypervisor, uuid: str, document: str, moment: str, is_still: bool) -> None:
    """A guest with an agent writes out what it holds and waits, for the fraction of a second that the moment takes. One
    without is read as after a power cut: its file systems have journals for that.

    One process asks all three, so that a worker that is killed in between leaves no guest frozen; where that process
    was killed too, whoever takes over thaws.
    """
    with hypervisor.file(document) as path, hypervisor.file(moment) as other:
        begin = f"backup-begin {uuid} {path}" + (f" {other}" if moment else "")
        asked = begin if is_still else f"domfsfreeze {uuid}; {begin}; domfsthaw {uuid}"
        said = hypervisor.ask_all(asked, BEGIN_S)
    if "Froze" in said.stdout and "Thawed" not in said.stdout:
        _thaw(hypervisor, uuid)
    if "Backup started" not in said.stdout:
        raise said.failed("backup-begin")


def _thaw(hypervisor: Hypervisor, uuid: str) -> None:
    """A guest that stays frozen is a dead guest: said again before it is told."""
    for left in (2, 1, 0):
        try:
            hypervisor.ask("domfsthaw", uuid)
            return
        except Failed as error:
            if error.kind in ("not_running", "gone"):
                return
            if not left:
                told = "The guest's file systems may still be frozen; thaw them (virsh domfsthaw)"
                raise Refused(f"{told}: {error}") from None


def _scratch(socket: str, disk: DomainDisk) -> str:
    """Beside the disk's file, where its changes find room; of a block device in the folder of the socket."""
    return f"{disk.path if disk.kind == 'file' else socket}.{PREFIX}scratch-{disk.target}"


def _end_leftover(hypervisor: Hypervisor, uuid: str, socket: str) -> None:
    try:
        server = hypervisor.xml("backup-dumpxml", uuid).find("server")
    except Failed as error:
        if "no domain backup job" in str(error).lower() or error.kind in ("not_running", "unsupported"):
            return
        raise
    theirs = "" if server is None else server.get("socket", "")
    if theirs != socket:
        who = "a scan or run of ours" if Path(theirs).name.startswith(PREFIX) else "somebody else"
        raise Refused(f"The machine is being backed up by {who} ({theirs}): wait for its end.")
    _end(hypervisor, uuid)


def _end(hypervisor: Hypervisor, uuid: str) -> None:
    try:
        hypervisor.ask("domjobabort", uuid)
    except Failed as error:
        if error.kind not in ("not_running", "gone") and "no job is active" not in str(error):
            raise
