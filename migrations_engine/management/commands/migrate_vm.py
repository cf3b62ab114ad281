"""`python3 manage.py migrate_vm --vm ID --template ID [--persona ID] --wait --json`: MigrateVM from a terminal.

Exit codes: 0 started (or, with --wait, succeeded), 1 the run failed or was cancelled, 2 it was refused.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog
from celery import current_app
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db.models import Model, QuerySet
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from analyzer.models import VirtualMachine
from migrations_engine import pipeline, runner
from migrations_engine.domain.states import STEPS, RunState
from migrations_engine.domain.terms import Mode, Terms
from migrations_engine.domain.verification import Row, differences, outcome, read_rows, told
from migrations_engine.models import MigrationRun, RunEvent, TargetEndpoint
from migrations_engine.services.launch import launch_arguments
from migrations_engine.services.progress import run_elapsed_s, run_percent, step_progress, with_progress
from migrations_engine.services.receipt import receipt_of
from migrations_engine.services.runs import run_create
from personas.domain.settings import InvalidSettings
from personas.domain.yaml_text import UnreadableYaml, load_yaml
from personas.errors import Refused
from personas.models import Persona
from templates_app.models import MigrationTemplate

REFUSED = 2
POLL_S = 0.5
PING_S = 2.0


class Command(BaseCommand):
    help = "Migrates a machine as a persona: MigrateVM(TemplateID, VMID, PersonaID)."

    def add_arguments(self, parser):
        parser.add_argument("--vm", required=True, metavar="ID", help="id or exact name")
        parser.add_argument("--template", required=True, metavar="ID", help="id, slug or exact name")
        parser.add_argument(
            "--persona",
            action="append",
            default=[],
            metavar="ID",
            help="id, slug or name; again for more, the last wins",
        )
        parser.add_argument(
            "--use-case", default="", help="take the personas that the machine carries for it"
        )
        parser.add_argument("--override", type=Path, metavar="FILE", help="settings document (YAML or JSON)")
        parser.add_argument("--target", metavar="ID", help="id or exact name")
        parser.add_argument(
            "--mode",
            choices=list(Mode),
            default=Mode.COLD,
            help="cutover shuts a running machine down, then copies it; warm copies it before, and then what changed",
        )
        parser.add_argument(
            "--as", dest="user", metavar="USER", help="who does it; the first superuser if left out"
        )
        parser.add_argument("--wait", action="store_true", help="show the progress and wait for the end")
        parser.add_argument(
            "--inline", action="store_true", help="do the work in this process, without a worker"
        )
        parser.add_argument(
            "--json", action="store_true", help="the run's receipt as JSON on standard output"
        )

    def handle(self, **options):
        screen = Console(stderr=True)
        try:
            run = self._start(options)
        except (Refused, InvalidSettings, ValidationError) as error:
            raise CommandError(refusal(error), returncode=REFUSED) from error
        screen.print(Text(f"run {run.pk} of {run.vm.name} at {run.plan['target']['name']}"))
        if options["inline"]:
            work_here(run, screen)  # a worker of a running instance may have taken a step: then we watch it
        elif options["wait"]:
            warn_without_worker(screen)
        if (options["inline"] or options["wait"]) and not load(run).has_ended:
            follow(run, screen)
        run = load(run)
        if options["json"]:
            self.stdout.write(json.dumps(receipt_of(run), indent=2, ensure_ascii=False))
        elif run.has_ended:
            show_end(run, Console())
        if run.state in (RunState.FAILED, RunState.CANCELLED):
            sys.exit(1)

    def _start(self, options) -> MigrationRun:
        by = user_named(options["user"])
        asked = {
            "vm": named(VirtualMachine.objects.visible_to(by), options["vm"], "vm"),
            "template": named(MigrationTemplate.objects.visible_to(by), options["template"], "template"),
            "personas": [
                named(Persona.objects.visible_to(by), name, "persona") for name in options["persona"]
            ],
            "use_case": options["use_case"],
            "overrides": document(options["override"]),
        }
        if options["target"]:
            asked["target"] = named(TargetEndpoint.objects.visible_to(by), options["target"], "target")
        arguments = launch_arguments(asked, by=by) | {"terms": Terms(mode=Mode(options["mode"]))}
        # inline, nothing is sent: no worker shall take the steps from us
        return (run_create if options["inline"] else pipeline.run_start)(**arguments)


def user_named(name: str | None):
    users = get_user_model().objects.filter(is_active=True)
    user = (
        users.filter(username=name).first()
        if name
        else users.filter(is_superuser=True).order_by("pk").first()
    )
    if user is None:
        raise CommandError(
            f"No active user {name!r}." if name else "No superuser yet: say --as USER.", returncode=REFUSED
        )
    return user


def named(rows: QuerySet, name: str, what: str) -> Any:
    """The id of the one row of that id, slug or name. Raises CommandError where there is none, or several."""
    columns = {field.name for field in rows.model._meta.get_fields()}
    found: list[Model] = []
    for column in ("pk", "slug", "name"):
        if column != "pk" and column not in columns:
            continue
        try:
            found = list(rows.filter(**{column: name})[:2])
        except (ValidationError, ValueError):
            continue  # no UUID: perhaps a name
        if found:
            break
    if len(found) != 1:
        told = (
            f"Several are called {name!r}; give the id."
            if found
            else f"No {what} {name!r}, or not yours to see."
        )
        raise CommandError(told, returncode=REFUSED)
    return found[0].pk


def document(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        loaded = load_yaml(path.read_text())
    except (OSError, UnicodeDecodeError, UnreadableYaml) as error:
        raise CommandError(f"{path}: {error}", returncode=REFUSED) from error
    if not isinstance(loaded, dict):
        raise CommandError(f"{path}: a settings document is a mapping.", returncode=REFUSED)
    return loaded


def refusal(error: Exception) -> str:
    concerns = getattr(error, "extra", {}).get("concerns", [])
    lines = [str(error), *(f"  {c['severity']}: {c['text']} {c['action']}".rstrip() for c in concerns)]
    return "\n".join(lines)


def work_here(run: MigrationRun, screen: Console) -> None:
    """The same runner as in a worker, one step after the other; the live log goes to the screen."""
    seen = 0
    for name in STEPS:
        screen.print(f"[bold]{name}[/bold]")
        runner.execute(run_id=run.pk, name=name)
        seen = print_events(run, screen, seen)


def print_events(run: MigrationRun, screen: Console, seen: int) -> int:
    for event in RunEvent.objects.filter(run=run, pk__gt=seen):
        screen.print(Text(f"  {event.at:%H:%M:%S} {event.text.splitlines()[0]}"))
        seen = event.pk
    return seen


def warn_without_worker(screen: Console) -> None:
    if not current_app.control.ping(timeout=PING_S):
        screen.print(
            "[yellow]No worker answers, so the run waits for one. "
            "Start it (`celery -A config.celery worker`), or say --inline.[/yellow]"
        )


def follow(run: MigrationRun, screen: Console, meanwhile: Callable[[], None] = lambda: None) -> None:
    """Live progress until the run ends (no terminal: its log by line); Ctrl-C stops the watching, not the run.

    `meanwhile` is called between two looks; what it raises ends the watching.
    """
    structlog.contextvars.clear_contextvars()
    try:
        if screen.is_terminal:
            with Live(console=screen, refresh_per_second=4) as live:
                _until_end(run, lambda fresh: live.update(picture(fresh)), meanwhile)
        else:
            seen = [0]
            _until_end(run, lambda fresh: seen.append(print_events(fresh, screen, seen.pop())), meanwhile)
    except KeyboardInterrupt:
        raise CommandError(f"Stopped watching; run {run.pk} goes on.", returncode=130) from None


def _until_end(
    run: MigrationRun, show: Callable[[MigrationRun], None], meanwhile: Callable[[], None]
) -> None:
    while True:
        run = load(run)
        show(run)
        if run.has_ended:
            return
        meanwhile()
        time.sleep(POLL_S)


def load(run: MigrationRun) -> MigrationRun:
    return with_progress(MigrationRun.objects.select_related("vm", "created_by", "target")).get(pk=run.pk)


def picture(run: MigrationRun) -> Table:
    title = Text(f"{run.vm.name}: {run.state}, {run_percent(run):.0f} %")
    table = Table(title=title, title_justify="left", box=None)
    for column in ("step", "state", "%", "elapsed", "left", "what"):
        table.add_column(column)
    for step in map(step_progress, run.steps.all()):
        left = f"{step['eta_s']:.0f} s" if step["eta_s"] is not None else ""
        elapsed = f"{step['elapsed_s']:.0f} s" if step["elapsed_s"] is not None else ""
        table.add_row(
            step["label"],
            step["state"],
            f"{step['percent']:.0f}",
            elapsed,
            left,
            Text(step["error"] or step["message"]),
        )
    return table


def show_end(run: MigrationRun, screen: Console) -> None:
    machine = getattr(run, "migrated_vm", None)
    if machine:
        columns = ("setting", "asked", "found", "verdict", "by")
        table = Table(title=Text(f"{machine.name} as the guest reports it"), title_justify="left")
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in machine.verification:
            table.add_row(*(Text(row[column]) for column in columns))
        screen.print(table)
    took = f"after {run_elapsed_s(run):.0f} s" if run_elapsed_s(run) is not None else ""
    if run.state == RunState.SUCCEEDED:
        show_outcome(read_rows(machine.verification) if machine else [], took, screen)
    else:
        screen.print(Text(f"{run.state} {took}: {run.root_cause}"))


def show_outcome(rows: list[Row], took: str, screen: Console) -> None:
    """`verified`, or what differs although the run succeeded: what was only preferred, what nobody enforces."""
    found = outcome(rows)
    if found == "verified":
        screen.print(f"[bold green]verified[/bold green] {took}")
    elif found == "not_checked":
        screen.print(f"runs, but nothing could be checked {took}")
    else:
        screen.print(f"[bold yellow]runs, but differs[/bold yellow] {took}:")
        for row in differences(rows):
            screen.print(Text(f"  {told([row])}"))
