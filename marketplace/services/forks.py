"""A fork: a release in a department that goes its own way with it, and still takes over what changes upstream."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from marketplace.domain.bundle import Bundle, bundle_of, commands_of
from marketplace.domain.licences import allows_derivatives
from marketplace.domain.three_way import Merge, three_way
from marketplace.models import Installation, Release
from marketplace.services.installing import bundle_in, installation_create, installation_move
from marketplace.services.publishing import persona_content
from personas.domain.settings import InvalidSettings
from personas.errors import BadInput, NotAllowed, Refused
from personas.models import Department, Persona
from personas.services.audit import record
from personas.services.rows import checked_save, locked

PARTS = ("driver_set", "resource_profile", "network_profile", "script")
CONTENT = ("persona", *PARTS)
OWN = {"slug", "name"}  # what a department calls its persona and parts is its own


@transaction.atomic
def fork_create(*, release: Release, department: Department, by, **asked: Any) -> Installation:
    """As `installation_create`; the department may change it and keeps its changes at an update. Raises NotAllowed
    where the licence does not let it."""
    if not allows_derivatives(release.licence):
        raise NotAllowed(f"Its licence {release.licence} does not allow a fork: install it as it is.")
    installation = installation_create(release=release, department=department, by=by, **asked)
    installation.is_fork = True
    checked_save(installation)
    record(by=by, action="installation.fork", obj=installation, after={"release": str(release)})
    return installation


def fork_merge(
    *, installation: Installation, release: Release, choices: Mapping[str, str] | None = None
) -> Merge:
    """What the update to `release` comes to: nothing is written."""
    base, theirs = (content_of(bundle_in(each)) for each in (installation.release, release))
    persona = Persona.objects.get(pk=installation.persona_id)
    return three_way(base, _of_persona(persona, base), theirs, choices)


@transaction.atomic
def fork_update(
    *,
    installation: Installation,
    release: Release,
    by,
    choices: Mapping[str, str] | None = None,
    approved_script_sha256: str = "",
) -> Installation:
    """Takes over what changed upstream, keeps what the department changed; where both did, `choices` says whose. Raises
    BadInput naming the conflicts that nobody has decided, and as `installation_create`."""
    installation = locked(installation)
    if not installation.is_fork:
        raise Refused("It is no fork: an update replaces it.")
    merge = fork_merge(installation=installation, release=release, choices=choices)
    if merge.open:
        raise BadInput({"choices": [f"{path}: choose ours or theirs." for path in merge.open]})
    bundle = _bundle(release, merge.merged)
    return installation_move(
        installation=installation,
        release=release,
        bundle=bundle,
        by=by,
        is_known=_is_known(bundle, installation.persona),
        approved_script_sha256=approved_script_sha256,
    )


def _is_known(bundle: Bundle, persona: Persona) -> bool:
    """Whether the persona runs all of it as root already: what is merged has the rest from the release."""
    script = persona.post_migration_script
    same_script = bundle.script is None or bool(script and script.latest.sha256 == bundle.script.sha256)
    return same_script and set(bundle.commands) <= set(commands_of(persona.document()))


def content_of(bundle: Bundle) -> dict[str, Any]:
    """{"persona": …, "driver_set": …}: what it brings, without the names."""
    said = bundle.model_dump(mode="json", exclude_none=True)
    return {part: _without_names(said[part]) for part in CONTENT if part in said}


def _of_persona(persona: Persona, base: dict[str, Any]) -> dict[str, Any]:
    """Its content in the words of a bundle; what it calls its own parts is no change."""
    content = bundle_of(
        {
            "publisher": "own",
            "listing": "own",
            "version": "0.0.0",
            "licence": "MIT",
            **persona_content(persona),
        }
    )
    said = content_of(content)
    settings, upstream = said["persona"]["settings"], base["persona"]["settings"]
    if "driver_set" in said and "driver_set" in base:
        settings["driver_set"] = upstream["driver_set"]
    if "script" in said and "script" in base:
        settings["post_migration"]["scripts"] = upstream["post_migration"]["scripts"]
    return said


def _without_names(part: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in part.items() if name not in OWN}


def _bundle(release: Release, merged: dict[str, Any]) -> Bundle:
    """A bundle of the merged content under the release's name. Raises BadInput where it is none."""
    upstream = bundle_in(release).model_dump(mode="json", exclude_none=True)
    for part in CONTENT:
        if part in merged:
            names = {name: upstream.get(part, {}).get(name, part.replace("_", "-")) for name in OWN}
            merged[part] = {**names, **merged[part]}
    kept = {name: value for name, value in upstream.items() if name not in CONTENT}
    try:
        return bundle_of({**kept, **merged})
    except InvalidSettings as error:
        raise BadInput({"choices": error.lines()}) from None
