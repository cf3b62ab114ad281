"""The migrated machines of this computer go off and on with quickstart (docs/adr/0003)."""

from rich.console import Console

from migrations_engine.services.migrated import machines_pause, machines_resume
from personas.errors import Refused


def power_on_machines(console: Console) -> None:
    _each(console, machines_resume, "Powering on")


def power_off_machines(console: Console) -> None:
    _each(console, machines_pause, "Powering off")


def _each(console: Console, verb, word: str) -> None:
    try:
        verb(lambda row: console.print(f"{word} {row.name} …", highlight=False))
    except (
        Refused
    ) as error:  # one machine that will not must not keep the web application from starting or stopping
        console.print(f"[red]{error}[/]")
