"""Every benchmark there is. A new one is a module beside this one and a line here."""

from tests.bench import catalogue_search, disk_copy, image_scan, inventory, recommender, ssh_scan

BENCHMARKS = (
    catalogue_search.BENCHMARK,
    disk_copy.BENCHMARK,
    image_scan.BENCHMARK,
    inventory.BENCHMARK,
    recommender.BENCHMARK,
    ssh_scan.BENCHMARK,
)
