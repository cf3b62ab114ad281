"""The main job, once: a sample machine is built, found, scanned, and moved as a persona, before the user's eyes.

Every part is an *ensure*, so a demo that was killed goes on where it stood, and a second start finds it done.
"""

import structlog
from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from analyzer.models import VirtualMachine
from analyzer.services.discovery import source_discover
from analyzer.services.scans import scan_start
from config.quickstart.children import Children
from config.quickstart.company import first_admin, source_ensure
from config.quickstart.estate import ESTATE, Plot, image_ensure
from config.quickstart.guests import GuestBuildError
from migrations_engine.management.commands.migrate_vm import follow, load, refusal, show_end
from migrations_engine.models import MigrationRun
from migrations_engine.pipeline import run_start
from personas.errors import Refused
from personas.models import Persona
from templates_app.models import MigrationTemplate

IDEMPOTENCY_KEY = "quickstart-demo"
GUESTS = settings.CACHE_DIR / "guests"
HINDRANCES = (GuestBuildError, Refused, ObjectDoesNotExist, OSError)
"""No packages to be had, a source that does not answer, a part of the company that somebody has removed, a full disk:
none of them may take the pages down."""

log = structlog.get_logger(__name__)


def migrate(console: Console, children: Children) -> bool:
    """Ends with the table of what the guest reported against what was asked, and `verified` or what differs. Where it
    cannot begin it says why: the pages are served all the same.

    False where an earlier start has done it already.
    """
    admin = first_admin()
    earlier = MigrationRun.objects.filter(created_by=admin, idempotency_key=IDEMPOTENCY_KEY).first()
    if earlier is not None and earlier.has_ended:
        return False
    try:
        for plot in ESTATE:
            _plant(plot, admin, console)
            children.check()
        run = earlier or _start(ESTATE[0], admin)
    except HINDRANCES as error:
        log.warning("sample_migration_not_started", error=str(error))
        console.print(
            f"[red]The sample migration was not started:[/] {escape(_in_short(error))}\n"
            "The pages work without it. Mend this, then stop quickstart and start it again: it goes on from here.",
            highlight=False,
        )
        return True
    machine, persona = escape(run.vm.name), escape(run.persona.name)
    console.print(f"\nMigrating [bold]{machine}[/] as [bold]{persona}[/] …", highlight=False)
    follow(run, console, meanwhile=children.check)
    show_end(load(run), console)
    for vm in filter(None, map(_unscanned, ESTATE)):
        scan_start(vm=vm, by=admin)  # so that the other machines, too, have a suggestion to look at
    return True


def _unscanned(plot: Plot) -> VirtualMachine | None:
    """Not any machine: people may have added theirs before a demo that was stopped goes on."""
    return _machines(plot).filter(scans__isnull=True).first()


def _machines(plot: Plot):
    return VirtualMachine.objects.filter(
        source__department__slug=plot.department, source__name=plot.source, name=plot.name
    )


def _in_short(error: Exception) -> str:
    """A tool's last words come last; the log has all of them."""
    return refusal(error) if isinstance(error, Refused) else str(error).strip().splitlines()[-1]


def _plant(plot: Plot, admin, console: Console) -> None:
    """The plot's disk image, built when it is not there, in its department's source, discovered."""
    source, directory = source_ensure(department=plot.department, name=plot.source, by=admin)
    image = directory / f"{plot.name}.raw"
    if not image.exists():
        if not console.is_terminal:
            console.print(f"Building {plot.name} ({plot.description}) from Debian's packages …")
        with _bar(console) as bar:
            task = bar.add_task(f"Building {plot.name} ({plot.description})", total=1.0, step="")
            image_ensure(plot, image, GUESTS, lambda done, text: bar.update(task, completed=done, step=text))
    if not _machines(plot).exists():
        source_discover(source=source, by=admin)


def _start(plot: Plot, admin) -> MigrationRun:
    return run_start(
        vm=_machines(plot).get(),
        template=MigrationTemplate.objects.get(department=None, slug=plot.template),
        personas=[Persona.objects.get(department=None, slug=plot.persona)],
        overrides=plot.overrides(GUESTS),
        by=admin,
        idempotency_key=IDEMPOTENCY_KEY,
    )


def _bar(console: Console) -> Progress:
    step = TextColumn("{task.fields[step]}", markup=False)  # a tool's own words
    return Progress(
        TextColumn("{task.description}"), BarColumn(20), step, TimeElapsedColumn(), console=console
    )
