"""Step 1: what the source is. Its bytes are counted and its disk is read; nothing is written to it."""

from dataclasses import asdict
from pathlib import Path

from analyzer.domain.facts import Facts
from analyzer.models import Scan
from analyzer.models.scan import ScanState
from analyzer.scanner.scan import UnreadableImage, disk_images
from analyzer.services.image_roots import checked_directory
from analyzer.services.scans import facts_of, scan_now
from analyzer.sources.libvirt.source import ON, LibvirtSource
from migrations_engine.domain.machine import SourceDisk
from migrations_engine.domain.shares import Shares
from migrations_engine.domain.states import StepName
from migrations_engine.steps.base import Step, StepFailed, Work
from migrations_engine.steps.switch_over import fetched, hypervisor, look, still_there
from migrations_engine.targets.base import Progress
from personas.errors import BadInput


def analyze(work: Work) -> dict:
    if source := hypervisor(work):
        return _analyze_machine(work, source)
    work.alive.phase("Reading the source's checksum", 0)
    sources = checksums(work, source_disks(work), work.alive.progress(0, 50))
    scan = _scanned(work)
    checksum = sources[0]["sha256"]
    work.alive.say(f"{_told(scan)}, SHA-256 {checksum[:12]}…")
    return {"source_sha256": checksum, "sources": sources, "scan": str(scan.pk)}


def _scanned(work: Work) -> Scan:
    work.alive.phase("Scanning the source's disk", 50)
    scan = scan_now(
        vm=work.run.vm, keep_alive=lambda percent, _: work.alive(50 + percent / 2), by=work.run.created_by
    )
    if scan.state == ScanState.UNREADABLE:
        raise StepFailed(f"The source's disk cannot be read: {scan.message.removeprefix('unreadable: ')}")
    return scan


def _told(scan: Scan) -> str:
    facts = facts_of(scan)
    return f"{facts.os.pretty_name or 'An unknown system'}, {len(facts.packages)} packages"


def _analyze_machine(work: Work, source: LibvirtSource) -> dict:
    """Of a hypervisor's machine. One that is to be cut over has its copy made when it is off: here it is only read."""
    power = look(work, source)
    if work.run.is_cutover and power == ON:
        scan = _scanned(work)
        work.alive.say(f"{_told(scan)}. The machine runs until the cutover.")
        return {"source_sha256": "", "sources": [], "scan": str(scan.pk), "files": []}
    files = [asdict(file) for file in fetched(work, source, 30)]
    sources = checksums(work, _as_sources(files), work.alive.progress(30, 50))
    scan, checksum = _scanned(work), sources[0]["sha256"]
    moment = " as it was at one moment, and runs on" if power == ON else ""
    work.alive.say(f"{_told(scan)}, SHA-256 {checksum[:12]}…{moment}")
    return {"source_sha256": checksum, "sources": sources, "scan": str(scan.pk), "files": files}


def _as_sources(files: list[dict]) -> list[SourceDisk]:
    return [SourceDisk(file["path"], file["format"]) for file in files]


def source_disks(work: Work) -> list[SourceDisk]:
    """The one that boots first. Raises StepFailed where a path leads out of IMAGE_ROOTS: a link may have been put there
    since the discovery; and where an OVA does not hold the disks of the plan any more."""
    if files := work.known.get("files"):
        return _as_sources(still_there(files))
    rows = [(_safe_path(disk["path"]), disk["format"]) for disk in work.plan["vm"]["disks"]]
    try:
        images = disk_images(rows)
    except UnreadableImage as error:
        raise StepFailed(f"The source's disk cannot be read: {error.reason}") from error
    return [SourceDisk(str(image.path), image.format, image.member) for image in images]


def _safe_path(path: str) -> str:
    resolved = Path(path).resolve()
    try:
        checked_directory(str(resolved.parent))
    except BadInput as error:
        raise StepFailed(f"The source's disk {path} is not to be read: {error}") from error
    return str(resolved)


def checksums(work: Work, disks: list[SourceDisk], progress: Progress) -> list[dict[str, str]]:
    """[{"path", "sha256"}] of every file that the disks are in; an OVA counts once."""
    files = list({disk.path: disk for disk in disks}.values())
    shares = Shares(progress, [_file_bytes(disk) for disk in files])
    return [
        {"path": disk.path, "sha256": work.target.checksum(disk, shares.part(number))}
        for number, disk in enumerate(files)
    ]


def _file_bytes(disk: SourceDisk) -> int:
    try:
        return Path(disk.path).stat().st_size
    except OSError:
        return 1  # the checksum says in words what is wrong with it


def scanned_facts(work: Work) -> Facts:
    """The facts that `analyze` found; a later scan does not change what this run goes by."""
    return facts_of(Scan.objects.get(pk=work.known["scan"]))


ANALYZE = Step(StepName.ANALYZE, frozenset(), frozenset({"source_sha256", "sources", "scan"}), analyze)
