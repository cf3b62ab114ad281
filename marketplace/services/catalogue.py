"""Reading the catalogue: figures beside the listings, and what the search looks in."""

from collections import Counter
from typing import NamedTuple

from django.db.models import Count, IntegerField, Max, OuterRef, Prefetch, QuerySet, Subquery
from django.db.models.functions import Coalesce

from marketplace.domain.bundle import UnreadableBundle, unpack
from marketplace.models import Installation, Listing, Publisher, Release
from marketplace.models.listing import Category

LONGEST_SEARCHED = 20_000  # characters of a read me


def listings_told(rows: QuerySet[Listing]) -> QuerySet[Listing]:
    """With `installed_in` (number of departments) and `released_at` (of the newest release); releases, takedowns and
    publisher at hand.

    The figures are subqueries: a page of 24 asks 24 times, a join would count all of a large catalogue first. Releases
    have an order of their own, because that of their model joins listings."""
    releases = Release.objects.filter(listing=OuterRef("pk")).order_by().values("listing")
    departments = Installation.objects.filter(listing=OuterRef("pk")).order_by().values("listing")
    counted = departments.annotate(n=Count("department", distinct=True)).values("n")
    newest = releases.annotate(at=Max("published_at")).values("at")
    return (
        rows.select_related("publisher__department")
        .prefetch_related(
            Prefetch("releases", Release.objects.defer("bundle").order_by("-published_at")), "takedowns"
        )
        .annotate(
            installed_in=Coalesce(Subquery(counted, output_field=IntegerField()), 0),
            released_at=Subquery(newest),
        )
        .defer("search_text")
        .order_by("name", "pk")
    )


class Facets(NamedTuple):
    """{value: listings that choosing it shows}, by name."""

    category: dict[str, int]
    licence: dict[str, int]
    distribution: dict[str, int]
    verified: dict[str, int]


def facets_of(rows: QuerySet[Listing]) -> Facets:
    """One question, which the index listings_seen answers, and a count of what proven publishers offer. A licence
    counts wherever it stands in an expression, because so it is found."""
    counted = rows.order_by().values_list("category", "licence", "distribution").annotate(n=Count("*"))
    categories: Counter[str] = Counter()
    licences: Counter[str] = Counter()
    distributions: Counter[str] = Counter()
    for category, licence, distribution, n in counted:
        categories[category] += n
        licences[licence] += n
        distributions[distribution] += n
    proven = rows.filter(publisher__in=Publisher.objects.filter(verified_at__isnull=False)).count()
    return Facets(
        {value: categories[value] for value in Category.values},
        {
            value: sum(n for other, n in licences.items() if value.lower() in other.lower())
            for value in sorted(filter(None, licences))
        },
        {value: distributions[value] for value in sorted(filter(None, distributions))},
        {"true": proven, "false": categories.total() - proven},
    )


def listing_reindex(listing: Listing) -> None:
    """Call it after the listing or its releases have changed: what is searched and narrowed by is read from them."""
    newest = Listing.objects.get(pk=listing.pk).newest
    publisher = listing.publisher
    words = [listing.name, listing.slug, publisher.name, publisher.slug, listing.summary, listing.readme]
    Listing.objects.filter(pk=listing.pk).update(
        search_text=" ".join(words)[:LONGEST_SEARCHED],
        licence=newest.licence if newest else "",
        distribution=_distribution(newest) if newest else "",
    )


def _distribution(release: Release) -> str:
    try:
        bundle = unpack(bytes(release.bundle), sha256=release.sha256)
    except UnreadableBundle:
        return ""  # an installation tells what is wrong with it
    settings = bundle.persona.settings
    named = (settings.get("distribution") or {}).get("name") or ""
    drivers = bundle.driver_set.distributions if bundle.driver_set else []
    return (named or (drivers[0] if len(drivers) == 1 else ""))[:32]
