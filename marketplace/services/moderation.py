"""Deprecate, take down, report: three different things. A deprecated listing goes on and names its successor; one that
is taken down is not installed and not run; a report is a question to a moderator, who is a superuser.
"""

from django.db import IntegrityError, transaction
from django.utils import timezone

from marketplace.models import AbuseReport, Listing, Takedown
from marketplace.models.moderation import ReportState
from marketplace.services.keys import require_ours
from marketplace.services.origins import origins_of
from personas.errors import BadInput, Missing, NotAllowed, Refused
from personas.models import Persona, Role
from personas.services.access import require
from personas.services.audit import record
from personas.services.notices import notice_clear, notice_set
from personas.services.rows import checked_save, locked

DEPRECATION, TAKEDOWN = "marketplace.deprecation", "marketplace.takedown"


@transaction.atomic
def listing_deprecate(*, listing: Listing, by, reason: str, successor: Listing | None = None) -> Listing:
    """It goes on as before; who looks at it or plans a run with it is told why not to begin with it."""
    require(by=by, department=listing.department, role=Role.ADMIN)
    require_ours(listing.publisher)
    if not reason.strip():
        raise BadInput({"reason": ["Say why, and what to do instead."]})
    if successor and (
        successor == listing or not Listing.objects.visible_to(by).filter(pk=successor.pk).exists()
    ):
        raise BadInput({"successor": ["Choose another listing that you see."]})
    deprecation_tell(listing=locked(listing), reason=reason.strip()[:200], successor=successor, by=by)
    return Listing.objects.get(pk=listing.pk)


@transaction.atomic
def listing_undeprecate(*, listing: Listing, by) -> Listing:
    require(by=by, department=listing.department, role=Role.ADMIN)
    require_ours(listing.publisher)
    deprecation_tell(listing=locked(listing), reason=None, successor=None, by=by)
    return Listing.objects.get(pk=listing.pk)


def deprecation_tell(*, listing: Listing, reason: str | None, successor: Listing | None, by) -> None:
    """Makes listing and installed personas say it (None: no longer). Says nothing twice."""
    before = (listing.deprecation_reason if listing.deprecated_at else None, listing.successor_id)
    if before != (reason, successor.pk if successor else None):
        listing.deprecated_at = timezone.now() if reason is not None else None
        listing.deprecation_reason, listing.successor = (reason or "")[:200], successor
        checked_save(listing)
        told = {"reason": reason, "successor": str(successor) if successor else None}
        verb = "deprecate" if reason is not None else "undeprecate"
        record(by=by, action=f"listing.{verb}", obj=listing, after=told)
    for persona in personas_of(listing):
        tell_persona(listing=listing, persona=persona, by=by)


@transaction.atomic
def takedown_create(*, listing: Listing, by, reason: str) -> Takedown:
    """By a moderator. New runs of what is installed are refused with the reason; runs under way go on."""
    _require_moderator(by)
    if not reason.strip():
        raise BadInput({"reason": ["Say why: publisher and users read it."]})
    return _taken_down(locked(listing), reason.strip()[:300], by)


@transaction.atomic
def takedown_appeal(*, takedown: Takedown, by, appeal: str) -> Takedown:
    """By the publisher, once."""
    require(by=by, department=takedown.department, role=Role.ADMIN)
    require_ours(takedown.listing.publisher)
    takedown = locked(takedown)
    if takedown.lifted_at or takedown.appealed_at:
        raise Refused("It has been appealed against, or lifted, already.")
    if not appeal.strip():
        raise BadInput({"appeal": ["Say why it should be lifted, or what you have changed."]})
    takedown.appeal, takedown.appealed_by, takedown.appealed_at = appeal.strip()[:1000], by, timezone.now()
    checked_save(takedown)
    record(by=by, action="takedown.appeal", obj=takedown, after={"appeal": takedown.appeal})
    return takedown


@transaction.atomic
def takedown_appeal_decline(*, takedown: Takedown, by, reason: str) -> Takedown:
    """By a moderator: the takedown stays; the publisher reads why."""
    _require_moderator(by)
    takedown = locked(takedown)
    if not takedown.appealed_at:
        raise Refused("Nobody has appealed against it.")
    if takedown.declined_at or takedown.lifted_at:
        raise Refused("The appeal has been decided already.")
    if not reason.strip():
        raise BadInput({"reason": ["Say why it stays taken down: the publisher reads it."]})
    takedown.declined_at, takedown.declined_by = timezone.now(), by
    takedown.decline_reason = reason.strip()[:300]
    checked_save(takedown)
    record(by=by, action="takedown.appeal_decline", obj=takedown, after={"reason": takedown.decline_reason})
    return takedown


@transaction.atomic
def takedown_lift(*, takedown: Takedown, by, reason: str) -> Takedown:
    """Restores the listing; what is installed runs again."""
    _require_moderator(by)
    takedown = locked(takedown)
    if takedown.lifted_at:
        raise Refused("It has been lifted already.")
    if not reason.strip():
        raise BadInput({"reason": ["Say why."]})
    return _lifted(takedown, reason.strip()[:300], by)


def takedown_follow(*, listing: Listing, reason: str | None) -> None:
    """What another instance has taken down or restored among its own is followed here, by nobody of ours."""
    holds = listing.takedowns.filter(lifted_at__isnull=True).first()
    if reason is not None and holds is None:
        _taken_down(listing, reason[:300], None)
    if reason is None and holds is not None and holds.taken_down_by_id is None:  # ours are lifted by ours
        _lifted(holds, "restored where it comes from", None)


def require_not_taken_down(listing: Listing) -> None:
    """Raises Refused with the reason of the takedown that holds."""
    if takedown := listing.takedown:
        raise Refused(f"{listing} has been taken down: {takedown.reason}")


def tell_persona(*, listing: Listing, persona: Persona, by) -> None:
    """What a persona that was installed from it has to say; said again after every installation and update."""
    holds = listing.takedowns.filter(lifted_at__isnull=True).first()
    if holds:
        text = f"“{listing}” has been taken down: {holds.reason}"
        action = "Choose another persona; its publisher may appeal."
        notice_set(persona=persona, source=TAKEDOWN, text=text, action=action, blocks=True, by=by)
    else:
        notice_clear(persona=persona, source=TAKEDOWN, by=by)
    if listing.deprecated_at:
        successor = listing.successor
        is_named = successor is not None and successor.is_shown_in(persona.department)
        action = f"Its successor is {successor.address}." if is_named else ""
        text = f"“{listing}” is deprecated: {listing.deprecation_reason}"
        notice_set(persona=persona, source=DEPRECATION, text=text, action=action, by=by)
    else:
        notice_clear(persona=persona, source=DEPRECATION, by=by)


def successor_tell(*, listing: Listing, by) -> None:
    """Call it when others see it who did not, or no longer: it is named where it succeeds something, or no more."""
    for before in Listing.objects.filter(successor=listing):
        for persona in personas_of(before):
            tell_persona(listing=before, persona=persona, by=by)


def personas_of(listing: Listing):
    """What was installed from it, and every clone of that, by its origin."""
    return Persona.objects.filter(origin__in=origins_of(listing))


@transaction.atomic
def report_create(*, listing: Listing, by, kind: str, text: str) -> AbuseReport:
    if not Listing.objects.visible_to(by).filter(pk=listing.pk).exists():
        raise Missing("No such listing.")
    report = AbuseReport(listing=listing, reporter=by, kind=kind, text=text.strip())
    report.full_clean(validate_constraints=False)
    try:
        with transaction.atomic():
            report.save()
    except IntegrityError:
        raise Refused("Your report of it is being looked at already.") from None
    record(by=by, action="report.create", obj=report, after={"kind": kind, "listing": str(listing.pk)})
    return report


@transaction.atomic
def report_decide(
    *, report: AbuseReport, by, upheld: bool, outcome: str, take_down: bool = False
) -> AbuseReport:
    """By a moderator; the reporter reads the outcome. `take_down` takes the listing down for the same reason."""
    _require_moderator(by)
    if not outcome.strip():
        raise BadInput({"outcome": ["Say what came of it: the reporter reads it."]})
    state = ReportState.UPHELD if upheld else ReportState.DISMISSED
    open_still = AbuseReport.objects.filter(pk=report.pk, state=ReportState.OPEN)
    told = {"state": state, "outcome": outcome.strip()[:400]}
    if not open_still.update(**told, decided_by=by, decided_at=timezone.now()):
        raise Refused("It has been decided by now.")
    if upheld and take_down and report.listing.takedown is None:
        takedown_create(listing=report.listing, by=by, reason=outcome)
    record(by=by, action="report.decide", obj=report, after=told)
    return AbuseReport.objects.get(pk=report.pk)


def _taken_down(listing: Listing, reason: str, by) -> Takedown:
    try:
        with transaction.atomic():
            takedown = Takedown.objects.create(listing=listing, reason=reason, taken_down_by=by)
    except IntegrityError:
        raise Refused("It has been taken down already.") from None
    record(by=by, action="takedown.create", obj=takedown, after={"reason": reason})
    for persona in personas_of(listing):
        tell_persona(listing=listing, persona=persona, by=by)
    return takedown


def _lifted(takedown: Takedown, reason: str, by) -> Takedown:
    takedown.lifted_at, takedown.lifted_by, takedown.lift_reason = timezone.now(), by, reason
    checked_save(takedown)
    record(by=by, action="takedown.lift", obj=takedown, after={"reason": reason})
    for persona in personas_of(takedown.listing):
        tell_persona(listing=takedown.listing, persona=persona, by=by)
    return takedown


def _require_moderator(by) -> None:
    if not by.is_superuser:
        raise NotAllowed("Only a superuser moderates the marketplace.")
