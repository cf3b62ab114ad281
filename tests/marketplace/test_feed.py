"""What a subscriber takes over from a feed, and when it does not any more. Here both sides are one instance; two real
ones talk in tests/real/test_two_marketplaces.py."""

from datetime import timedelta

import pytest
from django.utils import timezone
from pydantic import ValidationError

from marketplace.domain.feed import VALID_FOR, record_told
from marketplace.models import Catalogue, Listing
from marketplace.models.listing import Visibility
from marketplace.services import catalogues
from marketplace.services.catalogues import catalogue_create, catalogue_refresh
from marketplace.services.feed import bundle_for_others, feed_now
from marketplace.services.keys import chain_lines, chain_of
from personas.errors import Refused
from tests.marketplace.shop import install, run_ended, superuser

FEED = "https://sister.example/marketplace/feed"


@pytest.fixture
def wire(monkeypatch, release, listing):
    """Answers as the other instance does; what it says is `said`, by the end of its address."""
    Listing.objects.filter(pk=listing.pk).update(visibility=Visibility.PUBLIC)
    said = {}

    def fetch(url, *, most_bytes):
        if url in said:
            return said[url]
        if url.endswith("/keys"):
            feed_now()  # which makes the key where there is none yet
            return chain_lines(chain_of(None)).encode()
        return feed_now() if url == FEED else bundle_for_others(url.rsplit("/", 1)[1])

    monkeypatch.setattr(catalogues, "fetch", fetch)
    return said


@pytest.fixture
def subscribed(wire):
    root = superuser()
    return catalogue_create(by=root, name="Sister", url=FEED, department=None)


def refreshed(catalogue):
    catalogue_refresh(catalogue=catalogue, by=superuser())
    return Listing.objects.get(publisher__catalogue=catalogue)


def later(monkeypatch, span):
    now = timezone.now() + span
    monkeypatch.setattr("django.utils.timezone.now", lambda: now)


@pytest.mark.django_db
def test_a_feed_that_has_expired_is_refused_and_what_it_offered_waits(
    monkeypatch, wire, subscribed, buyer, bob
):
    theirs = refreshed(subscribed)
    wire[FEED] = feed_now()  # and from now on nobody issues a new one
    later(monkeypatch, VALID_FOR + timedelta(minutes=1))
    with pytest.raises(Refused, match="The feed expired on"):
        catalogue_refresh(catalogue=subscribed, by=superuser())
    assert "expired" in Catalogue.objects.get(pk=subscribed.pk).problem
    with pytest.raises(Refused, match="last asked too long ago"):
        install(theirs.newest, buyer, bob)
    del wire[FEED]
    theirs = refreshed(subscribed)
    assert Catalogue.objects.get(pk=subscribed.pk).problem == ""
    assert install(theirs.newest, buyer, bob).release == theirs.newest


@pytest.mark.django_db
def test_a_feed_is_issued_anew_before_it_expires(monkeypatch, wire):
    first = feed_now()
    assert feed_now() == first
    later(monkeypatch, VALID_FOR / 2 + timedelta(minutes=1))
    assert feed_now() != first


@pytest.mark.django_db
def test_a_feed_from_the_future_is_refused(monkeypatch, wire, subscribed):
    with monkeypatch.context() as there:
        later(there, timedelta(hours=1))
        wire[FEED] = feed_now()
    with pytest.raises(Refused, match="one of the two clocks is wrong"):
        catalogue_refresh(catalogue=subscribed, by=superuser())


@pytest.mark.django_db
@pytest.mark.once
def test_a_subscriber_reads_what_was_counted_there(client, wire, subscribed, release, buyer, bob):
    own = install(release, buyer, bob).persona
    for _ in range(4):
        run_ended(own, duration_s=60)
    theirs = refreshed(subscribed)
    client.force_login(bob)
    page = client.get(theirs.get_absolute_url()).content.decode()
    assert "Outcomes where it comes from" in page and "Counted by Sister" in page
    assert record_told(theirs.told_outcomes).success is None
    cards = client.get("/marketplace/").content.decode()
    assert "not enough data" in cards and "n = 4" in cards
    run_ended(own, "failed")
    run_ended(own, duration_s=60)
    theirs = refreshed(subscribed)
    told = record_told(theirs.told_outcomes)
    assert (told.runs, told.success.count, told.success.n, told.median_duration_s) == (6, 5, 6, 60)
    assert "83 %" in client.get(theirs.get_absolute_url()).content.decode()
    cards = client.get("/marketplace/").content.decode()
    assert cards.count("83 % succeeded") == 2 and "n = 6" in cards  # the listing of ours, and theirs
    answer = client.get(f"/api/v1/listings/{theirs.pk}/outcomes/").json()
    assert (answer["runs"], answer["where_it_comes_from"]["success"]["count"]) == (0, 5)


@pytest.mark.parametrize(
    "wrong", [{"runs": -1}, {"success": {"count": 6, "n": 5}}, {"median_duration_s": float("inf")}]
)
def test_figures_that_can_not_be_are_refused(wrong):
    with pytest.raises(ValidationError):
        record_told(wrong)


def test_the_interval_is_worked_out_here_whatever_the_other_side_says():
    told = record_told({"runs": 5, "success": {"count": 1, "n": 5, "low": 0.99, "high": 1.0}})
    assert told.success.low < 0.2
    assert record_told({"success": {"count": 4, "n": 4}}).success is None
