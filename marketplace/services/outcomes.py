"""What became of the runs of a listing, from the platform's own track record: nothing of it is the publisher's word."""

from collections.abc import Iterable

from django.db.models import QuerySet

from marketplace.models import Listing, Release
from personas.domain.track_record import TrackRecord
from personas.models import RunOutcome
from personas.services.track_record import record_of


def outcomes_of(releases: Iterable[Release], *, publisher_department=None) -> QuerySet[RunOutcome]:
    """Runs by others than the publisher, of what was installed and not changed since."""
    rows = RunOutcome.objects.filter(origin__in=[str(release.pk) for release in releases], is_changed=False)
    return rows.exclude(department=publisher_department) if publisher_department else rows


def listing_record(listing: Listing) -> TrackRecord:
    """Of all its releases together."""
    return record_of(outcomes_of(listing.releases.all(), publisher_department=listing.department))


def release_record(release: Release) -> TrackRecord:
    return record_of(outcomes_of([release], publisher_department=release.department))
