"""`python3 manage.py evaluate_recommender --train F.jsonl --test F.jsonl [--personas F.jsonl] [--json]`"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from django.core.management.base import BaseCommand, CommandError
from pydantic import BaseModel, ValidationError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from analyzer.services.evaluation import Line, PersonaLine, evaluate

Row = TypeVar("Row", bound=BaseModel)


class Command(BaseCommand):
    help = (
        "How right the suggestions are: machines with known answers, one JSON object a line, through the services of "
        "the product on an empty database in memory. Nothing of this installation is read or changed."
    )
    requires_system_checks = ()

    def add_arguments(self, parser):
        parser.add_argument(
            "--train", type=Path, metavar="FILE", help="machines that people have answered for, in order"
        )
        parser.add_argument(
            "--test", type=Path, required=True, metavar="FILE", help="machines to be judged on"
        )
        parser.add_argument(
            "--personas", type=Path, metavar="FILE", help='{"name", "description", "hints"} a line'
        )
        parser.add_argument("--json", action="store_true", help="the figures as JSON")

    def handle(self, *, train, test, personas, json: bool, **options):
        told = evaluate(
            train=_read(train, Line) if train else (),
            test=_read(test, Line),
            personas=_read(personas, PersonaLine) if personas else (),
        )
        if json:
            self.stdout.write(_as_json(told))
        else:
            _show(told, Console(file=self.stdout._out))


def _read(path: Path, kind: type[Row]) -> Iterator[Row]:
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, text in enumerate(file, 1):
                if text.strip():
                    yield _parsed(text, kind, f"{path}:{number}")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path} cannot be read: {error}") from error


def _parsed(text: str, kind: type[Row], where: str) -> Row:
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise CommandError(f"{where}: {field or 'the line'}: {first['msg']}") from error


def _as_json(told: dict) -> str:
    return json.dumps(told, indent=2, ensure_ascii=False)


def _show(told: dict, console: Console) -> None:
    table = Table("Measure", "Value", title="Suggestions against known answers", title_justify="left")
    for name, value in told.items():
        if not isinstance(value, dict):
            table.add_row(name.replace("_", " "), "not measured" if value is None else str(value))
    console.print(table)
    recall = Table("Persona", "Found", title="Recall", title_justify="left")
    for label, share in told["recall"].items():
        recall.add_row(Text(label), f"{share:.2f}")
    console.print(recall)
