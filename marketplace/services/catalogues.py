"""Catalogues of other instances: what they offer is shown here, and installed from here.

Everything that arrives is verified before it is parsed: the feed's keys as a chain that continues the one that is
known, the feed by its current key, each publisher's keys as a chain of their own, each bundle by a key of its
publisher. What does not hold is refused with its reason, and what was known before stays.
"""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urljoin, urlsplit

import structlog
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from marketplace.domain.bundle import MOST_BYTES, UnreadableBundle, digest, preference, unpack, version_key
from marketplace.domain.envelope import Signed, opened
from marketplace.domain.feed import (
    MOST_FEED_BYTES,
    Feed,
    ToldListing,
    ToldPublisher,
    ToldRelease,
    UnusableFeed,
    feed_of,
)
from marketplace.domain.key_log import BrokenLog, KeyRing, continued, replay
from marketplace.models import Catalogue, KeyStatement, Listing, Publisher, Release, Review
from marketplace.models.listing import Category, Icon, Visibility
from marketplace.services.catalogue import listing_reindex
from marketplace.services.keys import FEED, chain_from, chain_lines, chain_of
from marketplace.services.moderation import deprecation_tell, takedown_follow
from marketplace.services.proof import hold_reason
from marketplace.services.publishing import yank_tell
from personas.domain.settings import InvalidSettings
from personas.errors import BadInput, Refused
from personas.models import Department, Role
from personas.services.access import require
from personas.services.audit import record
from personas.services.guarded_http import Unreachable, fetch
from personas.services.rows import checked_save, free_slug, locked, row_create, snapshot

log = structlog.get_logger(__name__)
MOST_KEY_BYTES = 512 * 1024
ENVELOPE_BYTES = 512  # the header of a signed file
NOT_TAKEN = (Unreachable, InvalidSettings, ValidationError, ValueError)  # what does not hold is a ValueError


@dataclass(frozen=True)
class Arrived:
    """What a catalogue has said and what holds of it: nothing has been written yet."""

    chain: list[bytes]
    ring: KeyRing
    feed: Feed
    sha256: str


def catalogue_create(
    *, by, name: str, url: str, department: Department | None, first_key: str = ""
) -> Catalogue:
    """Subscribes; nothing is fetched yet. The organisation's catalogues are a superuser's to make."""
    if urlsplit(url).scheme not in ("http", "https"):
        raise BadInput({"url": ["Give the address of a feed, as in https://other.example/marketplace/feed."]})
    row = Catalogue(name=name, url=url, department=department, first_key=first_key.strip().lower())
    return row_create(row=row, by=by)


@transaction.atomic
def catalogue_remove(*, catalogue: Catalogue, by) -> None:
    """What it offered disappears, with what was said of it here; refused while something of it is installed."""
    require(by=by, department=catalogue.department, role=Role.ADMIN)
    catalogue = locked(catalogue)
    theirs = Listing.objects.filter(publisher__catalogue=catalogue)
    if theirs.filter(installations__isnull=False).exists():
        raise Refused("Something of this catalogue is installed: uninstall it first.")
    record(by=by, action="catalogue.delete", obj=catalogue, before=snapshot(catalogue))
    Review.objects.filter(listing__in=theirs).delete()
    Release.objects.filter(listing__in=theirs).delete()
    theirs.delete()
    Publisher.objects.filter(catalogue=catalogue).delete()
    catalogue.delete()


def catalogue_refresh(*, catalogue: Catalogue, by=None) -> Catalogue:
    """Fetches and takes over what holds. Raises Refused with the reason, which the catalogue keeps too."""
    if by is not None:
        require(by=by, department=catalogue.department, role=Role.ADMIN)
    try:
        arrived = _arrived(catalogue, timezone.now())
    except NOT_TAKEN as error:
        Catalogue.objects.filter(pk=catalogue.pk).update(problem=str(error)[:400])
        raise Refused(f"{catalogue}: {error}") from None
    refused = []
    with transaction.atomic():
        _taken(catalogue, arrived, by)
        rings, told = _publishers_taken(catalogue, arrived.feed, by)
        refused += told
    for listing in arrived.feed.listings:
        if listing.publisher in rings:
            refused += _listing_taken(catalogue, rings[listing.publisher], listing, by)
    Catalogue.objects.filter(pk=catalogue.pk).update(refused=refused[:200])
    return Catalogue.objects.get(pk=catalogue.pk)


def catalogues_refresh() -> None:
    """Asks every catalogue; what went wrong with one stands on its page and keeps no other one from being asked."""
    for catalogue in Catalogue.objects.exclude(url=""):
        try:
            catalogue_refresh(catalogue=catalogue)
        except Refused as error:
            log.warning("catalogue_not_taken", catalogue=str(catalogue.pk), reason=error.message)


def _arrived(catalogue: Catalogue, now: datetime) -> Arrived:
    lines = fetch(f"{catalogue.url.rstrip('/')}/keys", most_bytes=MOST_KEY_BYTES).decode("ascii", "replace")
    chain, known = chain_from(lines), chain_from(catalogue.key_chain)
    continued(known, chain)
    ring = replay(chain, owner=FEED)
    if catalogue.first_key and ring.first != catalogue.first_key:
        raise BrokenLog(f"The feed's first key is {ring.first[:16]}…, not the one that was expected.")
    content = fetch(catalogue.url, most_bytes=MOST_FEED_BYTES)
    signed = opened(content, kind="feed", trusted=frozenset({ring.current}), revoked=ring.revoked)
    feed = feed_of(signed.payload, now=now, known_number=catalogue.number)
    sha256 = digest(signed.payload)
    if feed.number == catalogue.number and catalogue.sha256 and sha256 != catalogue.sha256:
        raise UnusableFeed(f"Feed number {feed.number} says something else than it did before.")
    return Arrived(chain, ring, feed, sha256)


def _taken(catalogue: Catalogue, arrived: Arrived, by) -> None:
    """Of two refreshes at once the one with the older feed is refused here."""
    newer = Catalogue.objects.filter(pk=catalogue.pk, number__lte=arrived.feed.number)
    changed = arrived.feed.number != catalogue.number or arrived.ring.length != len(
        chain_from(catalogue.key_chain)
    )
    done = newer.update(
        first_key=arrived.ring.first,
        key_chain=chain_lines(arrived.chain),
        number=arrived.feed.number,
        sha256=arrived.sha256,
        fetched_at=timezone.now(),
        expires_at=arrived.feed.expires_at,
        problem="",
    )
    if not done:
        raise Refused("A newer feed has been taken over at the same moment.")
    if changed:
        told = {"number": arrived.feed.number, "sha256": arrived.sha256, "key": arrived.ring.current}
        record(by=by, action="catalogue.refresh", obj=catalogue, after=told)


def _publishers_taken(
    catalogue: Catalogue, feed: Feed, by
) -> tuple[dict[str, tuple[Publisher, KeyRing]], list]:
    rings, refused = {}, []
    for told in feed.publishers:
        try:
            rings[told.slug] = _publisher_taken(catalogue, told, by)
        except NOT_TAKEN as error:
            refused.append({"listing": told.slug, "reason": str(error)})
    return rings, refused


def _publisher_taken(catalogue: Catalogue, told: ToldPublisher, by) -> tuple[Publisher, KeyRing]:
    chain = chain_from("\n".join(told.keys))
    publisher = Publisher.objects.filter(catalogue=catalogue, remote_slug=told.slug).first()
    known = chain_of(publisher) if publisher else []
    continued(known, chain)
    ring = replay(chain, owner=told.slug)
    publisher = publisher or Publisher(
        catalogue=catalogue, remote_slug=told.slug, department=catalogue.department
    )
    if not publisher.slug:
        name = f"{catalogue.name}-{told.slug}"
        publisher.slug = free_slug(model=Publisher, department=catalogue.department, name=name)
    is_renamed = publisher.name != told.name
    publisher.name, publisher.description = told.name, told.description
    publisher.told_verified, publisher.told_since = told.verified, told.since
    if is_renamed:
        publisher.held_reason = hold_reason(publisher, others=_others(catalogue, first_statement=chain[0]))
    checked_save(publisher)
    if is_renamed and publisher.held_reason:
        held = {"name": publisher.name, "reason": publisher.held_reason}
        record(by=by, action="publisher.hold", obj=publisher, after=held)
    for number, content in list(enumerate(chain))[len(known) :]:
        KeyStatement.objects.create(publisher=publisher, number=number, sealed=content)
    if len(chain) > len(known):
        told_keys = {"current": ring.current, "revoked": sorted(ring.revoked)}
        record(by=by, action="publisher.keys_follow", obj=publisher, after=told_keys)
    return publisher, ring


def _others(catalogue: Catalogue, *, first_statement: bytes) -> QuerySet:
    """Whom a publisher must not be taken for. Whose keys begin with the same statement is itself, told elsewhere."""
    others = Publisher.objects.exclude(catalogue=catalogue)
    return others.exclude(key_statements__sealed=first_statement)


def _listing_taken(
    catalogue, owner: tuple[Publisher, KeyRing], told: ToldListing, by
) -> list[dict[str, str]]:
    """[] or why its newest release (and its newest pre-release, where that is newer) is not taken over."""
    publisher, ring = owner
    name = f"{told.publisher}/{told.slug}"
    try:
        with transaction.atomic():
            listing = _listing_ensure(catalogue, publisher, told, by)
            _known_releases_follow(listing, told, by)
        usable = [each for each in told.releases if not each.yanked]
        if usable and told.taken_down is None:
            newest = max(usable, key=lambda each: preference(each.version))
            highest = max(usable, key=lambda each: version_key(each.version))
            for each in dict.fromkeys((newest, highest)):
                _release_ensure(catalogue, listing, ring, each, by)
    except NOT_TAKEN as error:
        return [{"listing": name, "reason": str(error)}]
    except Refused as error:
        return [{"listing": name, "reason": error.message}]
    return []


def _listing_ensure(catalogue, publisher: Publisher, told: ToldListing, by) -> Listing:
    listing = Listing.objects.filter(publisher=publisher, slug=told.slug).first()
    listing = listing or Listing(publisher=publisher, slug=told.slug)
    listing.name, listing.summary = told.name, told.summary[:200]
    listing.category = told.category if told.category in Category.values else Category.OTHER
    listing.visibility = Visibility.DEPARTMENT if catalogue.department_id else Visibility.ORGANISATION
    listing.told_outcomes, listing.told_since = told.outcomes.model_dump(mode="json"), told.since
    checked_save(listing)
    listing_reindex(listing)
    deprecation_tell(listing=listing, reason=told.deprecated, successor=_successor(publisher, told), by=by)
    takedown_follow(listing=listing, reason=told.taken_down)
    return listing


def _successor(publisher: Publisher, told: ToldListing) -> Listing | None:
    owner, _, slug = told.successor.partition("/")
    theirs = Listing.objects.filter(publisher__catalogue=publisher.catalogue_id)
    return theirs.filter(publisher__remote_slug=owner, slug=slug).first() if slug else None


def _known_releases_follow(listing: Listing, told: ToldListing, by) -> None:
    yanked = {each.version: each.yanked[:200] for each in told.releases if each.yanked}
    for release in listing.releases.filter(version__in=yanked, yanked_at__isnull=True):
        yank_tell(release=release, by=by, reason=yanked[release.version])


def _release_ensure(catalogue, listing: Listing, ring: KeyRing, told: ToldRelease, by) -> None:
    """Its bytes and a signature that holds now; asked for again where the key of the one that is known was revoked."""
    there = listing.releases.filter(version=told.version).first()
    if there and there.sha256 != told.sha256:
        raise UnreadableBundle(f"{told.version} has other bytes than it had when it was first seen here.")
    if there and there.signatures.filter(public_key__in=ring.trusted).exists():
        return
    base = catalogue.url.rstrip("/") + "/"
    content = fetch(urljoin(base, told.bundle), most_bytes=MOST_BYTES + ENVELOPE_BYTES)
    signed = opened(content, kind="bundle", trusted=ring.trusted, revoked=ring.revoked)
    if digest(signed.payload) != told.sha256:
        raise UnreadableBundle(f"{told.version} is not the bundle that the feed tells of.")
    release_take(listing=listing, signed=signed, by=by)


@transaction.atomic
def release_take(*, listing: Listing, signed: Signed, by) -> Release:
    """A release of somebody else, from bytes whose signature has been checked. Raises UnreadableBundle, InvalidSettings
    (its content), Refused (the version is there with other bytes)."""
    sha256 = digest(signed.payload)
    bundle = unpack(signed.payload, sha256=sha256)
    said, meant = (bundle.publisher, bundle.listing), (listing.publisher.name_in_bundles, listing.slug)
    if said != meant:
        raise UnreadableBundle(f"The bundle is of {'/'.join(said)}, not of {'/'.join(meant)}.")
    release = listing.releases.filter(version=bundle.version).first()
    if release and release.sha256 != sha256:
        raise Refused(f"{release} is here already, with other bytes.")
    if release is None:
        release = Release(
            listing=listing,
            version=bundle.version,
            licence=bundle.licence,
            changelog=[change.model_dump() for change in bundle.changelog],
            bundle=signed.payload,
            sha256=sha256,
            size=len(signed.payload),
            persona_revision=0,
        )
        release.save()
        if Listing.objects.get(pk=listing.pk).newest == release:
            _told_by_bundle(listing, bundle)
        listing_reindex(listing)
        told = {"version": bundle.version, "sha256": sha256, "key": signed.key}
        record(by=by, action="release.take", obj=release, after=told)
    release.signatures.get_or_create(public_key=signed.key, defaults={"signature": signed.signature})
    return release


def _told_by_bundle(listing: Listing, bundle) -> None:
    if bundle.about:
        listing.readme = bundle.about.readme
        listing.icon = bundle.about.icon if bundle.about.icon in Icon.values else Icon.PACKAGE
        checked_save(listing)
