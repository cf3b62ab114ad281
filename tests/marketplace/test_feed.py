"""What a subscriber takes over from a feed, and when it does not any more. Here both sides are one instance; two real
ones talk in tests/real/test_two_marketplaces.py."""

import base64
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.utils import timezone
from pydantic import ValidationError

from marketplace.domain.envelope import header_of, public_key
from marketplace.domain.feed import VALID_FOR, ToldPublisher, record_told
from marketplace.domain.key_log import KeyRing, stated
from marketplace.models import Catalogue, Listing, Publisher, Review
from marketplace.models.listing import Visibility
from marketplace.services import catalogues
from marketplace.services.catalogues import catalogue_create, catalogue_refresh, catalogues_refresh
from marketplace.services.feed import bundle_for_others, feed_now
from marketplace.services.installing import installation_remove
from marketplace.services.keys import chain_lines, chain_of, ring_of, seal_with_feed_key
from marketplace.services.moderation import takedown_create
from marketplace.services.publishing import release_publish, release_yank
from marketplace.services.reviews import review_write
from personas.errors import Refused
from personas.models import AuditEntry
from personas.services.personas import persona_update
from tests.marketplace.shop import install, run_ended, superuser
from tests.personas.test_api import client_of

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


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("there", "said", "told"),
    [
        (rb'"summary":"', rb'"summary":"\u0000', "can't be stored: #/listings/0/summary"),
        (rb'"listings":', rb'"\ud800":1,"listings":', r"can't be stored: #/\ud800"),
        (b'"number":', b'"number":' + b"1" * 5000, "no JSON that could be read"),
        (b'"listings":', b'"more":' + b"[" * 40 + b"]" * 40 + b',"listings":', "nested deeper"),
        (b'"bundle":"bundles/', b'"bundle":"bundles/../', "not of the form that is known: listings.0.rel"),
    ],
)
def test_a_hostile_feed_is_told_and_keeps_no_other_catalogue_from_being_asked(
    wire, subscribed, there, said, told
):
    hostile = catalogue_create(
        by=superuser(), name="Hostile", url="https://hostile.example/feed", department=None
    )
    payload = header_of(feed_now()).payload
    assert there in payload
    wire[hostile.url] = seal_with_feed_key(payload.replace(there, said, 1))
    catalogues_refresh()
    problems = {row.name: row.problem for row in Catalogue.objects.all()}
    assert told in problems["Hostile"] and problems["Sister"] == ""
    assert Listing.objects.get(publisher__catalogue__isnull=False).publisher.catalogue == subscribed


# --- who it comes from -----------------------------------------------------------------------------------------------

KEY = Ed25519PrivateKey.from_private_bytes(b"\1" * 32)


def told_publisher(name, slug):
    ring = KeyRing(owner=slug)
    begun = stated(ring, act="begin", key=public_key(KEY), at="2026-01-01T00:00:00Z", signer=KEY, owner=slug)
    since = timezone.now()
    return ToldPublisher(slug=slug, name=name, since=since, keys=[base64.b64encode(begun).decode()])


@pytest.fixture
def asked(monkeypatch, wire, subscribed):
    """Refreshes with a feed in which that publisher has taken the place of the one that is there."""

    def ask(name, slug="globex", catalogue=subscribed):
        real = catalogues.feed_of

        def feed_of(*args, **kwargs):
            feed = real(*args, **kwargs)
            listings = [each.model_copy(update={"publisher": slug, "releases": []}) for each in feed.listings]
            return feed.model_copy(update={"publishers": [told_publisher(name, slug)], "listings": listings})

        with monkeypatch.context() as there:
            there.setattr(catalogues, "feed_of", feed_of)
            catalogue_refresh(catalogue=catalogue, by=superuser())
        return Publisher.objects.get(catalogue=catalogue, remote_slug=slug)

    return ask


@pytest.mark.django_db
@pytest.mark.parametrize(("name", "slug"), [("DBA tearn", "globex"), ("Globex", "dba-team")])
def test_a_remote_publisher_that_could_be_taken_for_ours_waits_for_a_moderator(
    client, asked, bob, name, slug
):
    held = asked(name, slug)
    assert "could be taken for “DBA team”" in held.held_reason
    assert not Listing.objects.visible_to(bob).filter(publisher=held).exists()
    client.force_login(superuser())
    assert "Let through" in client.get(held.get_absolute_url()).content.decode()
    client.post(f"{held.get_absolute_url()}let-through/")
    assert asked(name, slug).held_reason == ""  # the same name is not asked about twice
    assert Listing.objects.visible_to(bob).filter(publisher=held).exists()


@pytest.mark.django_db
def test_a_remote_publisher_that_renames_itself_is_looked_at_again(asked):
    assert asked("Globex").held_reason == ""
    assert "DBA team" in asked("DBA tearn").held_reason
    assert AuditEntry.objects.get(action="publisher.hold").after["name"] == "DBA tearn"
    assert asked("Globex").held_reason == ""


@pytest.mark.django_db
def test_what_is_held_of_a_departments_own_catalogue_is_not_offered_there_either(asked, wire, buyer, bob):
    own = catalogue_create(by=bob, name="Ours", url=FEED, department=buyer)
    held = asked("DBA tearn", catalogue=own)
    assert held in Publisher.objects.visible_to(bob)
    assert not Listing.objects.visible_to(bob).filter(publisher=held).exists()


@pytest.mark.django_db
def test_a_publisher_of_the_same_keys_is_no_look_alike(subscribed):
    assert refreshed(subscribed).publisher.held_reason == ""


@pytest.mark.django_db
def test_what_the_other_side_tells_of_proof_and_age_is_shown_as_its_word(
    client, wire, subscribed, listing, bob
):
    long_ago = timezone.now() - timedelta(days=900)
    own = Publisher.objects.filter(pk=listing.publisher_id)
    proven = {"domain": "dba.example", "verified_how": "dns", "verified_at": timezone.now()}
    own.update(created_at=long_ago, **proven)
    Listing.objects.filter(pk=listing.pk).update(created_at=long_ago)
    theirs = refreshed(subscribed)
    api = client_of(bob)
    told = api.get(f"/api/v1/publishers/{theirs.publisher_id}/").json()
    assert (told["told_verified"], told["verified_at"]) == ("dba.example", None)  # told, not seen by us
    assert told["told_since"] == api.get(f"/api/v1/publishers/{listing.publisher_id}/").json()["created_at"]
    told = api.get(f"/api/v1/listings/{theirs.pk}/").json()
    assert told["told_since"] == api.get(f"/api/v1/listings/{listing.pk}/").json()["created_at"]
    client.force_login(bob)
    for page in (theirs, theirs.publisher):
        shown = client.get(page.get_absolute_url()).content.decode()
        assert "dba.example" in shown and "as Sister tells" in shown
        assert f"{long_ago:%Y-%m-%d}" in shown
    rows = client.get("/marketplace/publishers/").content.decode()
    assert rows.count("dba.example") == 2 and "as Sister tells" in rows
    only_ours = api.get("/api/v1/listings/?verified=true").json()["results"]
    assert [each["id"] for each in only_ours] == [str(listing.pk)]


@pytest.mark.django_db
def test_a_proof_that_is_withdrawn_there_is_withdrawn_here(wire, subscribed, listing):
    own = Publisher.objects.filter(pk=listing.publisher_id)
    own.update(domain="dba.example", verified_how="file", verified_at=timezone.now())
    assert refreshed(subscribed).publisher.told_verified == "dba.example"
    own.update(verified_how="", verified_at=None)
    assert refreshed(subscribed).publisher.told_verified == ""


@pytest.mark.django_db
def test_a_prerelease_is_taken_over_beside_the_newest_version(wire, subscribed, listing, alice):
    told = {"about": {"readme": "# Candidate"}, "licence": "MIT"}
    release_publish(listing=Listing.objects.get(pk=listing.pk), by=alice, version="1.1.0-rc.1", **told)
    theirs = refreshed(subscribed)
    assert sorted(each.version for each in theirs.releases.all()) == ["1.0.0", "1.1.0-rc.1"]
    assert (theirs.newest.version, theirs.readme, theirs.licence) == ("1.0.0", listing.readme, "Apache-2.0")


@pytest.mark.django_db
def test_a_yank_is_followed_told_once_and_found_no_more(wire, subscribed, listing, alice):
    refreshed(subscribed)
    persona_update(persona=listing.persona, by=alice, default_distribution_name="debian")
    told = {"about": {"readme": "# Newer"}, "licence": "MIT"}
    newer = release_publish(listing=Listing.objects.get(pk=listing.pk), by=alice, version="1.1.0", **told)
    theirs = refreshed(subscribed)
    assert (theirs.licence, theirs.distribution) == ("MIT", "debian")
    release_yank(release=newer, by=alice, reason="It loses data")
    ours = Listing.objects.get(pk=listing.pk)
    assert (ours.licence, ours.distribution) == ("Apache-2.0", "")
    for _ in range(2):
        theirs = refreshed(subscribed)
        yanked = theirs.releases.get(version="1.1.0")
        assert (yanked.yank_reason, theirs.newest.version) == ("It loses data", "1.0.0")
        assert (theirs.licence, theirs.distribution) == ("Apache-2.0", "")
        entry = AuditEntry.objects.get(action="release.yank", object_id=str(yanked.pk))
        assert (entry.actor, entry.after) == (superuser(), {"reason": "It loses data"})


# --- what a subscriber may not do, and may ----------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("of_a_department", [True, False])
def test_what_comes_from_elsewhere_is_published_by_nobody_here(
    client, wire, subscribed, buyer, bob, of_a_department
):
    """Neither by the department that subscribes nor, for the whole organisation, by a superuser."""
    who, catalogue = superuser(), subscribed
    if of_a_department:
        who, catalogue = bob, catalogue_create(by=bob, name="Ours", url=FEED, department=buyer)
    theirs = refreshed(catalogue)
    said = {"release": theirs.newest, "department": buyer, "stars": 4}
    review = Review.objects.create(listing=theirs, **said)
    takedown = takedown_create(listing=theirs, by=superuser(), reason="It opens a back door")
    client.force_login(who)
    page = client.get(theirs.get_absolute_url()).content.decode()
    for words in ("New version", "Edit<", "Yank", "Set the price", "Answer", "Appeal", "Deprecate"):
        assert words not in page
    assert client.get(f"/marketplace/reviews/{review.pk}/reply/").status_code == 403
    api, listing = client_of(who), f"/api/v1/listings/{theirs.pk}/"
    for url, asked in (
        (f"{listing}price/", {"kind": "one_off", "unit_amount": 100}),
        (f"{listing}deprecate/", {"reason": "Old"}),
        (f"{listing}undeprecate/", {}),
        (f"/api/v1/reviews/{review.pk}/reply/", {"reply": "Thanks"}),
        (f"/api/v1/takedowns/{takedown.pk}/appeal/", {"appeal": "It is mended"}),
    ):
        refused = api.post(url, asked)
        assert (refused.status_code, "another instance" in refused.content.decode()) == (409, True), url


@pytest.mark.django_db
def test_who_subscribes_reviews_what_it_has_run(client, wire, buyer, bob):
    """Of a department's own catalogue nobody else could."""
    theirs = refreshed(catalogue_create(by=bob, name="Ours", url=FEED, department=buyer))
    asked = {"department": str(buyer.pk), "stars": 4, "text": "Quick"}
    client.force_login(bob)
    assert client.post(f"{theirs.get_absolute_url()}review/", asked).status_code == 403  # not run yet
    run_ended(install(theirs.newest, buyer, bob).persona)
    assert "Write or change yours" in client.get(theirs.get_absolute_url()).content.decode()
    assert client.post(f"{theirs.get_absolute_url()}review/", asked).status_code == 302
    told = client_of(bob).post("/api/v1/reviews/", {**asked, "listing": str(theirs.pk), "stars": 5})
    assert (told.status_code, theirs.reviews.get().stars) == (201, 5)


@pytest.mark.django_db
@pytest.mark.parametrize("by_page", [True, False])
def test_a_catalogue_is_left_with_what_was_said_of_it(client, wire, buyer, bob, by_page):
    own = catalogue_create(by=bob, name="Ours", url=FEED, department=buyer)
    theirs = refreshed(own)
    installed = install(theirs.newest, buyer, bob)
    run_ended(installed.persona)
    review_write(listing=theirs, department=buyer, by=bob, stars=4)
    page, api = f"/marketplace/catalogues/{own.pk}/", client_of(bob)
    client.force_login(bob)

    def leave():
        return client.post(f"{page}delete/") if by_page else api.delete(f"/api/v1/catalogues/{own.pk}/")

    assert "uninstall it first" in leave().content.decode()
    installation_remove(installation=installed, by=bob)
    assert leave().status_code == (302 if by_page else 204)
    assert not Catalogue.objects.filter(pk=own.pk).exists()
    assert not Review.objects.exists() and not Publisher.objects.filter(catalogue=own.pk).exists()
    gone = AuditEntry.objects.get(action="catalogue.delete")
    assert (gone.before["name"], gone.actor) == ("Ours", bob)


# --- the feed's own key ----------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_subscriber_follows_the_feeds_key(wire, subscribed):
    refreshed(subscribed)
    old, client = feed_now(), client_of(superuser())
    first = client.get("/api/v1/feed-keys/").json()["current"]
    rotated = client.post("/api/v1/feed-keys/rotate/").json()
    assert rotated["current"] != first and header_of(feed_now()).key == rotated["current"]
    refreshed(subscribed)
    assert Catalogue.objects.get(pk=subscribed.pk).first_key == first
    asked = {"key": first, "reason": "The laptop was stolen"}
    assert client.post("/api/v1/feed-keys/revoke/", asked).json()["revoked"] == {
        first: "The laptop was stolen"
    }
    refreshed(subscribed)
    wire[FEED] = old
    with pytest.raises(Refused, match="The laptop was stolen"):
        catalogue_refresh(catalogue=subscribed, by=superuser())


@pytest.mark.django_db
def test_the_feeds_key_is_a_superusers_on_the_page_and_by_api(client, wire, bob):
    feed_now()
    first = ring_of(None).current
    client.force_login(superuser())
    page = client.get("/marketplace/catalogues/").content.decode()
    assert first in page and "http://testserver/marketplace/feed<" in page
    assert "/marketplace/feed/rotate/" in page and "/marketplace/feed/revoke/" in page
    assert client.get("/marketplace/feed/rotate/").status_code == 200
    assert client.post("/marketplace/feed/rotate/").url == "/marketplace/catalogues/"
    assert ring_of(None).current != first
    refused = client.post("/marketplace/feed/revoke/", {"key": first, "reason": " "})
    assert refused.context["form"].errors.keys() == {"reason"}
    client.post("/marketplace/feed/revoke/", {"key": first, "reason": "stolen"})
    assert ring_of(None).revoked == {first: "stolen"}
    client.force_login(bob)
    assert "Our own feed" not in client.get("/marketplace/catalogues/").content.decode()
    assert client.post("/marketplace/feed/rotate/").status_code == 403
    assert client_of(bob).post("/api/v1/feed-keys/rotate/").status_code == 403
