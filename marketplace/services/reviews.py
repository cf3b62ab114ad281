"""Reviews: of who has run it, one each, answered by who published it."""

from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.db.models import Avg, Count
from django.utils import timezone

from marketplace.models import Listing, Release, Review
from marketplace.services.keys import require_ours
from marketplace.services.outcomes import publishing_department
from personas.errors import BadInput, Missing, NotAllowed
from personas.models import Department, Role, RunOutcome
from personas.models.track_record import Outcome
from personas.services.access import allows, require
from personas.services.audit import record
from personas.services.rows import checked_save, locked

FINISHED = (Outcome.SUCCEEDED, Outcome.FAILED)


def release_run_by(*, listing: Listing, department: Department) -> Release | None:
    """The release of which the department finished a run last, as it was published: what it has changed is not that."""
    by_id = {str(release.pk): release for release in listing.releases.all()}
    unchanged = RunOutcome.objects.filter(department=department, origin__in=by_id, is_changed=False)
    runs = unchanged.filter(outcome__in=FINISHED)
    last = runs.order_by("-ended_at").first()
    return by_id[last.origin] if last else None


def may_review(*, listing: Listing, by) -> list[Department]:
    """The departments for which the user may write one."""
    mine, publishing = Department.objects.operable_by(by), publishing_department(listing)
    others = (each for each in mine if each != publishing)
    return [each for each in others if release_run_by(listing=listing, department=each)]


def ratings_of(listings: Iterable[Listing]) -> dict[Any, dict[str, Any]]:
    """{listing's id: {mean, n}}, of those that anybody has reviewed."""
    rows = Review.objects.filter(listing__in=list(listings)).order_by().values("listing")
    return {row["listing"]: row for row in rows.annotate(mean=Avg("stars"), n=Count("pk"))}


@transaction.atomic
def review_write(*, listing: Listing, department: Department, by, stars: int, text: str = "") -> Review:
    """The department's review, new or changed. Raises NotAllowed where it has not finished a run."""
    if not Listing.objects.visible_to(by).filter(pk=listing.pk).exists():
        raise Missing("No such listing.")
    require(by=by, department=department, role=Role.OPERATOR)
    if department == publishing_department(listing):
        raise NotAllowed("A publisher does not review itself.")
    release = release_run_by(listing=listing, department=department)
    if release is None:
        raise NotAllowed(
            f"{department} has not finished a run of {listing} as it was published: who has run it writes of it."
        )
    review = Review.objects.filter(listing=listing, department=department).first()
    review = review or Review(listing=listing, department=department)
    before = {"stars": review.stars, "text": review.text} if review.stars else None
    review.release, review.author, review.stars, review.text = release, by, stars, text.strip()
    checked_save(review)
    record(
        by=by, action="review.write", obj=review, before=before, after={"stars": stars, "text": review.text}
    )
    return review


@transaction.atomic
def review_reply(*, review: Review, by, reply: str) -> Review:
    """The publisher's answer, new or changed."""
    require(by=by, department=review.listing.department, role=Role.ADMIN)
    require_ours(review.listing.publisher)
    if not reply.strip():
        raise BadInput({"reply": ["Write an answer."]})
    review = locked(review)
    review.reply, review.replied_by, review.replied_at = reply.strip(), by, timezone.now()
    checked_save(review)
    record(by=by, action="review.reply", obj=review, after={"reply": review.reply})
    return review


def may_reply(*, listing: Listing, by) -> bool:
    return not listing.publisher.catalogue_id and allows(
        by=by, department=listing.department, role=Role.ADMIN
    )
