"""The recommender on a large estate: scoring, grouping, one answer, one new scan, and the page of the map."""

import random
import resource
from collections.abc import Iterator
from pathlib import Path

from tests.bench.frame import Benchmark, Figure, Side, own_database, timed

MACHINES, PERSONAS = 100_000, 200
BATCH = 2000


def measure(scratch: Path, rounds: int) -> Iterator[Figure]:
    with own_database():
        made = make_estate()
        yield from scoring(made["department"])
        yield from page(made["by"], rounds)
        yield from grouping(made["department"])
        yield from answering(made, rounds)


def make_estate() -> dict:
    """100,000 fingerprints of machines with one to three roles, and 200 personas that each name some software."""
    from analyzer.knowledge.trades import trades
    from tests.factories import make_department, make_persona, make_source, make_user

    chance = random.Random(7)
    department, by = make_department("Large"), make_user("boss", superuser=True)
    known = list(trades().values())
    for number in range(PERSONAS):
        trade = known[number % len(known)]
        named = [name for name in sorted(trade.software) if "*" not in name]
        hints = chance.sample(named, min(4, len(named)))
        make_persona(f"{trade.name} {number}", department=department, hints=hints)
    source = make_source(department)
    for first in range(0, MACHINES, BATCH):
        make_machines(source, range(first, first + BATCH), chance, known)
    return {"department": department, "by": by, "source": source}


def make_machines(source, numbers, chance: random.Random, known) -> None:
    from analyzer.domain.estate_map import cell_of
    from analyzer.domain.kinds import family_of
    from analyzer.models import Fingerprint, Scan, VirtualMachine

    owner = {"source": source, "department": source.department, "os_id": "debian"}
    machines = VirtualMachine.objects.bulk_create(
        VirtualMachine(name=f"vm{n}", external_id=str(n), **owner) for n in numbers
    )
    scans = Scan.objects.bulk_create(Scan(vm=vm, state="complete", facts=FACTS) for vm in machines)
    rows = []
    for vm, scan in zip(machines, scans, strict=True):
        roles = chance.sample(known, chance.randint(1, 3))
        evidence = {role.name: round(chance.uniform(0.2, 1.5), 3) for role in roles}
        names = {name: 1.0 for role in roles for name in sorted(role.software)[:5] if "*" not in name}
        column, row = cell_of(evidence)
        place = {"kind": family_of(evidence), "cell_x": column, "cell_y": row}
        system = {"id": "debian", "version": "12", "like": []}
        rows.append(Fingerprint(vm=vm, scan=scan, evidence=evidence, names=names, system=system, **place))
    Fingerprint.objects.bulk_create(rows, batch_size=500)


FACTS = {
    "os": {"id": "debian", "version": "12"},
    "packages": [],
    "services": [],
    "listening": [],
    "coverage": [],
    "scan": {"duration_ms": 1, "image_format": "raw", "virtual_size_bytes": 1, "allocated_bytes": 1},
}


def scoring(department) -> Iterator[Figure]:
    from analyzer.services.fleet import department_rescore

    first = Side("first", lambda: department_rescore(department=department))
    yield Figure("100,000 machines x 200 personas scored", first.round(), "s", at_most=60)
    yield Figure("the same again, nothing changed", first.round(), "s", at_most=5)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    yield Figure("memory at most", peak, "GiB", at_most=2)


def page(by, rounds: int) -> Iterator[Figure]:
    from django.test import Client
    from django.urls import reverse
    from django.utils import timezone

    from analyzer.services.estate import estate_count

    count = Side("count", lambda: estate_count(now=timezone.now()))
    yield Figure("100,000 machines counted for the map, by the clock", count.round(), "s")
    client = Client()
    client.force_login(by)
    side = Side("page", lambda: client.get(reverse("analyzer:estate")))
    yield timed("estate page with 100,000 machines", side, rounds=rounds, at_most=0.2)


def grouping(department) -> Iterator[Figure]:
    """As if nothing fitted: all 100,000 are grouped."""
    from analyzer.models import Fingerprint
    from analyzer.services.drafts import drafts_refresh

    Fingerprint.objects.update(persona=None)
    side = Side("groups", lambda: drafts_refresh(department=department))
    yield Figure("100,000 machines grouped into drafts", side.round(), "s", at_most=180)


def answering(made: dict, rounds: int) -> Iterator[Figure]:
    from analyzer.models import Recommendation
    from analyzer.services.recommendations import recommendation_none_fits, scan_score
    from tests.factories import make_facts, make_package, make_scan, make_vm

    facts = make_facts(packages=tuple(make_package(name) for name in SERVER))
    scans = []

    def scan():
        scans.append(make_scan(make_vm(made["department"], source=made["source"]), facts=facts))

    def answer():
        open_one = Recommendation.objects.get(vm=scans[-1].vm)
        recommendation_none_fits(recommendation=open_one, by=made["by"])

    def score_again():
        scan_score(scan=scans[-1], facts=facts)

    yield timed("one answer is in force", Side("answer", answer, before=scan), rounds=rounds, at_most=1)
    yield timed(
        "one new scan is scored among 200 personas", Side("scan", score_again), rounds=rounds, at_most=0.05
    )


SERVER = (
    "nginx",
    "php8.2-fpm",
    "mariadb-server",
    "redis-server",
    "certbot",
    *(f"lib{n}-common" for n in range(800)),
)
BENCHMARK = Benchmark("recommender", "How fast does a large estate get its suggestions?", measure, rounds=5)
