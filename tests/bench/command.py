"""`python3 manage.py bench`: how fast we are, each time beside a peer in the same run.

python3 manage.py bench                      every benchmark, as a table
python3 manage.py bench NAME [NAME ...]      these only
python3 manage.py bench --list               their names and what each asks
python3 manage.py bench --json               the figures with every round, for a program
python3 manage.py bench --rounds N           so many rounds instead of the benchmark's own number
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
from pathlib import Path

from config.bootstrap import debian
from config.bootstrap.progress import say
from tests.bench.frame import Benchmark, Figure


def main(arguments: list[str]) -> int:
    """The exit code: 0 only when every figure reaches its limit."""
    os.environ.setdefault(
        "DJANGO_SETTINGS_MODULE", "tests.settings"
    )  # a `var` of its own, shared sample guests
    import django

    django.setup()
    from tests.bench.table import BENCHMARKS

    asked = _parsed(arguments, {each.name: each for each in BENCHMARKS})
    if asked.list:
        for each in asked.chosen:
            print(f"{each.name:<16} {each.asks}")
        return 0
    debian.ensure({"run", "full_guest", *(purpose for each in asked.chosen for purpose in each.packages)})
    found = {each.name: _measured(each, asked.rounds) for each in asked.chosen}
    print(json.dumps(_document(found), indent=1) if asked.json else _table(found))
    return 0 if all(figure.holds for figures in found.values() for figure in figures) else 1


def _parsed(arguments: list[str], known: dict[str, Benchmark]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="manage.py bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(known))
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=0)
    asked = parser.parse_args(arguments)
    if unknown := [name for name in asked.names if name not in known]:
        parser.error(f"no benchmark is called {', '.join(unknown)} (there are: {', '.join(known)})")
    asked.chosen = [known[name] for name in asked.names or known]
    return asked


def _measured(benchmark: Benchmark, rounds: int) -> list[Figure]:
    say(f"{benchmark.name}: {benchmark.asks}")
    from django.conf import settings

    with tempfile.TemporaryDirectory(prefix=f"bench-{benchmark.name}-", dir=settings.VAR_DIR) as scratch:
        return list(benchmark.measure(Path(scratch), rounds or benchmark.rounds))


def _document(found: dict[str, list[Figure]]) -> dict:
    return {
        "machine": {
            "cpus": len(os.sched_getaffinity(0)),
            "kernel": platform.release(),
            "python": sys.version.split()[0],
        },
        "benchmarks": {name: [figure.as_dict() for figure in figures] for name, figures in found.items()},
    }


def _table(found: dict[str, list[Figure]]) -> str:
    rows = [_row(name, figure) for name, figures in found.items() for figure in figures]
    return "\n".join([f"{'benchmark':<16} {'figure':<44} {'value':>10}  {'wanted':<9}", *rows])


def _row(name: str, figure: Figure) -> str:
    limits = [f"≥ {figure.at_least:g}"] if figure.at_least is not None else []
    limits += [f"≤ {figure.at_most:g}"] if figure.at_most is not None else []
    medians = ", ".join(f"{side} {statistics.median(each):.3g} s" for side, each in figure.seconds.items())
    mark = "" if figure.holds else "  MISSED"
    value = f"{figure.value:.3g} {figure.unit}"
    return f"{name:<16} {figure.name:<44} {value:>10}  {' '.join(limits):<9}{mark}  {medians}".rstrip()
