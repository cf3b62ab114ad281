"""A release in a department: a persona of the department's own with all its parts, pinned to the version."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.apps import apps
from django.db import transaction
from django.utils import timezone

from marketplace.domain.bundle import Bundle, UnreadableBundle, unpack
from marketplace.models import Installation, Release
from marketplace.services.contents import MODELS, Parts, parts_made, persona_columns
from marketplace.services.entitlements import entitled
from marketplace.services.keys import signed_by
from marketplace.services.moderation import require_not_taken_down, tell_persona
from marketplace.services.parameter_values import values_checked
from marketplace.services.secret_bindings import bindings_checked, bindings_of
from personas.errors import BadInput, InUse, Missing, Refused
from personas.models import Department, Persona, Role, RunAllowance, Script
from personas.services.access import require
from personas.services.approvals import script_approve
from personas.services.audit import record
from personas.services.personas import persona_create, persona_update
from personas.services.rows import checked_save, free_slug, locked, row_delete, row_retire


def bundle_in(release: Release) -> Bundle:
    """Raises Refused when the stored bytes are not those that were published."""
    try:
        return unpack(bytes(release.bundle), sha256=release.sha256)
    except UnreadableBundle as error:
        raise Refused(str(error)) from None


@transaction.atomic
def installation_create(
    *,
    release: Release,
    department: Department,
    by,
    approved_script_sha256: str = "",
    name: str = "",
    secrets: Mapping[str, str | None] | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> Installation:
    """Makes the persona and its parts in `department`. What runs as root comes in only with the hash of what was
    read. `secrets`: {name in the release: slug of a secret of the department}; what is left out is given before a run.
    `parameters`: {script.VARIABLE: value}, all that the publisher left open.

    Raises NotAllowed, Missing (not the caller's to see), PaymentRequired, BadInput, Refused (yanked, there already).
    """
    _require_usable(release, by)
    require(by=by, department=department, role=Role.ADMIN)
    there = Installation.objects.filter(department=department, listing=release.listing).first()
    if there:
        raise Refused(
            f"{there.release} is installed in {department} already: update it, or uninstall it first."
        )
    allowance = entitled(listing=release.listing, department=department)
    bundle = bundle_in(release)
    _require_trusted(release)
    _require_approved(bundle, approved_script_sha256, release, by)
    names = bundle.secret_names
    bound = bindings_checked(names=names, given=secrets or {}, before={}, department=department)
    values = values_checked(asked=bundle.parameters_asked, given=parameters or {}, before={})
    parts = parts_made(bundle, department=department, by=by, author=release.published_by)
    bindings = bindings_of(names, listing=release.listing, bound=bound)
    persona = persona_create(
        by=by,
        department=department,
        name=name or bundle.persona.name,
        slug=free_slug(model=Persona, department=department, name=bundle.persona.slug),
        **persona_columns(bundle, parts, department=department, secrets=bindings, parameters=values),
    )
    installation = Installation(
        department=department,
        listing=release.listing,
        persona=persona,
        installed_by=by,
        secrets=bound,
        parameters=values,
    )
    _pin(installation, release, bundle, parts, allowance)
    _approve(parts, {each.sha256 for each in bundle.carried}, release, by)
    tell_persona(listing=release.listing, persona=persona, by=by)
    record(by=by, action="installation.create", obj=installation, after=_told(installation))
    return installation


@transaction.atomic
def installation_update(
    *,
    installation: Installation,
    release: Release,
    by,
    approved_script_sha256: str = "",
    secrets: Mapping[str, str | None] | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> Installation:
    """The same persona, now as `release` (newer or older) has it; what the department changed in it is replaced, its
    name and slug stay, and so do the secrets and values that it was given, where nothing else is said now; a secret is
    taken back by None. What runs as root and has not been let in before needs its hash. Runs that are under way keep
    what they started with. Raises as `installation_create`."""
    installation = locked(installation)
    if installation.is_fork:
        raise Refused("It is a fork: an update is merged into what the department has changed.")
    allowance = move_allowance(installation=installation, release=release, by=by)
    return installation_move(
        installation=installation,
        release=release,
        bundle=bundle_in(release),
        allowance=allowance,
        by=by,
        approved_script_sha256=approved_script_sha256,
        secrets=secrets,
        parameters=parameters,
    )


def move_allowance(*, installation: Installation, release: Release, by) -> RunAllowance | None:
    """What the persona has to carry as `release`, as `entitled` tells it. Ask before its content is read: what a
    refusal says of that is for those only who may have it. Raises as `installation_create`."""
    _require_usable(release, by)
    require(by=by, department=installation.department, role=Role.ADMIN)
    require_same_listing(installation=installation, release=release)
    return entitled(listing=release.listing, department=installation.department)


def require_same_listing(*, installation: Installation, release: Release) -> None:
    """Raises BadInput."""
    if release.listing_id != installation.listing_id:
        raise BadInput({"release": ["It is a release of another listing."]})


def installation_move(
    *,
    installation: Installation,
    release: Release,
    bundle: Bundle,
    allowance: RunAllowance | None,
    by,
    approved_script_sha256: str,
    is_known: bool = False,
    kept_scripts: Mapping[str, Script] | None = None,
    kept_secrets: Mapping[str, str] | None = None,
    secrets: Mapping[str, str | None] | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> Installation:
    """The persona as `bundle` says it, pinned to `release`. `allowance`: of `move_allowance`. `is_known`: all that it
    runs as root is in the persona already; else that of the release has to be approved. `kept_…`: what a fork has of
    its own, by its name in `bundle`. Call it with the row locked, in the transaction that has decided."""
    _require_trusted(release)
    offered = bundle_in(release)
    if not is_known and offered.root_sha256 != installation.approved_script_sha256:
        _require_approved(offered, approved_script_sha256, release, by)
    names = [name for name in bundle.secret_names if name not in (kept_secrets or {})]
    own = {"department": installation.department}
    told = _needed(secrets, names, offered.secret_names)
    bound = bindings_checked(names=names, given=told, before=installation.secrets, **own)
    asked = {
        name: each
        for name, each in bundle.parameters_asked.items()
        if name.partition(".")[0] not in (kept_scripts or {})
    }
    told = _needed(parameters, asked, offered.parameters_asked)
    values = values_checked(asked=asked, given=told, before=installation.parameters)
    before, there = _told(installation), parts_there(installation)
    let_in = {each.sha256 for each in offered.carried if approved_script_sha256 == offered.root_sha256}
    let_in |= {sha256 for script in there.scripts.values() for sha256 in _approved(script)}
    kept = Parts(there.columns, there.scripts, kept_scripts or {})
    parts = parts_made(bundle, there=kept, by=by, author=release.published_by, **own)
    bindings = bindings_of(names, listing=release.listing, bound=bound) | dict(kept_secrets or {})
    columns = persona_columns(bundle, parts, secrets=bindings, parameters=values, **own)
    persona_update(persona=installation.persona, by=by, **columns)
    installation.secrets, installation.parameters = bound, values
    _pin(installation, release, bundle, parts, allowance)
    for part in there.rows:
        if part not in parts.rows:
            _delete_unless_used(part, by)
    _approve(parts, let_in, release, by)
    tell_persona(listing=release.listing, persona=installation.persona, by=by)
    record(by=by, action="installation.update", obj=installation, before=before, after=_told(installation))
    return installation


@transaction.atomic
def installation_remove(*, installation: Installation, by) -> Persona | None:
    """Removes the persona and the parts that came with it; a part that something else uses by now stays. A persona that
    runs of before name is archived with its parts, and answered. Raises InUse, listing the users, while something needs
    the persona."""
    require(by=by, department=installation.department, role=Role.ADMIN)
    installation = locked(installation)
    persona, parts = installation.persona, parts_there(installation)
    record(by=by, action="installation.remove", obj=installation, before=_told(installation))
    installation.delete()
    kept = row_retire(row=persona, by=by)
    for part in parts.rows:
        _delete_unless_used(part, by)
    return kept


def _needed(told: Mapping[str, Any] | None, asked: Iterable[str], offered: Iterable[str]) -> dict[str, Any]:
    """A release asks a fork also for what the department has taken out by now: an answer to that is in vain."""
    return {name: said for name, said in (told or {}).items() if name in asked or name not in offered}


def _require_usable(release: Release, by) -> None:
    if not Release.objects.visible_to(by).filter(pk=release.pk).exists():
        raise Missing("No such release.")
    if release.yanked_at:
        raise Refused(f"{release} has been yanked: {release.yank_reason}")
    require_not_taken_down(release.listing)


def _require_trusted(release: Release) -> None:
    """What comes from elsewhere is signed by a key that holds, and its catalogue has been asked recently."""
    catalogue = release.listing.publisher.catalogue
    if (catalogue or release.signatures.exists()) and signed_by(release) is None:
        raise Refused(
            f"{release} is signed by no key that is trusted: it was revoked, or the bytes were changed."
        )
    if (
        catalogue
        and not catalogue.is_files
        and (catalogue.expires_at is None or catalogue.expires_at <= timezone.now())
    ):
        raise Refused(f"The catalogue {catalogue} was last asked too long ago: refresh it first.")


def _approve(parts: Parts, let_in: set[str], release: Release, by) -> None:
    """Who lets a script in has read it; who published it leaves the approval to somebody else of the department."""
    if release.published_by_id == by.pk:
        return
    for script in parts.scripts.values():
        sha256 = script.latest.sha256
        if sha256 in let_in and not script.is_approved(sha256):
            script_approve(script=script, sha256=sha256, by=by)


def _approved(script: Script) -> list[str]:
    return list(script.approvals.values_list("sha256", flat=True))


def _require_approved(bundle: Bundle, approved: str, release: Release, by) -> None:
    """A script of one's own waits for its approval once it is in; commands are in the persona itself, and don't come in
    before somebody else has read them."""
    if bundle.root_sha256 and approved != bundle.root_sha256:
        told = (
            f"It runs as root: {bundle.root_words}. "
            f"Read it all and give its SHA-256 ({bundle.root_sha256}) to let it in."
        )
        raise BadInput({"approved_script_sha256": [told]})
    if bundle.commands and release.published_by_id == by.pk:
        told = "You published its commands: somebody else of the department reads them and lets them in."
        raise BadInput({"approved_script_sha256": [told]})


def _pin(installation: Installation, release: Release, bundle: Bundle, parts: Parts, allowance) -> None:
    installation.release = release
    installation.approved_script_sha256 = bundle.root_sha256
    installation.made = [[part._meta.label, str(part.pk)] for part in parts.columns.values()]
    installation.made += [[Script._meta.label, str(row.pk), slug] for slug, row in parts.scripts.items()]
    checked_save(installation)
    persona = installation.persona
    as_published = bundle == bundle_in(release)  # a fork's merge may have edits in it
    persona.origin, persona.allowance = str(release.pk), allowance
    persona.origin_revision = persona.revision if as_published else None
    persona.save(update_fields=["origin", "origin_revision", "allowance"])


def parts_there(installation: Installation) -> Parts:
    """The parts that were made for it and are still there."""
    labels = {model._meta.label: column for column, model in MODELS.items()}
    columns, scripts = {}, {}
    for label, pk, *slug in installation.made:
        row = apps.get_model(label).objects.filter(pk=pk).first()
        if row is not None and label == Script._meta.label:
            # a release of before had one script, and what it was called is in its bytes only
            scripts[slug[0] if slug else bundle_in(installation.release).carried[0].slug] = row
        elif row is not None:
            columns[labels[label]] = row
    return Parts(columns, scripts)


def _delete_unless_used(part, by) -> None:
    try:
        row_delete(row=part, by=by)
    except InUse:
        return  # another persona of the department has come to use it: it is theirs now


def _told(installation: Installation) -> dict[str, Any]:
    return {
        "listing": str(installation.listing_id),
        "version": installation.release.version,
        "sha256": installation.release.sha256,
        "persona": str(installation.persona_id),
        "approved_script_sha256": installation.approved_script_sha256,
        "secrets": installation.secrets,
        "parameters": installation.parameters,
    }
