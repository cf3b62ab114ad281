"""Deprecate, take down, report: by page and by API, with what a run is told."""

import pytest

from marketplace.models import Listing, Release
from marketplace.services.feed import feed_now
from marketplace.services.installing import installation_create
from marketplace.services.moderation import (
    listing_deprecate,
    report_create,
    report_decide,
    takedown_appeal,
    takedown_appeal_decline,
    takedown_create,
    takedown_lift,
)
from marketplace.services.publishing import listing_create, listing_update
from personas.errors import BadInput, NotAllowed, Refused
from personas.models import AuditEntry, PersonaNotice
from personas.services.personas import persona_clone, persona_update
from tests.factories import make_persona, make_user
from tests.marketplace.conftest import WORDS
from tests.marketplace.test_sharing import APPROVED
from tests.personas.test_api import client_of


@pytest.fixture
def root(db):
    return make_user("root", superuser=True)


@pytest.fixture
def installed(release, bob, buyer):
    return installation_create(release=release, department=buyer, by=bob, approved_script_sha256=APPROVED)


def notices(installed) -> dict:
    return {row.source: row for row in installed.persona.notices.all()}


def written(action) -> list[tuple]:
    """[(who, what, how)] of what the audit log has of it."""
    rows = AuditEntry.objects.filter(action=action)
    return [(entry.actor, entry.object_id, entry.after) for entry in rows]


def test_a_yank_is_in_the_audit_log_once(client, release, alice, bob):
    yank, page = f"/api/v1/releases/{release.pk}/yank/", f"/marketplace/releases/{release.pk}/yank/"
    client.force_login(bob)
    assert client.post(page, {"reason": "mine is better"}).status_code == 403
    client.force_login(alice)
    assert client.post(page, {"reason": " It loses data "}).status_code == 302
    assert client_of(alice).post(yank, {"reason": "again"}).status_code == 200
    assert written("release.yank") == [(alice, str(release.pk), {"reason": "It loses data"})]


def test_deprecated_goes_on_and_names_its_successor(installed, listing, alice, bob, seller, release, root):
    persona = make_persona("Better database", department=seller)
    better = listing_create(by=alice, publisher=listing.publisher, persona=persona, **WORDS)
    listing_deprecate(listing=listing, by=alice, reason="Use the new one", successor=better)
    told = {"reason": "Use the new one", "successor": "Better database"}
    assert written("listing.deprecate") == [(alice, str(listing.pk), told)]
    notice = notices(installed)["marketplace.deprecation"]
    assert (notice.blocks, notice.action) == (False, "Its successor is dba-team/better-database.")
    told = client_of(bob).get(f"/api/v1/listings/{listing.pk}/").json()
    assert (told["deprecated"], told["successor"]) == ("Use the new one", str(better.pk))
    fresh = Release.objects.get(pk=release.pk)
    other = installation_create(release=fresh, department=seller, by=root, approved_script_sha256=APPROVED)
    assert notices(other)["marketplace.deprecation"]
    client_of(alice).post(f"/api/v1/listings/{listing.pk}/undeprecate/")
    assert notices(installed) == {}
    withdrawn = {"reason": None, "successor": None}
    assert written("listing.undeprecate") == [(alice, str(listing.pk), withdrawn)]
    with pytest.raises(BadInput):
        listing_deprecate(listing=listing, by=alice, reason=" ")
    with pytest.raises(NotAllowed):
        listing_deprecate(listing=listing, by=bob, reason="mine is better")


def test_a_successor_is_named_to_those_only_who_see_it(client, installed, listing, alice, bob, seller):
    persona = make_persona("Secret plan", department=seller)
    hidden = {**WORDS, "visibility": "department"}
    better = listing_create(by=alice, publisher=listing.publisher, persona=persona, **hidden)
    listing_update(listing=listing, by=alice, visibility="public")
    listing_deprecate(listing=Listing.objects.get(pk=listing.pk), by=alice, reason="Old", successor=better)

    def seen_by(user):
        client.force_login(user)
        page = client.get(listing.get_absolute_url()).content.decode()
        one = client_of(user).get(f"/api/v1/listings/{listing.pk}/").json()
        rows = client_of(user).get("/api/v1/listings/").json()["results"]
        (among,) = (row for row in rows if row["id"] == str(listing.pk))
        assert one["successor"] == among["successor"] and "Deprecated: Old" in page
        return "Secret plan" in page, one["successor"]

    assert seen_by(alice) == (True, str(better.pk))
    assert seen_by(bob) == (False, None)
    assert notices(installed)["marketplace.deprecation"].action == ""
    assert b"secret-plan" not in feed_now()
    listing_update(listing=better, by=alice, visibility="public")
    assert seen_by(bob) == (True, str(better.pk))
    assert "dba-team/secret-plan" in notices(installed)["marketplace.deprecation"].action
    assert b'"successor":"dba-team/secret-plan"' in feed_now()
    listing_update(listing=better, by=alice, visibility="department")
    assert notices(installed)["marketplace.deprecation"].action == ""


def test_taken_down_is_not_run_not_installed_and_can_be_restored(
    installed, listing, release, alice, bob, root, seller
):
    with pytest.raises(NotAllowed):
        takedown_create(listing=listing, by=alice, reason="no")
    takedown = takedown_create(listing=listing, by=root, reason="It opens a back door")
    assert notices(installed)["marketplace.takedown"].blocks
    with pytest.raises(Refused, match="back door"):
        installation_create(release=release, department=seller, by=root, approved_script_sha256=APPROVED)
    assert Listing.objects.get(pk=listing.pk).newest is None
    with pytest.raises(Refused, match="already"):
        takedown_create(listing=listing, by=root, reason="again")
    with pytest.raises(NotAllowed):
        takedown_appeal(takedown=takedown, by=bob, appeal="?")
    takedown_appeal(takedown=takedown, by=alice, appeal="It is mended in 1.0.1")
    with pytest.raises(NotAllowed):
        takedown_lift(takedown=takedown, by=alice, reason="?")
    takedown_lift(takedown=takedown, by=root, reason="Mended")
    assert notices(installed) == {}
    actions = AuditEntry.objects.filter(action__startswith="takedown.").values_list("action", flat=True)
    assert sorted(actions) == ["takedown.appeal", "takedown.create", "takedown.lift"]


def test_a_report_reaches_a_moderator_and_its_outcome_the_reporter(listing, installed, bob, alice, root):
    report = report_create(listing=listing, by=bob, kind="harmful", text="It opens port 22 to all")
    with pytest.raises(Refused, match="looked at"):
        report_create(listing=listing, by=bob, kind="other", text="again")
    assert client_of(alice).get("/api/v1/abuse-reports/").json()["count"] == 0
    assert client_of(root).get("/api/v1/abuse-reports/").json()["count"] == 1
    with pytest.raises(NotAllowed):
        report_decide(report=report, by=alice, upheld=False, outcome="no")
    report_decide(report=report, by=root, upheld=True, outcome="It does", take_down=True)
    told = client_of(bob).get(f"/api/v1/abuse-reports/{report.pk}/").json()
    assert (told["state"], told["outcome"]) == ("upheld", "It does")
    decided = {"state": "upheld", "outcome": "It does"}
    assert written("report.decide") == [(root, str(report.pk), decided)]
    (takedown,) = written("takedown.create")
    assert (takedown[0], takedown[2]) == (root, {"reason": "It does"})
    assert notices(installed)["marketplace.takedown"].text.endswith("It does")
    with pytest.raises(Refused, match="decided"):
        report_decide(report=report, by=root, upheld=False, outcome="no")


def test_the_pages_of_it(client, listing, installed, alice, bob, root):
    page = listing.get_absolute_url()
    client.force_login(bob)
    assert client.post(f"{page}report/", {"kind": "harmful", "text": "Odd"}).status_code == 302
    assert "Odd" in client.get("/marketplace/reports/").content.decode()
    client.force_login(root)
    report = listing.reports.get()
    assert "Decide" in client.get("/marketplace/reports/").content.decode()
    said = {"upheld": "yes", "outcome": "It is", "take_down": "on"}
    assert client.post(f"/marketplace/reports/{report.pk}/decide/", said).status_code == 302
    client.force_login(alice)
    assert "Taken down: It is" in client.get(page).content.decode()
    takedown = listing.takedowns.get()
    client.post(f"/marketplace/takedowns/{takedown.pk}/appeal/", {"appeal": "Mended"})
    client.force_login(root)
    assert "Appeal: Mended" in client.get(page).content.decode()
    client.post(f"/marketplace/takedowns/{takedown.pk}/lift/", {"reason": "Mended"})
    client.force_login(alice)
    client.post(f"{page}deprecate/", {"reason": "Old"})
    assert "Deprecated: Old" in client.get(page).content.decode()
    client.force_login(bob)
    assert "is deprecated: Old" in client.get(f"/personas/{installed.persona_id}/").content.decode()


def test_an_appeal_is_declined_with_a_reason_that_the_publisher_reads(client, listing, alice, bob, root):
    takedown = takedown_create(listing=listing, by=root, reason="It opens a back door")
    with pytest.raises(Refused, match="Nobody has appealed"):
        takedown_appeal_decline(takedown=takedown, by=root, reason="?")
    takedown = takedown_appeal(takedown=takedown, by=alice, appeal="It is mended")
    with pytest.raises(NotAllowed):
        takedown_appeal_decline(takedown=takedown, by=alice, reason="?")
    with pytest.raises(BadInput):
        takedown_appeal_decline(takedown=takedown, by=root, reason=" ")
    url = f"/api/v1/takedowns/{takedown.pk}/"
    waiting = client_of(root).get("/api/v1/takedowns/", {"appeal": "open"}).json()["results"]
    assert [row["id"] for row in waiting] == [str(takedown.pk)]
    assert client_of(bob).post(f"{url}decline/", {"reason": "no"}).status_code == 404
    assert client_of(alice).post(f"{url}decline/", {"reason": "no"}).status_code == 403
    told = client_of(root).post(f"{url}decline/", {"reason": "The door is still there"})
    assert (told.status_code, told.json()["decline_reason"]) == (200, "The door is still there")
    assert client_of(root).post(f"{url}decline/", {"reason": "again"}).status_code == 409
    assert client_of(root).get("/api/v1/takedowns/", {"appeal": "open"}).json()["count"] == 0
    assert client_of(alice).get("/api/v1/takedowns/", {"appeal": "declined"}).json()["count"] == 1
    entry = AuditEntry.objects.get(action="takedown.appeal_decline")
    assert entry.after == {"reason": "The door is still there"}
    client.force_login(alice)
    assert "Declined: The door is still there" in client.get(listing.get_absolute_url()).content.decode()
    takedown_lift(takedown=takedown, by=root, reason="Mended after all")


def test_appeals_wait_where_reports_do(client, listing, alice, bob, root):
    takedown = takedown_create(listing=listing, by=root, reason="It opens a back door")
    takedown_appeal(takedown=takedown, by=alice, appeal="It is mended")
    decline = f"/marketplace/takedowns/{takedown.pk}/decline/"
    client.force_login(bob)
    assert "It is mended" not in client.get("/marketplace/reports/").content.decode()
    assert client.post(decline, {"reason": "no"}).status_code == 404
    client.force_login(alice)
    page = client.get("/marketplace/reports/").content.decode()
    assert "It is mended" in page and decline not in page
    assert client.post(decline, {"reason": "no"}).status_code == 403
    client.force_login(root)
    page = client.get("/marketplace/reports/").content.decode()
    assert "It is mended" in page and decline in page
    assert "1 appeal" in client.get("/marketplace/desk/").content.decode()
    assert "reason" in client.post(decline, {"reason": ""}).context["form"].errors
    assert client.post(decline, {"reason": "Still there"}).url == "/marketplace/reports/"
    assert "It is mended" not in client.get("/marketplace/reports/").content.decode()


def test_reports_are_linked_where_one_looks(client, listing, bob, root):
    report_create(listing=listing, by=bob, kind="harmful", text="Odd")
    client.force_login(bob)
    page = client.get("/marketplace/").content.decode()
    assert page.count('href="/marketplace/reports/"') == 2 and "My reports" in page  # head and account menu
    client.force_login(root)
    desk = client.get("/marketplace/desk/").content.decode()
    assert "1 report" in desk and 'href="/marketplace/reports/"' in desk


def test_keys_by_page(client, release, alice, bob):
    publisher = release.listing.publisher
    client.force_login(alice)
    page = publisher.get_absolute_url()
    before = client.get(page).context["ring"].current
    assert client.post(f"{page}rotate/").status_code == 302
    assert client.get(page).context["retired"] == [before]
    assert "reason" in client.post(f"{page}revoke/", {"key": before}).context["form"].errors
    client.post(f"{page}revoke/", {"key": before, "reason": "Lost"})
    assert "Revoked: Lost" in client.get(page).content.decode()
    file = client.get(f"/marketplace/releases/{release.pk}/file/")
    assert file.content.startswith(b"migration-personas/signed@1\nkind bundle\n")
    assert client.post(f"{page}edit/", {"name": "DBA team", "needs_second_person": "on"}).status_code == 302
    publisher.refresh_from_db()
    assert publisher.needs_second_person
    client.force_login(bob)
    seen = client.get(page).content.decode()
    assert "Signs now" in seen and "Rotate" not in seen
    assert client.post(f"{page}rotate/").status_code == 403


def test_a_clone_is_no_way_around_a_takedown(installed, listing, bob, buyer, root):
    early = persona_clone(persona=installed.persona, by=bob, department=buyer)
    takedown = takedown_create(listing=listing, by=root, reason="It opens a back door")
    late = persona_clone(persona=early, by=bob, department=buyer)
    for clone in (early, late):
        assert clone.notices.get(source="marketplace.takedown").blocks
    takedown_lift(takedown=takedown, by=root, reason="Mended")
    assert not PersonaNotice.objects.exists()


def test_a_clone_knows_whether_it_was_changed_before(installed, bob, buyer):
    persona = installed.persona
    as_it_came = persona_clone(persona=persona, by=bob, department=buyer)
    assert (as_it_came.origin, as_it_came.origin_revision) == (persona.origin, as_it_came.revision)
    changed = persona_update(persona=persona, by=bob, packages=["ours"])
    clone = persona_clone(persona=changed, by=bob, department=buyer)
    assert (clone.origin, clone.origin_revision) == (persona.origin, None)
