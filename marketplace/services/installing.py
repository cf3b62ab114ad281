"""A release in a department: a persona of the department's own with all its parts, pinned to the version."""

from typing import Any

from django.apps import apps
from django.db import transaction

from marketplace.domain.bundle import Bundle, UnreadableBundle, unpack
from marketplace.models import Installation, Release
from personas.errors import BadInput, InUse, Missing, Refused
from personas.models import Department, DriverSet, NetworkProfile, Persona, ResourceProfile, Role, Script
from personas.services.access import require
from personas.services.audit import record
from personas.services.parts import part_create
from personas.services.persona_document import columns_of
from personas.services.personas import persona_create, persona_delete
from personas.services.rows import checked_save, free_slug, locked, row_delete
from personas.services.scripts import script_create


def bundle_in(release: Release) -> Bundle:
    """Raises Refused when the stored bytes are not those that were published."""
    try:
        return unpack(bytes(release.bundle), sha256=release.sha256)
    except UnreadableBundle as error:
        raise Refused(str(error)) from None


@transaction.atomic
def installation_create(
    *, release: Release, department: Department, by, approved_script_sha256: str = "", name: str = ""
) -> Installation:
    """Makes the persona and its parts in `department`. A script comes in only with the hash of the text that was read.

    Raises NotAllowed, Missing (not the caller's to see), BadInput, Refused (yanked, there already).
    """
    if not Release.objects.visible_to(by).filter(pk=release.pk).exists():
        raise Missing("No such release.")
    require(by=by, department=department, role=Role.ADMIN)
    _require_installable(release, department)
    bundle = bundle_in(release)
    _require_approved(bundle, approved_script_sha256)
    parts = _make_parts(bundle, department, by)
    installation = Installation(
        department=department,
        listing=release.listing,
        release=release,
        persona=_make_persona(bundle, parts, department, by, name),
        approved_script_sha256=bundle.script.sha256 if bundle.script else "",
        made=[[part._meta.label, str(part.pk)] for part in parts.values()],
        installed_by=by,
    )
    checked_save(installation)
    record(by=by, action="installation.create", obj=installation, after=_told(installation))
    return installation


@transaction.atomic
def installation_remove(*, installation: Installation, by) -> None:
    """Removes the persona and the parts that came with it; a part that something else uses by now stays. Raises InUse,
    listing the users, while something needs the persona."""
    require(by=by, department=installation.department, role=Role.ADMIN)
    installation = locked(installation)
    told, persona, made = _told(installation), installation.persona, installation.made
    record(by=by, action="installation.remove", obj=installation, before=told)
    installation.delete()
    persona_delete(persona=persona, by=by)
    for label, pk in made:
        if part := apps.get_model(label).objects.filter(pk=pk).first():
            _delete_unless_used(part, by)


def _delete_unless_used(part, by) -> None:
    try:
        row_delete(row=part, by=by)
    except InUse:
        return  # another persona of the department has come to use it: it is theirs now


def _require_installable(release: Release, department: Department) -> None:
    if release.yanked_at:
        raise Refused(f"{release} has been yanked: {release.yank_reason}")
    there = Installation.objects.filter(department=department, listing=release.listing).first()
    if there:
        raise Refused(f"{there.release} is installed in {department} already. Uninstall it first.")


def _require_approved(bundle: Bundle, approved: str) -> None:
    if bundle.script and approved != bundle.script.sha256:
        told = (
            f"It runs a script as root. Read it and give its SHA-256 ({bundle.script.sha256}) to let it in."
        )
        raise BadInput({"approved_script_sha256": [told]})


def _make_parts(bundle: Bundle, department: Department, by) -> dict[str, Any]:
    """{column of Persona: row}, each with a slug that is free in the department."""
    models = {
        "default_driver_set": (DriverSet, bundle.driver_set),
        "resource_allocation_profile": (ResourceProfile, bundle.resource_profile),
        "network_profile": (NetworkProfile, bundle.network_profile),
    }
    parts: dict[str, Any] = {}
    for column, (model, part) in models.items():
        if part is not None:
            fields = _columns(part, model, department)
            parts[column] = part_create(model=model, by=by, department=department, **fields)
    if bundle.script:
        fields = _columns(bundle.script, Script, department)
        parts["post_migration_script"] = script_create(by=by, department=department, **fields)
    return parts


def _columns(part, model, department: Department) -> dict[str, Any]:
    said = part.model_dump(mode="json", exclude_none=True)
    return {**said, "slug": free_slug(model=model, department=department, name=part.slug)}


def _make_persona(bundle: Bundle, parts: dict[str, Any], department: Department, by, name: str) -> Persona:
    document = dict(bundle.persona.settings)
    if drivers := parts.get("default_driver_set"):
        document["driver_set"] = drivers.slug
    if script := parts.get("post_migration_script"):
        document["post_migration"] = {**document["post_migration"], "scripts": [{"name": script.slug}]}
    said = {**columns_of(document, department=department), **parts}
    return persona_create(
        by=by,
        department=department,
        name=name or bundle.persona.name,
        slug=free_slug(model=Persona, department=department, name=bundle.persona.slug),
        description=bundle.persona.description,
        hints=bundle.persona.hints,
        **said,
    )


def _told(installation: Installation) -> dict[str, Any]:
    return {
        "listing": str(installation.listing_id),
        "version": installation.release.version,
        "sha256": installation.release.sha256,
        "persona": str(installation.persona_id),
        "approved_script_sha256": installation.approved_script_sha256,
    }
