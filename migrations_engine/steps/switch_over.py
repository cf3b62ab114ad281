"""The source's side of a run: its disks as files, and in a cutover its power. Each line may be said again."""

import time
from pathlib import Path
from typing import NoReturn

from django.utils import timezone

from analyzer.models import VirtualMachine
from analyzer.services.hypervisors import staging_discard, staging_folder
from analyzer.sources.base import SourceError
from analyzer.sources.libvirt.changes import ChangesLost
from analyzer.sources.libvirt.connection import Failed
from analyzer.sources.libvirt.source import OFF, ON, DiskFile, LibvirtSource
from migrations_engine.domain.drills import SIMULATED
from migrations_engine.domain.terms import Mode
from migrations_engine.models import Cutover
from migrations_engine.services import cutover, ledger, warm
from migrations_engine.services.claims import Parked
from migrations_engine.steps.base import StepFailed, Work
from migrations_engine.steps.drill import refuses_shutdown
from personas.errors import Refused

LOOK_S = 1.0
PATIENCE_S = 60  # a libvirtd that was killed is started again by its service manager within seconds


def hypervisor(work: Work) -> LibvirtSource | None:
    """None for a source of files."""
    try:
        return cutover.source_power(work.run.vm)
    except (SourceError, Refused) as error:
        raise StepFailed(str(error)) from error


def ask(work: Work, verb, *arguments, **options):
    """What a verb of the hypervisor answers, with the claim kept; each may be said twice, so a libvirt that is away
    just now is asked again. Raises StepFailed."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return work.alive.during(verb, *arguments, **options)
        except SourceError as error:
            is_away = isinstance(error, Failed) and error.kind == "unreachable"
            if not is_away or time.monotonic() > deadline:
                raise StepFailed(f"The hypervisor: {error}") from error
        work.alive()
        time.sleep(LOOK_S)


def owner(work: Work) -> str:
    return warm.owner_of(work.run.pk)


def look(work: Work, source: LibvirtSource) -> str:
    """Whether the source runs, and whether the run may go on from there."""
    vm = work.run.vm
    power = ask(work, source.power_state, vm.external_id)
    if power == ON and work.run.mode == Mode.COLD:
        raise StepFailed(cutover.RUNS)
    if work.run.is_cutover:
        if power == ON and (why := ask(work, source.power_refusal, vm.external_id)):
            raise StepFailed(f"The source could not be switched on again after a way back: {why}.")
        if power == ON and not work.run.is_warm and (why := ask(work, source.off_refusal, vm.external_id)):
            raise StepFailed(f"The source's disks could not be read when it is off: {why}. It was not shut down.")
        if work.run.is_warm:
            _require_changes(work, source, power)
        cutover.cutover_begin(run=work.run, power=power)
    return power


def _require_changes(work: Work, source: LibvirtSource, power: str) -> None:
    """The plan went by what was discovered; here the machine itself is asked."""
    if power == OFF:
        raise StepFailed("The machine is off: nothing of it changes, so migrate it as one that is off.")
    if why := ask(work, source.delta_refusal, work.run.vm.external_id):
        raise StepFailed(f"The source cannot say what changes: {why}. Choose Cutover instead.")


def fetched(work: Work, source: LibvirtSource, end: float) -> list[DiskFile]:
    """The disks of one moment as files of this machine."""
    work.alive.phase("Fetching the disks from the hypervisor", 0)
    folder = staging_folder(owner(work))
    return followed(work, (0, end), source.disk_files, work.run.vm.external_id, folder, owner=owner(work))


class _Stop:
    """Tells the thread that copies that nobody wants its copy any more."""

    def __init__(self):
        self.wanted = False

    def check(self) -> None:
        if self.wanted:
            raise OSError("the copying was stopped")


def followed(work: Work, part: tuple[float, float], verb, *arguments, **options):
    """What a verb answers that tells of its progress, shown as `part` of the step. Raises StepFailed, ChangesLost."""
    beat, stop, percent, (start, end) = work.alive, _Stop(), [0.0], part

    def watch(told: float) -> None:
        stop.check()
        percent[0] = told

    class Watching:
        def __call__(self, *_):
            try:
                beat(start + percent[0] * (end - start) / 100)
            except BaseException:
                stop.wanted = True
                raise

    try:
        return work.alive.during(verb, *arguments, beat=Watching(), watch=watch, **options)
    except ChangesLost:
        raise
    except SourceError as error:
        raise StepFailed(f"The hypervisor: {error}") from error


def still_there(files: list[dict[str, str]]) -> list[dict[str, str]]:
    if gone := next((file["path"] for file in files if not Path(file["path"]).exists()), None):
        raise StepFailed(f"What was fetched of the source is not there any more: {gone}. Start the migration anew.")
    return files


def start_over(work: Work) -> None:
    """A retry whose source ran since its failure throws away what was copied before."""
    if work.run.is_cutover and Cutover.objects.filter(run=work.run, starts_over=True).exists():
        work.alive.during(work.target.destroy, work.key)
        ledger.forget(work.run)
        warm.warm_forget(work.run.pk)
        discard_fetched(work)
        cutover.cutover_write(work.run.pk, starts_over=False)


def source_off(work: Work, source: LibvirtSource) -> None:
    """The source is off when this returns; its guest was asked first. Raises Parked where it does not obey in time."""
    row, vm, asked_here = Cutover.objects.get(run=work.run), work.run.vm, False
    work.alive.phase("Waiting for the source to shut down", 0)
    if row.power_before == ON and row.asked_at is None and refuses_shutdown(work.run):
        _park(work, f"{SIMULATED}: {work.run.drill_words}. It was not asked.")
    while ask(work, source.power_state, vm.external_id) != OFF:
        row.refresh_from_db()
        if row.power_before == OFF:
            raise StepFailed("The source was off when the run began, and somebody has switched it on since.")
        if row.force:
            work.alive.say("The source is switched off as it is.", "warning")
            ask(work, source.switch_off, vm.external_id)
        elif not asked_here:
            asked_here = True
            if row.asked_at is None:
                cutover.cutover_write(work.run.pk, asked_at=timezone.now())
            work.alive.say("The source's guest is asked to shut down.")
            ask(work, source.ask_shutdown, vm.external_id)
        elif timezone.now() > row.asked_at + (wait := cutover.shutdown_wait(work.run)):
            _park(work, f"The source did not shut down within {wait.total_seconds():.0f} s.")
        else:
            work.alive()
            time.sleep(LOOK_S)
    if row.off_at is None and row.power_before == ON:
        cutover.cutover_write(work.run.pk, off_at=timezone.now())
        VirtualMachine.objects.filter(pk=vm.pk).update(power_state=OFF)
        work.alive.say("The source is off: its outage begins.")


def _park(work: Work, why: str) -> NoReturn:
    raise Parked(why, timezone.now() + cutover.decide_wait(work.run))


def require_off(work: Work, source: LibvirtSource) -> None:
    """After the copy: had somebody switched it on meanwhile, the copy would not be of one moment."""
    if ask(work, source.power_state, work.run.vm.external_id) != OFF:
        raise StepFailed("Somebody switched the source on while it was copied.")


def outage_over(work: Work) -> None:
    if not work.run.is_cutover:
        return
    row = Cutover.objects.filter(run=work.run, off_at__isnull=False, up_at__isnull=True).first()
    if row is not None:
        row.up_at = timezone.now()
        row.save(update_fields=["up_at"])
        work.alive.say(f"The target's guest answers: the outage lasted {row.outage_s:.0f} s.")


def checks_passed(work: Work) -> None:
    Cutover.objects.filter(run=work.run, up_at__isnull=False, checked_at__isnull=True).update(checked_at=timezone.now())


def discard_fetched(work: Work) -> None:
    staging_discard(owner(work))
