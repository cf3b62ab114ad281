"""A copy that follows its running source: whole once, then only what changed, and the last changes when it is off.

Each line may be said again: a round counts once its checkpoint is written down, and whoever takes over reads from the
last one that counts.
"""

import time
from pathlib import Path

from django.utils import timezone

from analyzer.services.hypervisors import staging_discard, staging_folder
from analyzer.sources.libvirt import sums
from analyzer.sources.libvirt.changes import ChangesLost, prefix, staged
from analyzer.sources.libvirt.source import DiskFile, LibvirtSource
from migrations_engine.domain.machine import SourceDisk
from migrations_engine.domain.outage import Round, goes_on, rounds_of
from migrations_engine.models import Cutover, WarmCopy
from migrations_engine.services import warm
from migrations_engine.steps.analyze import checksums
from migrations_engine.steps.base import StepFailed, Work
from migrations_engine.steps.switch_over import (
    ask,
    discard_fetched,
    fetched,
    followed,
    hypervisor,
    require_off,
    source_off,
)
from migrations_engine.targets.qemu import images

LOST = "The source cannot say any more what changed"


def followed_disks(work: Work, source: LibvirtSource) -> list[SourceDisk] | None:
    """The staged disks, equal to those of the source, which is off. None where its last changes cannot be told: it is
    off, and must be read whole."""
    row = warm.warm_begin(work.run)
    id = work.run.vm.external_id
    if Cutover.objects.filter(run=work.run, off_at__isnull=False).exists():
        ask(work, source.discard_paused, id)  # its worker died while it read the last changes
    if row.settled_at is None:
        if not Cutover.objects.filter(run=work.run, asked_at__isnull=False).exists():
            row = _follow(work, source, row)
        source_off(work, source)
        if not row.base or not _are_here(work) or not _settled(work, source, row):
            return None
    require_off(work, source)
    return [SourceDisk(str(file), "raw") for file in _files(work)]


def _files(work: Work):
    return staged(staging_folder(warm.owner_of(work.run.pk)), len(work.plan["vm"]["disks"]))


def _are_here(work: Work) -> bool:
    """Not so for a worker on another machine than the one that copied."""
    return all(file.exists() for file in _files(work))


def _follow(work: Work, source: LibvirtSource, row: WarmCopy) -> WarmCopy:
    """Rounds, as long as each makes the outage shorter."""
    if row.base and not _are_here(work):
        work.alive.say("What was copied of the source is not here any more: it is copied whole again.", "warning")
        row = _anew(work)
    try:
        return _rounds(work, source, row)
    except ChangesLost as error:
        work.alive.say(f"{LOST}: it is copied whole again. ({error})", "warning")
    try:
        return _rounds(work, source, _anew(work))
    except ChangesLost as error:
        raise StepFailed(f"{LOST}, for the second time. Choose Cutover instead. ({error})") from error


def _rounds(work: Work, source: LibvirtSource, row: WarmCopy) -> WarmCopy:
    if not row.base:
        row = _first(work, source)
    while goes_on(rounds_of(row.rounds)):
        row = _next(work, source, row)
    return row


def _anew(work: Work) -> WarmCopy:
    warm.warm_forget(work.run.pk)
    staging_discard(warm.owner_of(work.run.pk))
    return warm.warm_begin(work.run)


def _first(work: Work, source: LibvirtSource) -> WarmCopy:
    owner, id = warm.owner_of(work.run.pk), work.run.vm.external_id
    name = f"{prefix(owner)}0"
    warm.warm_mark(work.run, f"{prefix(owner)}* of {work.run.vm.name}")
    work.alive.phase("Copying the disks while the source runs", 0)
    folder, begun = staging_folder(owner), time.monotonic()
    read = followed(work, (0, 25), source.copy_first, id, folder, owner=owner, checkpoint=name)
    if len(list(folder.glob("disk*.raw"))) != len(work.plan["vm"]["disks"]):
        raise StepFailed("The machine has other disks than in its plan: discover its source again.")
    work.alive.say(f"The disks are copied whole: {_mib(read)}. From here on only what changes is read.")
    return warm.warm_round(work.run.pk, base=name, done=Round(read, _since(begun)))


def _next(work: Work, source: LibvirtSource, row: WarmCopy) -> WarmCopy:
    owner, id, number = warm.owner_of(work.run.pk), work.run.vm.external_id, len(row.rounds)
    name = f"{prefix(owner)}{number}"
    work.alive.phase(f"Reading what changed, round {number}", 25)
    folder, begun = staging_folder(owner), time.monotonic()
    options = {"owner": owner, "base": row.base, "checkpoint": name}
    read = followed(work, (25, 30), source.copy_changes, id, folder, **options)
    row = warm.warm_round(work.run.pk, base=name, done=Round(read, _since(begun)))
    work.alive.say(f"Round {number}: {_mib(read)} had changed, read in {row.rounds[-1]['seconds']:.1f} s.")
    return row


def _settled(work: Work, source: LibvirtSource, row: WarmCopy) -> bool:
    """The last changes are in, and the sums of the disks written down. False where they cannot be told."""
    owner, id = warm.owner_of(work.run.pk), work.run.vm.external_id
    work.alive.phase("Reading the last changes of the source, which is off", 30)
    begun = time.monotonic()
    try:
        read = followed(
            work, (30, 38), source.copy_last, id, staging_folder(owner), owner=owner, base=row.base
        )
    except ChangesLost as error:
        work.alive.say(f"{LOST}: it is read whole, and the outage is longer. ({error})", "warning")
        return False
    content = [{"sha256": sums.total(file)} for file in _files(work)]
    last = Round(read, _since(begun)).as_dict()
    warm.warm_write(work.run.pk, settled_at=timezone.now(), content=content, rounds=[*row.rounds, last])
    work.alive.say(f"The last changes: {_mib(read)}, read in {last['seconds']:.1f} s.")
    return True


def proved(work: Work) -> dict:
    """After the outage: the source, which is off, is read whole and holds what was copied. {} for any other run. Its
    list of changes goes before that: with it its file would not stay as it is summed here. Raises StepFailed."""
    row = WarmCopy.objects.filter(run=work.run).first()
    if row is None:
        return {}
    source = hypervisor(work)
    ask(work, source.discard_paused, work.run.vm.external_id)
    require_off(work, source)
    work.alive.phase("Comparing the source with what was copied", 96)
    ask(work, source.release_changes, work.run.vm.external_id, owner=warm.owner_of(work.run.pk))
    warm.warm_released(work.run)
    if row.settled_at is None:
        return {}  # it was read whole when it was off, and told its sum then
    files = fetched(work, source, 97)
    sources = checksums(work, [SourceDisk(file.path, file.format) for file in files], work.alive.progress(97, 98))
    for number, file in enumerate(files):
        if _content(work, number, file) != row.content[number]["sha256"]:
            raise StepFailed(f"Disk {number} of the source holds something else than was copied of it.")
    require_off(work, source)
    discard_fetched(work)
    warm.warm_write(work.run.pk, proved_at=timezone.now())
    work.alive.say("The source was read whole once more: it holds what was copied.")
    return {"sources": sources, "source_sha256": sources[0]["sha256"]}


def _content(work: Work, number: int, file: DiskFile) -> str:
    """The sum over a disk as its guest sees it, whatever the format of its file."""
    raw, path = staging_folder(warm.owner_of(work.run.pk)) / f"proof{number}.raw", Path(file.path)
    size = images.inspect(path, file.format)
    images.convert(images.Pair(path, file.format, raw, "raw", size), work.alive.progress(98, 99))
    followed(work, (99, 100), sums.take, raw)
    found = sums.total(raw)
    raw.unlink()
    return found


def _since(begun: float) -> float:
    return round(time.monotonic() - begun, 2)


def _mib(count: int) -> str:
    return f"{count / 2**20:.1f} MiB"
