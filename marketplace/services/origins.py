"""Where a persona comes from, as its own, a clone or a fork, and what may be done with it for that."""

import uuid

from marketplace.domain.licences import allows_derivatives
from marketplace.models import Installation, Listing, Release
from marketplace.models.listing import WIDER
from personas.errors import BadInput
from personas.models import Persona, Script
from personas.models.script import Origin
from personas.services.scripts import scripts_run_by


def origin_of(persona: Persona) -> Release | None:
    """The release that it was made from; None for what was made here, or where that is not known here any more."""
    if not persona.origin:
        return None
    releases = Release.objects.select_related("listing__publisher__catalogue")
    return releases.filter(pk=uuid.UUID(persona.origin)).first()


def origins_of(listing: Listing) -> list[str]:
    """How personas and outcomes name what they come from."""
    return [str(pk) for pk in listing.releases.values_list("pk", flat=True)]


def require_publishable(persona: Persona) -> None:
    """Raises BadInput where what it was made from, or a script that it runs, is another's, under a licence that forbids
    derivatives or bought."""
    origin = origin_of(persona)
    if persona.origin and origin is None:
        told = "It comes from a release that is not known here any more: publish what you have made yourself."
        raise BadInput({"persona": [told]})
    if origin and not (_is_ours(origin, persona) or allows_derivatives(origin.licence)):
        told = (
            f"It comes from {origin}, whose licence {origin.licence} does not let it be published again: "
            "publish what you have made yourself."
        )
        raise BadInput({"persona": [told]})
    for script in scripts_run_by(persona):
        if script.origin == Origin.MARKETPLACE:
            _require_script_publishable(script, persona)


def _require_script_publishable(script: Script, persona: Persona) -> None:
    """What came with a persona is bound as that is, whatever runs it by now."""
    rows = Installation.objects.filter(department=script.department).select_related("release", "persona")
    came = next((row for row in rows if str(script.pk) in {pk for _, pk, *_ in row.made}), None)
    if came is None:
        told = f"Its script {script} comes from a release that is not known here any more"
    elif came.persona.allowance_id:
        told = f"Its script {script} was bought with {came.release}"
    elif not (_is_ours(came.release, persona) or allows_derivatives(came.release.licence)):
        told = f"Its script {script} comes from {came.release}, whose licence {came.release.licence} keeps it there"
    else:
        return
    raise BadInput({"persona": [f"{told}: publish what you have written yourself."]})


def upstream_of(listing: Listing) -> dict[str, str] | None:
    """What its persona was forked from, as a bundle says it. Not where fewer people may see that than this."""
    origin = origin_of(listing.persona)
    if origin is None or _is_ours(origin, listing.persona):
        return None
    theirs = origin.listing
    if WIDER.index(theirs.visibility) < WIDER.index(listing.visibility):
        return None
    address = f"{theirs.publisher.name_in_bundles}/{theirs.slug}"
    return {"address": address, "version": origin.version, "sha256": origin.sha256}


def _is_ours(origin: Release, persona: Persona) -> bool:
    return origin.listing.publisher.catalogue is None and origin.department == persona.department
