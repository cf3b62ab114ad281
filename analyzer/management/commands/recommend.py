"""`python3 manage.py recommend --vm ID [--json]`: which persona suits a machine, and why."""

import json
import uuid

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from analyzer.domain.recommend import Ranking
from analyzer.models import Scan, VirtualMachine
from analyzer.models.scan import READABLE
from analyzer.services.recommendations import ranking_of
from analyzer.services.scans import facts_of, scan_now


class Command(BaseCommand):
    help = "Ranks the personas for a machine by its newest scan; scans it first when there is none."

    def add_arguments(self, parser):
        parser.add_argument("--vm", required=True, type=uuid.UUID, metavar="ID", help="VMID")
        parser.add_argument("--json", action="store_true", help="the ranking as JSON")

    def handle(self, *, vm, json: bool, **options):
        machine = VirtualMachine.objects.filter(pk=vm).first()
        if machine is None:
            raise CommandError(f"There is no machine {vm}.")
        scan = Scan.objects.readable().filter(vm=machine).first() or scan_now(vm=machine)
        if scan.state not in READABLE:
            raise CommandError(f"{machine}: {scan.message}")
        ranking = ranking_of(vm=machine, facts=facts_of(scan))
        if json:
            self.stdout.write(as_json(machine, scan, ranking))
        else:
            show(machine, ranking, Console(file=self.stdout._out))


def as_json(machine: VirtualMachine, scan: Scan, ranking: Ranking) -> str:
    """{"vm", "name", "scan", "persona" (null: none fits), "reason", "ranking": [{persona, name, score, for, against}],
    "model_version"}"""
    told = {
        "vm": str(machine.pk),
        "name": machine.name,
        "scan": str(scan.pk),
        "persona": ranking.best.persona if ranking.best else None,
        "reason": ranking.reason,
        "ranking": [each.as_json() for each in ranking.ranked],
        "model_version": ranking.model_version,
    }
    return json.dumps(told, indent=2, ensure_ascii=False)


def show(machine: VirtualMachine, ranking: Ranking, console: Console) -> None:
    title = f"{machine}: {ranking.best.name}" if ranking.best else f"{machine}: no good fit. {ranking.reason}"
    table = Table(
        "Persona", "Score", "For", "Against", title=Text(title), title_justify="left", show_lines=True
    )
    for each in ranking.ranked:
        said = "\n".join(each.speaks_for), "\n".join(each.speaks_against)
        table.add_row(*map(Text, (each.name, f"{each.score:.2f}", *said)))
    console.print(table)
