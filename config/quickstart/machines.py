"""The migrated machines of this computer go off and on with quickstart (docs/adr/0003)."""

from contextlib import suppress

from rich.console import Console
from rich.markup import escape

from migrations_engine.services.migrated import machines_pause, machines_resume


def power_on_machines(console: Console) -> None:
    _each(console, machines_resume, "Powering on")


def power_off_machines(console: Console) -> None:
    """For when the children have stopped: a worker would take it for the death of its machine."""
    _each(console, machines_pause, "Powering off")


def _each(console: Console, verb, word: str) -> None:
    for error in verb(lambda name: _say(console, f"{word} {escape(name)} …")):
        _say(console, f"[red]{escape(str(error))}[/]")


def _say(console: Console, text: str) -> None:
    """A terminal that was closed, or a pipe (rich then wants to exit), must not keep a machine running."""
    with suppress(OSError, SystemExit):
        console.print(text, highlight=False)
