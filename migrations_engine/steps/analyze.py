"""Step 1: what the source is. Its bytes are counted and its disk is read; nothing is written to it."""

from pathlib import Path

from analyzer.domain.facts import Facts
from analyzer.models import Scan
from analyzer.models.scan import ScanState
from analyzer.scanner.scan import UnreadableImage, disk_images
from analyzer.services.image_roots import checked_directory
from analyzer.services.scans import facts_of, scan_now
from migrations_engine.domain.machine import SourceDisk
from migrations_engine.domain.shares import Shares
from migrations_engine.domain.states import StepName
from migrations_engine.steps.base import Step, StepFailed, Work
from migrations_engine.targets.base import Progress
from personas.errors import BadInput


def analyze(work: Work) -> dict:
    work.alive.phase("Reading the source's checksum", 0)
    sources = checksums(work, source_disks(work), work.alive.progress(0, 50))
    work.alive.phase("Scanning the source's disk", 50)
    scan = scan_now(
        vm=work.run.vm, keep_alive=lambda percent, _: work.alive(50 + percent / 2), by=work.run.created_by
    )
    if scan.state == ScanState.UNREADABLE:
        raise StepFailed(f"The source's disk cannot be read: {scan.message.removeprefix('unreadable: ')}")
    facts = facts_of(scan)
    system = facts.os.pretty_name or "An unknown system"
    checksum = sources[0]["sha256"]
    work.alive.say(f"{system}, {len(facts.packages)} packages, SHA-256 {checksum[:12]}…")
    return {"source_sha256": checksum, "sources": sources, "scan": str(scan.pk)}


def source_disks(work: Work) -> list[SourceDisk]:
    """The one that boots first. Raises StepFailed where a path leads out of IMAGE_ROOTS: a link may have been put there
    since the discovery; and where an OVA does not hold the disks of the plan any more."""
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
