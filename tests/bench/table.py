"""Every benchmark there is. A new one is a module beside this one and a line here."""

from tests.bench import disk_copy, image_scan, inventory, recommender, ssh_scan

BENCHMARKS = (disk_copy.BENCHMARK, image_scan.BENCHMARK, inventory.BENCHMARK, recommender.BENCHMARK, ssh_scan.BENCHMARK)
