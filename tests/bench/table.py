"""Every benchmark there is. A new one is a module beside this one and a line here."""

from tests.bench import (
    catalogue_search,
    disk_copy,
    engine_overhead,
    image_scan,
    inventory,
    recommender,
    ssh_scan,
    virt_v2v,
)

BENCHMARKS = (
    catalogue_search.BENCHMARK,
    disk_copy.BENCHMARK,
    engine_overhead.BENCHMARK,
    image_scan.BENCHMARK,
    inventory.BENCHMARK,
    recommender.BENCHMARK,
    ssh_scan.BENCHMARK,
    virt_v2v.BENCHMARK,
)
