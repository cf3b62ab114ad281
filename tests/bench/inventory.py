"""An RVTools file of 3,500 machines, as a large vCenter exports it: read in the sandbox, and stored the first time."""

from collections.abc import Iterator
from pathlib import Path

from analyzer.models import VirtualMachine
from analyzer.services.inventory import inventory_import
from tests.analyzer.workbooks import VINFO, vinfo, workbook
from tests.bench.frame import Benchmark, Figure, Side, own_database, timed
from tests.factories import make_inventory, make_user

MACHINES = 3_500


def measure(scratch: Path, rounds: int) -> Iterator[Figure]:
    data = workbook({"vInfo": [VINFO, *(vinfo(f"vm{number:04}") for number in range(MACHINES))]})
    with own_database():
        admin, source = make_user(superuser=True), make_inventory()

        def ours():
            assert inventory_import(source=source, data=data, by=admin)["found"] == MACHINES

        def forget():
            VirtualMachine.objects.filter(source=source).delete()

        yield timed("RVTools file of 3,500 machines", Side("import", ours, forget), rounds=rounds, at_most=10)


BENCHMARK = Benchmark("inventory", "How long does a large RVTools file take?", measure, rounds=3)
