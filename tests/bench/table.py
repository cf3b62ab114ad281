"""Every benchmark there is. A new one is a module beside this one and a line here."""

from tests.bench import disk_copy, image_scan

BENCHMARKS = (disk_copy.BENCHMARK, image_scan.BENCHMARK)
