"""What became of the runs of a listing, from the platform's own track record: nothing of it is the publisher's word."""

from collections.abc import Iterable
from typing import Any

from django.db.models import QuerySet

from marketplace.domain.feed import record_told
from marketplace.models import Listing, Release
from personas.domain.track_record import TrackRecord
from personas.models import Department, RunOutcome
from personas.services.track_record import record_of, records_by


def outcomes_of(releases: Iterable[Release], *, publisher_department=None) -> QuerySet[RunOutcome]:
    """Runs by others than the publisher, of what was installed and not changed since."""
    rows = RunOutcome.objects.filter(origin__in=[str(release.pk) for release in releases], is_changed=False)
    return rows.exclude(department=publisher_department) if publisher_department else rows


def listing_record(listing: Listing) -> TrackRecord:
    """Of all its releases together."""
    return record_of(outcomes_of(listing.releases.all(), publisher_department=publishing_department(listing)))


def publishing_department(listing: Listing) -> Department | None:
    """Whose runs and reviews don't count. What comes from elsewhere is published by nobody here, also where one
    department alone sees it."""
    return None if listing.publisher.catalogue_id else listing.department


def told_record(listing: Listing) -> TrackRecord | None:
    """What the instance that it comes from has counted, as its signed feed told; None for a listing of our own."""
    return record_told(listing.told_outcomes) if listing.publisher.catalogue_id else None


def records_shown(listings: Iterable[Listing]) -> dict[Any, TrackRecord]:
    """{listing's id: the figures beside it in the catalogue}: those of here, or where nothing was run here those of
    where it comes from. Releases at hand (`listings_told`), it is one question for a whole page."""
    listings = list(listings)
    of_release = {str(release.pk): listing for listing in listings for release in listing.releases.all()}
    rows = outcomes_of(release for listing in listings for release in listing.releases.all())

    def owner(origin: str, department_id) -> Any:
        listing = of_release[origin]
        own = publishing_department(listing)
        return None if own is not None and own.pk == department_id else listing.pk

    records = records_by(rows, owner)
    return {listing.pk: _shown(listing, records.get(listing.pk)) for listing in listings}


def _shown(listing: Listing, ours: TrackRecord | None) -> TrackRecord:
    return ours or told_record(listing) or record_of(RunOutcome.objects.none())
