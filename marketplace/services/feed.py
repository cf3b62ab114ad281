"""Our own feed: what is public here, signed, for other instances."""

from dataclasses import asdict
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from marketplace.domain.envelope import header_of
from marketplace.domain.feed import FORMAT, VALID_FOR
from marketplace.domain.orders import PriceKind
from marketplace.models import FeedIssue, KeyStatement, Listing, Price, Publisher, Release
from marketplace.models.listing import Visibility
from marketplace.services.keys import chain_lines, release_file, ring_of, seal_with_feed_key
from marketplace.services.outcomes import listing_record
from personas.domain.canonical import canonical_json, sha256_of
from personas.errors import Missing
from personas.models import RunOutcome


def public_listings():
    """What others may see of us: public, ours, and free; what is sold is sold here."""
    ours = Listing.objects.filter(
        visibility=Visibility.PUBLIC, publisher__catalogue__isnull=True, publisher__held_reason=""
    )
    priced = Price.objects.current().exclude(kind=PriceKind.FREE).values("listing")
    return ours.exclude(pk__in=priced).order_by("publisher__slug", "slug")


@transaction.atomic
def feed_now() -> bytes:
    """The signed feed; the one that was given out before where nothing has changed, not
    the key either, and it is fresh."""
    now = timezone.now()
    content = _content()
    content_sha256 = sha256_of(content)
    last = FeedIssue.objects.first()
    is_fresh = last and last.content_sha256 == content_sha256 and now < last.expires_at - VALID_FOR / 2
    if is_fresh and header_of(bytes(last.sealed)).key == ring_of(None).current:  # no other key's is taken
        return bytes(last.sealed)
    number = last.number + 1 if last else 1
    told = {"number": number, "issued_at": now.isoformat(), "expires_at": (now + VALID_FOR).isoformat()}
    payload = canonical_json({"format": FORMAT, **told, **content}).encode()
    issue = FeedIssue(
        number=number,
        content_sha256=content_sha256,
        sealed=seal_with_feed_key(payload),
        issued_at=now,
        expires_at=now + VALID_FOR,
    )
    try:
        with transaction.atomic():
            issue.save(force_insert=True)
            FeedIssue.objects.filter(number__lt=number).delete()
    except IntegrityError:
        return bytes(FeedIssue.objects.first().sealed)  # another request was first: its feed says the same
    return bytes(issue.sealed)


def bundle_for_others(release_id) -> bytes:
    """The signed file of a public release. Raises Missing."""
    release = Release.objects.filter(pk=release_id, listing__in=public_listings()).first()
    if release is None or release.listing.takedown:
        raise Missing("No such public release.")
    return release_file(release)


def _content() -> dict[str, Any]:
    listings = list(
        public_listings().select_related("publisher", "successor__publisher").prefetch_related("takedowns")
    )
    ran, shown = _ran(), {listing.pk for listing in listings}
    return {
        "publishers": _publishers({listing.publisher_id for listing in listings}),
        "listings": [
            _listing(listing, releases, ran, shown) for listing, releases in _with_releases(listings)
        ],
    }


def _publishers(ids: set) -> list[dict[str, Any]]:
    chains: dict[Any, list[bytes]] = {}
    for statement in KeyStatement.objects.filter(publisher__in=ids).order_by("number"):
        chains.setdefault(statement.publisher_id, []).append(bytes(statement.sealed))
    rows = Publisher.objects.filter(pk__in=ids).order_by("slug")
    return [
        {
            "slug": row.slug,
            "name": row.name,
            "description": row.description,
            "verified": row.verified_as,
            "since": row.created_at.isoformat(),
            "keys": chain_lines(chains.get(row.pk, [])).split(),
        }
        for row in rows
    ]


def _ran() -> set:
    """Ids of the listings of which anything has been run: most of a large catalogue has not."""
    origins = RunOutcome.objects.exclude(origin="").values_list("origin", flat=True).distinct()
    return set(Release.objects.filter(pk__in=list(origins)).values_list("listing", flat=True))


def _with_releases(listings):
    columns = ("id", "listing_id", "version", "sha256", "licence", "published_at", "yanked_at", "yank_reason")
    found: dict[Any, list[dict]] = {listing.pk: [] for listing in listings}
    rows = Release.objects.filter(listing__in=list(found), signatures__isnull=False).distinct()
    for row in rows.order_by("published_at").values(*columns, "size"):
        found[row["listing_id"]].append(row)
    return [(listing, found[listing.pk]) for listing in listings]


def _listing(listing: Listing, releases: list[dict], ran: set, shown: set) -> dict[str, Any]:
    takedown = listing.takedown
    return {
        "publisher": listing.publisher.slug,
        "slug": listing.slug,
        "name": listing.name,
        "summary": listing.summary,
        "category": listing.category,
        "deprecated": listing.deprecation_reason if listing.deprecated_at else None,
        "successor": listing.successor.address if listing.successor_id in shown else "",
        "taken_down": takedown.reason if takedown else None,
        "since": listing.created_at.isoformat(),
        "outcomes": asdict(listing_record(listing)) if listing.pk in ran else {},
        "releases": [_release(row) for row in releases],
    }


def _release(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "version": row["version"],
        "sha256": row["sha256"],
        "licence": row["licence"],
        "size": row["size"],
        "bundle": f"bundles/{row['id']}",
        "published_at": row["published_at"].isoformat(),
        "yanked": row["yank_reason"] if row["yanked_at"] else "",
    }
