"""Where a persona comes from, as its own, a clone or a fork, and what may be done with it for that."""

import uuid

from marketplace.domain.licences import allows_derivatives
from marketplace.models import Listing, Release
from marketplace.models.listing import WIDER
from personas.errors import BadInput
from personas.models import Persona


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
    """Raises BadInput where what it was made from is another's, under a licence that forbids derivatives."""
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
