"""Four eyes: who writes a release hands it in, somebody else of the department approves the very bytes."""

import json
from typing import NamedTuple

from django.db import IntegrityError, transaction
from django.utils import timezone

from marketplace.domain.bundle import Bundle, bundle_of, digest, preference
from marketplace.domain.finding import Finding
from marketplace.domain.lint import findings
from marketplace.domain.manifest import Delta, Permission, delta, manifest
from marketplace.models import Listing, Release, Submission
from marketplace.models.submission import SubmissionState
from marketplace.services.installing import bundle_in
from marketplace.services.publishing import release_content, release_write, same_release
from marketplace.services.shellcheck import root_findings
from personas.errors import BadInput, NotAllowed, Refused
from personas.models import Role
from personas.services.access import allows, require
from personas.services.audit import record
from personas.services.revisions import revision_ensure


class Told(NamedTuple):
    """What who approves reads; `delta` beside the newest release that is there, None where there is none."""

    bundle: Bundle
    permissions: list[Permission]
    before: Release | None
    delta: Delta | None
    findings: list[Finding]


def submission_told(submission: Submission) -> Told:
    bundle = bundle_of(json.loads(bytes(submission.bundle)))
    others = [each for each in submission.listing.installable if each.version != submission.version]
    before = max(others, key=lambda release: preference(release.version), default=None)
    return Told(
        bundle=bundle,
        permissions=manifest(bundle),
        before=before,
        delta=delta(bundle_in(before), bundle) if before else None,
        findings=[*findings(bundle), *root_findings(bundle)],
    )


def may_decide(*, submission: Submission, by) -> bool:
    return submission.author_id != by.pk and allows(by=by, department=submission.department, role=Role.ADMIN)


@transaction.atomic
def submission_create(
    *,
    listing: Listing,
    by,
    version: str,
    licence: str,
    changelog: list[dict] | None = None,
    about: dict | None = None,
) -> Submission:
    """Raises BadInput with all that has to be mended, Refused when the version is published or waits already."""
    content = release_content(
        listing=listing, by=by, version=version, licence=licence, changelog=changelog, about=about
    )
    if same_release(listing, content):
        raise Refused(f"Version {version} is published already.")
    revision = revision_ensure(row=listing.persona, by=by)
    submission = Submission(
        listing=listing,
        version=version,
        bundle=content,
        sha256=digest(content),
        persona_revision=revision.number,
        author=by,
    )
    try:
        with transaction.atomic():
            submission.save()
    except IntegrityError:
        raise Refused(f"Version {version} waits for approval already.") from None
    told = {"version": version, "sha256": submission.sha256}
    record(by=by, action="submission.create", obj=submission, after=told)
    return submission


@transaction.atomic
def submission_approve(*, submission: Submission, by) -> Release:
    """Publishes the bytes that were handed in. Raises NotAllowed (the author), Refused (decided by now)."""
    _decide(submission, SubmissionState.APPROVED, by)
    content = bytes(submission.bundle)
    if there := same_release(submission.listing, content):
        return there
    return release_write(
        listing=submission.listing,
        content=content,
        persona_revision=submission.persona_revision,
        author=submission.author,
        approved_by=by,
        by=by,
    )


@transaction.atomic
def submission_refuse(*, submission: Submission, by, reason: str) -> Submission:
    if not reason.strip():
        raise BadInput({"reason": ["Say what has to change."]})
    _decide(submission, SubmissionState.REFUSED, by, reason=reason.strip()[:400])
    return Submission.objects.get(pk=submission.pk)


def _decide(submission: Submission, state: SubmissionState, by, reason: str = "") -> None:
    require(by=by, department=submission.department, role=Role.ADMIN)
    if submission.author_id == by.pk:
        raise NotAllowed("You wrote it: somebody else of the department decides.")
    waiting = Submission.objects.filter(pk=submission.pk, state=SubmissionState.WAITING)
    if not waiting.update(state=state, decided_by=by, decided_at=timezone.now(), reason=reason):
        raise Refused("It has been decided by now.")
    verb = {SubmissionState.APPROVED: "approve", SubmissionState.REFUSED: "refuse"}[state]
    told = {"sha256": submission.sha256, "reason": reason}
    record(by=by, action=f"submission.{verb}", obj=submission, after=told)
