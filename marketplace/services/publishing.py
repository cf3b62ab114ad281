"""Sharing a persona: the publisher, the listing, and releases that never change."""

import json
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from marketplace.domain.bundle import MOST_BYTES, Bundle, bundle_of, digest, pack, scripts_said
from marketplace.domain.finding import Finding, errors_by_place
from marketplace.domain.lint import findings, word_findings
from marketplace.domain.script_entries import left_open
from marketplace.domain.secrets import secrets_in_words
from marketplace.models import Installation, Listing, Publisher, Release
from marketplace.models.listing import WIDER
from marketplace.services.catalogue import listing_reindex
from marketplace.services.installing import parts_there
from marketplace.services.keys import key_ensure, release_sign, require_ours
from marketplace.services.moderation import successor_tell
from marketplace.services.origins import require_publishable, upstream_of
from marketplace.services.proof import hold_reason
from marketplace.services.shellcheck import root_findings
from personas.domain.settings import InvalidSettings
from personas.errors import BadInput, NotAllowed, Refused
from personas.models import Department, Persona, Role, Script
from personas.services.access import require
from personas.services.audit import record
from personas.services.revisions import revision_ensure
from personas.services.rows import checked_save, locked, row_create, row_update, snapshot
from personas.services.scripts import scripts_run_by

ABOUT = ("name", "summary", "readme", "category", "icon")


def publisher_create(*, by, department: Department | None, **fields: Any) -> Publisher:
    """Held until a moderator has looked where it could be taken for another publisher. Raises NotAllowed,
    ValidationError when the namespace is taken."""
    publisher = Publisher(department=department, **fields)
    others = Publisher.objects.exclude(department=department) if department else Publisher.objects.none()
    publisher.held_reason = hold_reason(publisher, others=others)
    return row_create(row=publisher, by=by)


@transaction.atomic
def publisher_update(*, publisher: Publisher, by, **fields: Any) -> Publisher:
    """Four eyes are asked for by an admin, and given up by a superuser: else an author could do so on his own."""
    require_ours(publisher)
    if fields.get("name", publisher.name) != publisher.name:
        raise BadInput({"name": ["A publisher keeps its name: others know it by it."]})
    _require_same_slug(publisher, fields, "the addresses, keys and bundles of all it publishes say it")
    if publisher.needs_second_person and not fields.get("needs_second_person", True) and not by.is_superuser:
        raise NotAllowed("Only a superuser gives up four eyes.")
    return row_update(row=publisher, by=by, values=fields)


@transaction.atomic
def listing_create(*, by, publisher: Publisher, persona: Persona, **fields: Any) -> Listing:
    """`fields` are columns of Listing. A persona is published by its own department."""
    require(by=by, department=publisher.department, role=Role.ADMIN)
    require_ours(publisher)
    if persona.department_id != publisher.department_id:
        raise BadInput({"persona": ["A department publishes its own personas; clone it into yours first."]})
    if persona.allowance_id:
        raise BadInput({"persona": ["It was bought: what is in it is not yours to publish."]})
    require_publishable(persona)
    listing = Listing(
        publisher=publisher, persona=persona, **{"name": persona.name, "slug": persona.slug, **fields}
    )
    checked_save(listing)
    _require_sayable(listing, {*ABOUT, "tests"})
    listing_reindex(listing)
    record(by=by, action="listing.create", obj=listing, after=snapshot(listing))
    return listing


@transaction.atomic
def listing_update(*, listing: Listing, by, **fields: Any) -> Listing:
    """Words, category, visibility; the address and the releases stay what they are. Raises BadInput where a check
    complains of the words, and in a namespace of four eyes, once something is published, for what one person does not
    say alone."""
    require_ours(listing.publisher)
    _require_same_slug(listing, fields, "its address and its bundles say it; change its name instead")
    before = locked(listing)
    row = row_update(row=listing, by=by, values=fields)
    changed = {name for name in fields if getattr(row, name) != getattr(before, name)}
    _require_four_eyes(before, row, changed, by)
    _require_sayable(row, changed)
    listing_reindex(row)
    successor_tell(listing=row, by=by)
    return row


def words_wait(listing: Listing) -> bool:
    """Whether its words are said with a release only, which a second person approves."""
    return listing.publisher.needs_second_person and listing.releases.exists()


def _require_four_eyes(before: Listing, after: Listing, changed: set[str], by) -> None:
    if not words_wait(after):
        return
    told = "Say it with the next version, which a second person approves."
    errors = {name: [told] for name in ABOUT if name in changed}
    is_widened = WIDER.index(after.visibility) > WIDER.index(before.visibility)
    if is_widened and after.releases.latest("published_at").published_by_id == by.pk:
        errors["visibility"] = ["You wrote its newest version: somebody else of the department widens this."]
    if errors:
        raise BadInput(errors)


def _require_sayable(listing: Listing, changed: set[str]) -> None:
    told = secrets_in_words({name: getattr(listing, name) for name in (*ABOUT, "tests")})
    if listing.releases.exists():
        description = listing.persona.description if listing.persona else ""
        told += word_findings(summary=listing.summary or description, readme=listing.readme)
    errors = errors_by_place([each for each in told if each.place in changed])
    if errors:
        raise BadInput(errors)


@transaction.atomic
def release_publish(
    *,
    listing: Listing,
    by,
    version: str,
    licence: str,
    changelog: list[dict] | None = None,
    about: dict | None = None,
) -> Release:
    """The listing's persona as it is now, as an immutable release; the listing says what its newest release says.
    `about`: {name, summary, …} where it is to say something else than before.

    The same version with the same bytes is the release that is there; with other bytes it is Refused. Raises BadInput
    with everything that has to be mended, by field, line by line; Refused in a namespace of four eyes, where it is
    handed in instead (services/submissions.py).
    """
    require(by=by, department=listing.department, role=Role.ADMIN)
    if listing.publisher.needs_second_person:
        raise Refused(f"{listing.publisher} publishes what a second person has approved: hand it in.")
    content = release_content(
        listing=listing, by=by, version=version, licence=licence, changelog=changelog, about=about
    )
    if there := same_release(listing, content):
        return there
    revision = revision_ensure(row=listing.persona, by=by)
    return release_write(
        listing=listing, content=content, persona_revision=revision.number, author=by, approved_by=None, by=by
    )


def release_findings(
    *,
    listing: Listing,
    by,
    version: str,
    licence: str,
    changelog: list[dict] | None = None,
    about: dict | None = None,
) -> list[Finding]:
    """What the checks before publishing say of the persona as it is now; nothing is written."""
    require(by=by, department=listing.department, role=Role.ADMIN)
    require_ours(listing.publisher)
    bundle = _bundle(listing, version, licence, changelog or [], about or {})
    return [*findings(bundle), *root_findings(bundle)]


def release_content(
    *,
    listing: Listing,
    by,
    version: str,
    licence: str,
    changelog: list[dict] | None = None,
    about: dict | None = None,
) -> bytes:
    """The checked bytes of a release. Raises BadInput as `release_publish`."""
    asked = {"version": version, "licence": licence, "changelog": changelog, "about": about}
    told = release_findings(listing=listing, by=by, **asked)
    if errors := errors_by_place(told):
        raise BadInput(errors)
    content = pack(_bundle(listing, version, licence, changelog or [], about or {}))
    if len(content) > MOST_BYTES:
        raise BadInput({"persona": [f"With its scripts it is larger than {MOST_BYTES // 1024} KiB."]})
    return content


def same_release(listing: Listing, content: bytes) -> Release | None:
    """The release that is these very bytes. Raises Refused when the version has other ones."""
    version = bundle_of(json.loads(content)).version
    there = listing.releases.filter(version=version).first()
    if there and there.sha256 != digest(content):
        raise Refused(f"Version {version} is published and never changes; take the next one.")
    return there


def release_write(
    *, listing: Listing, content: bytes, persona_revision: int, author, approved_by, by
) -> Release:
    """Writes checked bytes down. Call it inside the transaction that has decided."""
    bundle = bundle_of(json.loads(content))
    release = Release(
        listing=listing,
        version=bundle.version,
        licence=bundle.licence,
        changelog=[change.model_dump() for change in bundle.changelog],
        bundle=content,
        sha256=digest(content),
        size=len(content),
        persona_revision=persona_revision,
        published_by=author,
        approved_by=approved_by,
    )
    try:
        with transaction.atomic():
            release.save()
    except IntegrityError:
        raise Refused(f"Version {bundle.version} was published at the same moment.") from None
    if bundle.about and Listing.objects.get(pk=listing.pk).newest == release:
        listing = row_update(row=listing, by=by, values=bundle.about.model_dump())
    listing_reindex(listing)
    release_sign(release=release, ring=key_ensure(publisher=listing.publisher, by=by))
    told = {"version": release.version, "licence": release.licence, "sha256": release.sha256}
    record(by=by, action="release.publish", obj=release, after=told)
    return release


@transaction.atomic
def release_yank(*, release: Release, by, reason: str) -> Release:
    """No new installations; those that are there go on. Yanking twice is no error."""
    require(by=by, department=release.department, role=Role.ADMIN)
    require_ours(release.listing.publisher)
    if not reason.strip():
        raise BadInput({"reason": ["Say why: whoever has it installed will read it."]})
    yank_tell(release=release, by=by, reason=reason.strip()[:200])
    return Release.objects.get(pk=release.pk)


def yank_tell(*, release: Release, by, reason: str) -> None:
    """Writes it down, whoever has yanked it. Says nothing twice."""
    rows = Release.objects.filter(pk=release.pk, yanked_at__isnull=True)
    if rows.update(yanked_at=timezone.now(), yank_reason=reason):
        record(by=by, action="release.yank", obj=release, after={"reason": reason})
        listing_reindex(release.listing)


def _require_same_slug(row: Publisher | Listing, fields: dict[str, Any], why: str) -> None:
    if fields.get("slug", row.slug) != row.slug:
        raise BadInput({"slug": [f"It stays “{row.slug}”: {why}."]})


def _bundle(listing: Listing, version: str, licence: str, changelog: list[dict], about: dict) -> Bundle:
    if listing.persona is None:
        raise Refused("The persona that this listing was made from is gone.")
    require_publishable(listing.persona)
    try:
        return bundle_of(
            {
                "publisher": listing.publisher.slug,
                "listing": listing.slug,
                "version": version,
                "licence": licence,
                "changelog": changelog,
                "about": {name: about.get(name, getattr(listing, name)) for name in ABOUT},
                "tests": listing.tests or None,
                "forked_from": upstream_of(listing),
                **persona_content(listing.persona),
            }
        )
    except InvalidSettings as error:
        raise BadInput(_told(error)) from None


def _told(error: InvalidSettings) -> dict[str, list[str]]:
    told: dict[str, list[str]] = {}
    for each in error.errors:
        told.setdefault(each["field"].removeprefix("about."), []).append(each["message"])
    return told


def persona_content(persona: Persona) -> dict[str, Any]:
    """The persona and the rows that it points to, as a bundle says them. What its publisher left open is left open
    again: the department has given its values to itself."""
    drivers, resources = persona.default_driver_set, persona.resource_allocation_profile
    network, settings = persona.network_profile, left_open(persona.document(), _given_here(persona))
    content: dict[str, Any] = {
        "persona": {**_named(persona), "settings": settings, "hints": persona.hints},
        **scripts_said([_script(row) for row in scripts_run_by(persona)], settings),
    }
    if drivers:
        content["driver_set"] = {
            **_named(drivers), "drivers": drivers.drivers, "distributions": drivers.distributions
        }  # fmt: skip
    if resources:
        sizes = {name: getattr(resources, name) for name in ("vcpus", "memory_mib", "root_disk_gib")}
        content["resource_profile"] = {**_named(resources), **sizes}
    if network:
        content["network_profile"] = {
            **_named(network),
            "bandwidth_mbps": network.bandwidth_mbps,
            "addressing": network.addressing,
            "security_groups": network.security_groups,
        }
    return content


def _given_here(persona: Persona) -> dict[str, Any]:
    """{script.VARIABLE: value} that it was given as an installation, with the scripts as they are called here."""
    installation = Installation.objects.filter(persona=persona).first()
    if installation is None or not installation.parameters:
        return {}
    rows = parts_there(installation).scripts
    told = ((name.partition("."), value) for name, value in installation.parameters.items())
    return {
        f"{rows[script].slug}.{variable}": value for (script, _, variable), value in told if script in rows
    }


def _script(script: Script) -> dict[str, Any]:
    newest = script.latest
    told = {**_named(script), "interpreter": newest.interpreter, "body": newest.body}
    return told | ({"parameters": newest.parameters} if newest.parameters else {})


def _named(row) -> dict[str, str]:
    return {"slug": row.slug, "name": row.name, "description": row.description}
