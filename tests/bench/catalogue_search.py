"""The marketplace's catalogue with 20,000 listings on PostgreSQL: what a page of a search asks of the database."""

import gc
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from types import SimpleNamespace

import dj_database_url
from django.db import connection, connections

from marketplace.filters import ListingFilter
from marketplace.models import Listing, Publisher, Release
from marketplace.models.listing import Category
from marketplace.services.catalogue import facets_of, listings_told
from tests import servers
from tests.bench.frame import Benchmark, Figure, Side, own_database, timed
from tests.factories import make_department, make_member

LISTINGS, PUBLISHERS, PAGE = 20_000, 200, 24
WORDS = """apache archive backup balancer broker cache cluster compiler container database debian desktop directory
gateway grafana hardened kernel ledger mail mariadb metrics mirror mongodb network nginx office oracle postgresql
prometheus proxy python queue redis replica report router ruby scheduler search secure server storage tuned voice web
wiki worker zookeeper""".split()
LICENCES = ("Apache-2.0", "MIT", "GPL-3.0-only", "MIT OR Apache-2.0", "LicenseRef-Ours")
SEARCHES = ("postgresql tuned", "databse", "nginx", "hardened kernel mirror", "number19999")


def measure(scratch: Path, rounds: int) -> Iterator[Figure]:
    with postgresql(), own_database():
        reader = make_member(make_department())
        _fill(random.Random(7))
        gc.freeze()  # as config/wsgi.py does
        every: list[float] = []
        for words in SEARCHES:
            side = Side("search", lambda words=words: _page(reader, search=words))
            figure = timed(f"search for {words!r}", side, rounds=rounds)
            every += figure.seconds["search"]
            yield figure
        yield Figure("a search", median(every), "s", at_most=0.05)
        yield timed("first page", Side("list", lambda: _page(reader)), rounds=rounds, at_most=0.05)
        seen = Listing.objects.visible_to(reader)
        yield timed(
            "counts of the filters", Side("facets", lambda: facets_of(seen)), rounds=rounds, at_most=0.05
        )


def _page(reader, **asked) -> None:
    """The rows of the first page and the number of all, as the page and the API ask for them."""
    request = SimpleNamespace(user=reader)
    rows = listings_told(Listing.objects.visible_to(reader))
    found = ListingFilter(asked, queryset=rows, request=request).qs
    assert found.count() and list(found[:PAGE])


def _fill(chance: random.Random) -> None:
    department = make_department()
    publishers = Publisher.objects.bulk_create(
        Publisher(department=department, name=f"Publisher {n}", slug=f"publisher-{n}")
        for n in range(PUBLISHERS)
    )
    listings = Listing.objects.bulk_create(
        (_listing(n, publishers[n % PUBLISHERS], chance) for n in range(LISTINGS)), batch_size=1000
    )
    told = {"version": "1.0.0", "licence": "MIT", "bundle": b"{}", "sha256": "0" * 64, "persona_revision": 1}
    Release.objects.bulk_create((Release(listing=listing, **told) for listing in listings), batch_size=1000)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")  # autovacuum does it on a server that lives longer than this one


def _listing(number: int, publisher: Publisher, chance: random.Random) -> Listing:
    name = f"{' '.join(chance.sample(WORDS, 3))} {number}"
    readme = " ".join(f"{chance.choice(WORDS)}{chance.randrange(200)}" for _ in range(200))
    text = f"{name} {publisher.name} number{number} {readme}"
    said = {"category": Category.values[number % len(Category)], "licence": LICENCES[number % len(LICENCES)]}
    said |= {"slug": f"listing-{number}", "name": name, "readme": readme, "search_text": text}
    return Listing(publisher=publisher, **said)


@contextmanager
def postgresql() -> Iterator[None]:
    """`default` is a server of its own while the block runs, whatever DATABASE_URL says."""
    with servers.postgresql() as server:
        before = connections.settings["default"]
        connections["default"].close()
        asked = {"default": dj_database_url.parse(server.url)}
        connections.settings["default"] = connections.configure_settings(asked)["default"]
        del connections["default"]
        try:
            yield
        finally:
            connections["default"].close()
            del connections["default"]
            connections.settings["default"] = before


BENCHMARK = Benchmark("catalogue-search", "How fast is a search over 20,000 listings?", measure, rounds=15)
