"""What a scan reads: the disks as files, or by way of the hypervisor; in a thread, while the lease is renewed."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from pathlib import Path
from threading import Event

from analyzer.domain.facts import Facts
from analyzer.models import Disk, Scan, VirtualMachine
from analyzer.scanner.scan import UnreadableImage, disk_images, scan_disks
from analyzer.services.hypervisors import disks_for_scan, hypervisor_of
from analyzer.services.scan_claims import LostClaim, renew
from analyzer.sources.base import SourceError
from personas.domain.canonical import sha256_of
from personas.errors import Refused

# (percent, what is happening); what it raises stops the scan and is raised again
Watch = Callable[[int, str], None]

NO_DISK_HERE = (
    "only an inventory file tells of this machine; a scan needs its disk, from a directory of images"
)
BEAT_S = 1.0  # how often a running scan looks at its watch


def disk_fingerprint(vm: VirtualMachine) -> str:
    """Hex digest that changes when a disk of the machine is written, replaced, added or removed; looks at the files'
    size, inode and times, never into them. Empty when a disk is not there. Sources that are not files have none."""
    seen = []
    if vm.source.is_libvirt:
        return ""  # its paths are those of the hypervisor's machine
    for disk in vm.disks.all():
        if not disk.path:
            return ""
        try:
            stat = Path(disk.path).stat()
        except OSError:
            return ""
        seen.append(
            [
                disk.index,
                disk.path,
                disk.format,
                stat.st_size,
                stat.st_ino,
                stat.st_mtime_ns,
                stat.st_ctime_ns,
            ]
        )
    return sha256_of(seen) if seen else ""


def read_disks(scan: Scan, disks: list[Disk], watch: Watch) -> Facts:
    """Renews the lease meanwhile; the reader has its own time limit."""
    if not disks:
        raise UnreadableImage("the machine has no disk")
    if not all(disk.path for disk in disks):
        raise UnreadableImage(NO_DISK_HERE)
    if scan.vm.source.is_libvirt:
        return _read_of_hypervisor(scan, watch)
    if missing := next((disk.path for disk in disks if not Path(disk.path).exists()), None):
        raise UnreadableImage(f"the disk is not there any more: {missing}")
    images = disk_images([(disk.path, disk.format) for disk in disks])
    with ThreadPoolExecutor(max_workers=1) as pool:
        reading = pool.submit(scan_disks, images)
        percent, message = 5, "reading the disk in its sandbox"
        while not is_done(reading):
            renew(scan, percent, message)
            watch(percent, message)
            percent = min(75, percent + 5)
        return reading.result()


def _read_of_hypervisor(scan: Scan, watch: Watch) -> Facts:
    """As `_read`; a machine that runs is read as it is at one moment, and goes on meanwhile."""
    stopped, fetched = Event(), [0.0]

    def followed(percent: float) -> None:
        fetched[0] = percent
        if stopped.is_set():
            raise LostClaim(str(scan.pk))

    def read() -> Facts:
        with disks_for_scan(hypervisor, scan.vm, followed) as files:
            fetched[0] = 100.0
            return scan_disks(disk_images([(file.path, file.format) for file in files]))

    try:
        hypervisor = hypervisor_of(scan.vm.source)
        with ThreadPoolExecutor(max_workers=1) as pool:
            reading = pool.submit(read)
            try:
                while not is_done(reading):
                    percent, message = 5 + int(fetched[0] * 0.6), "fetching the disks from the hypervisor"
                    renew(scan, percent, message)
                    watch(percent, message)
            except BaseException:
                stopped.set()
                raise
            return reading.result()
    except (SourceError, Refused) as error:
        raise UnreadableImage(str(error)) from None


def is_done(reading: Future) -> bool:
    try:
        reading.exception(timeout=BEAT_S)
    except NotYet:
        return False
    return True
