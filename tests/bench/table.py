"""Every benchmark there is. A new one is a module beside this one and a line here."""

from tests.bench import disk_copy, image_scan, inventory, ssh_scan

BENCHMARKS = (disk_copy.BENCHMARK, image_scan.BENCHMARK, inventory.BENCHMARK, ssh_scan.BENCHMARK)
