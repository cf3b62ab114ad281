"""`python3 manage.py evaluate_sizing --usage F.csv --json`: how good our sizes are on traces that you have."""

import gzip
import json
import time
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.table import Table

from analyzer.domain.sizing import CPU, MEMORY, Policy
from analyzer.domain.sizing_csv import UsageTable, WrongTable, read_table
from analyzer.domain.sizing_trial import POLICIES, share, trial

RESOURCES = (("cpu", "cpu", CPU), ("memory", "mem", MEMORY))
GZIP = b"\x1f\x8b"


class Command(BaseCommand):
    help = (
        "Learns sizes from the first half of each machine's time and judges them on the second, "
        "against keeping the size and against the first half's maximum. Needs no database."
    )
    requires_system_checks = []

    def add_arguments(self, parser):
        parser.add_argument("--usage", required=True, type=Path, metavar="F.csv", help="vm, t, cpu_used, cpu_cap, "
                            "mem_used, mem_cap; may be gzipped")  # fmt: skip
        parser.add_argument("--json", action="store_true", help="the figures as JSON")
        parser.add_argument(
            "--split", metavar="DATE", help="judge from here on (ISO 8601), not from each one's middle"
        )
        parser.add_argument(
            "--per-vm", action="store_true", help="add each machine's size, and who decided it"
        )
        for name, _, policy in RESOURCES:
            parser.add_argument(
                f"--{name}-percentile", type=float, default=policy.percentile, metavar="50..99.9"
            )
            parser.add_argument(f"--{name}-headroom", type=float, default=policy.headroom, metavar="FACTOR")
            parser.add_argument(
                f"--{name}-step", type=float, default=0, metavar="N", help="round up to multiples of it"
            )
            parser.add_argument(f"--{name}-minimum", type=float, default=0, metavar="N")

    def handle(self, *, usage: Path, json: bool, split, per_vm: bool, **options):
        began = time.monotonic()
        policies = policies_of(options)
        table = table_of(usage)
        report = evaluated(table, policies, moment(split), per_vm)
        report["seconds"] = round(time.monotonic() - began, 2)
        if json:
            self.stdout.write(dumped(report))
        else:
            show(report, Console(file=self.stdout._out))


def policies_of(options: dict) -> dict[str, Policy]:
    fields = ("percentile", "headroom", "step", "minimum")
    try:
        return {
            name: replace(policy, **{field: options[f"{name}_{field}"] for field in fields})
            for name, _, policy in RESOURCES
        }
    except ValueError as error:
        raise CommandError(str(error)) from None


def moment(split: str | None) -> float | None:
    if not split:
        return None
    try:
        at = datetime.fromisoformat(split)
    except ValueError:
        raise CommandError(f"--split: {split!r} is no date in ISO 8601") from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def table_of(path: Path) -> UsageTable:
    try:
        with path.open("rb") as file:
            opened = gzip.open if file.read(2) == GZIP else open
        with opened(path, "rt", encoding="utf-8-sig", newline="") as lines:
            return read_table(lines)
    except WrongTable as error:
        raise CommandError(f"{path}, {error}") from None
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise CommandError(f"{path} cannot be read: {error}") from None


def evaluated(table: UsageTable, policies: dict[str, Policy], split_s: float | None, per_vm: bool) -> dict:
    """{"vms", "rows", "cpu": figures, "memory": figures, "cost": {policy: size ÷ present size, mean of both}}, figures
    as analyzer.domain.sizing_trial tells them, and "machines" when asked for."""
    report: dict = {"vms": len(table.names), "rows": len(table.columns["t"])}
    machines = {}
    for name, column, _ in RESOURCES:
        report[name], machines[name] = trial(table.traces(column), policies[name], split_s)
    ratios = {
        each: [report[name][each]["allocated_over_as_is"] for name, *_ in RESOURCES] for each in POLICIES
    }
    report["cost"] = {
        each: share(sum(known), len(known))
        for each, found in ratios.items()
        for known in [[ratio for ratio in found if ratio is not None]]
    }
    if per_vm:
        report["machines"] = {name: [asdict(each) for each in found] for name, found in machines.items()}
    return report


def dumped(report: dict) -> str:
    return json.dumps(report, indent=2, ensure_ascii=False)


def show(report: dict, console: Console) -> None:
    table = Table("Resource", "Policy", "Time above", "Allocated ÷ needed", "Against as is")
    for name, *_ in RESOURCES:
        for each in POLICIES:
            told = report[name][each]
            table.add_row(
                name,
                each.replace("_", " "),
                percent(told["above_share"]),
                ratio(told["allocated_over_needed"]),
                ratio(told["allocated_over_as_is"]),
            )
    console.print(table)
    refused = ", ".join(
        f"{name} {report[name]['refused']} of {report[name]['machines']}" for name, *_ in RESOURCES
    )
    console.print(
        f"{report['rows']} rows of {report['vms']} machines in {report['seconds']} s. Refused: {refused}."
    )


def percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.2%}"


def ratio(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
