"""Step 1: what the source is. Its bytes are counted and its disk is read; nothing is written to it."""

from pathlib import Path

from analyzer.domain.facts import Facts
from analyzer.models import Scan
from analyzer.models.scan import ScanState
from analyzer.services.image_roots import checked_directory
from analyzer.services.scans import facts_of, scan_now
from migrations_engine.domain.machine import SourceDisk
from migrations_engine.domain.states import StepName
from migrations_engine.steps.base import Step, StepFailed, Work
from personas.errors import BadInput


def analyze(work: Work) -> dict:
    work.alive.phase("Reading the source's checksum", 0)
    checksum = work.target.checksum(source_disk(work), work.alive.progress(0, 50))
    work.alive.phase("Scanning the source's disk", 50)
    scan = scan_now(
        vm=work.run.vm, keep_alive=lambda percent, _: work.alive(50 + percent / 2), by=work.run.created_by
    )
    if scan.state == ScanState.UNREADABLE:
        raise StepFailed(f"The source's disk cannot be read: {scan.message.removeprefix('unreadable: ')}")
    facts = facts_of(scan)
    system = facts.os.pretty_name or "An unknown system"
    work.alive.say(f"{system}, {len(facts.packages)} packages, SHA-256 {checksum[:12]}…")
    return {"source_sha256": checksum, "scan": str(scan.pk)}


def source_disk(work: Work) -> SourceDisk:
    """Raises StepFailed where the path leads out of IMAGE_ROOTS: a link may have been put there since the discovery."""
    disk = work.plan["vm"]["disks"][0]
    path = Path(disk["path"]).resolve()
    try:
        checked_directory(str(path.parent))
    except BadInput as error:
        raise StepFailed(f"The source's disk {disk['path']} is not to be read: {error}") from error
    return SourceDisk(path=str(path), format=disk["format"])


def scanned_facts(work: Work) -> Facts:
    """The facts that `analyze` found; a later scan does not change what this run goes by."""
    return facts_of(Scan.objects.get(pk=work.known["scan"]))


ANALYZE = Step(StepName.ANALYZE, frozenset(), frozenset({"source_sha256", "scan"}), analyze)
