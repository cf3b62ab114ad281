"""A fork: a release in a department that goes its own way with it, and still takes over what changes upstream."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from marketplace.domain.bundle import Bundle, BundledScript, bundle_of, scripts_said
from marketplace.domain.licences import allows_derivatives
from marketplace.domain.script_entries import entries_of, renamed, secrets_asked
from marketplace.domain.three_way import Merge, three_way
from marketplace.models import Installation, Release
from marketplace.services.installing import (
    bundle_in,
    installation_create,
    installation_move,
    move_allowance,
    parts_there,
    require_same_listing,
)
from marketplace.services.publishing import persona_content
from marketplace.services.secret_bindings import bindings_of
from personas.domain.settings import InvalidSettings
from personas.errors import BadInput, NotAllowed, Refused
from personas.models import Department, Persona, Script
from personas.services.audit import record
from personas.services.rows import checked_save, locked
from personas.services.scripts import scripts_run_by

CONTENT = ("persona", "driver_set", "resource_profile", "network_profile")
SCRIPTS = {"format", "script", "scripts"}  # together they say which there are
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


@dataclass(frozen=True)
class Own:
    """What a fork says by now, in the words of its upstream. `scripts`: {slug in `bundle`: row} and `secrets`: {name in
    `bundle`: slug} of those that did not come from there."""

    bundle: Bundle
    scripts: Mapping[str, Script]
    secrets: Mapping[str, str]


def fork_merge(
    *, installation: Installation, release: Release, choices: Mapping[str, str] | None = None
) -> Merge:
    """What the update to `release` comes to: nothing is written. Raises BadInput for a release of another listing."""
    require_same_listing(installation=installation, release=release)
    base, theirs = bundle_in(installation.release), bundle_in(release)
    return _merge(base, _own(installation, base, theirs), theirs, choices)


def _merge(base: Bundle, own: Own, theirs: Bundle, choices: Mapping[str, str] | None) -> Merge:
    old, ours, new = (content_of(bundle) for bundle in (base, own.bundle, theirs))
    if "driver_set" in ours and "driver_set" in old:
        ours["persona"]["settings"]["driver_set"] = old["persona"]["settings"]["driver_set"]
    return three_way(old, ours, new, choices)


@transaction.atomic
def fork_update(
    *,
    installation: Installation,
    release: Release,
    by,
    choices: Mapping[str, str] | None = None,
    approved_script_sha256: str = "",
    secrets: Mapping[str, str | None] | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> Installation:
    """Takes over what changed upstream, keeps what the department changed; where both did, `choices` says whose. Raises
    BadInput naming the conflicts that nobody has decided, and as `installation_create`."""
    installation = locked(installation)
    if not installation.is_fork:
        raise Refused("It is no fork: an update replaces it.")
    allowance = move_allowance(installation=installation, release=release, by=by)
    base, theirs = bundle_in(installation.release), bundle_in(release)
    own = _own(installation, base, theirs)
    merge = _merge(base, own, theirs, choices)
    if merge.open:
        raise BadInput({"choices": [f"{path}: choose ours or theirs." for path in merge.open]})
    bundle = _bundle(release, merge.merged)
    return installation_move(
        installation=installation,
        release=release,
        bundle=bundle,
        allowance=allowance,
        by=by,
        is_known=_is_known(bundle, own.bundle),
        approved_script_sha256=approved_script_sha256,
        kept_scripts={slug: row for slug, row in own.scripts.items() if slug in _texts(bundle)},
        kept_secrets=own.secrets,
        secrets=secrets,
        parameters=parameters,
    )


def _is_known(bundle: Bundle, own: Bundle) -> bool:
    """Whether the fork runs all of it as root already: what is merged has the rest from the release."""
    there = _texts(own)
    return (
        all(there.get(slug) == text for slug, text in _texts(bundle).items())
        and all(entry in entries_of(own.persona.settings) for entry in entries_of(bundle.persona.settings))
        and set(bundle.commands) <= set(own.commands)
    )


def _texts(bundle: Bundle) -> dict[str, list]:
    return {script.slug: script.meaning for script in bundle.carried}


def content_of(bundle: Bundle) -> dict[str, Any]:
    """{"persona": …, "driver_set": …, "scripts": {slug: …}}: what it brings, without the names."""
    said = bundle.model_dump(mode="json", exclude_none=True)
    content = {part: _without_names(said[part]) for part in CONTENT if part in said}
    scripts = {each.slug: _without_names(_said(each)) for each in bundle.carried}
    return content | ({"scripts": scripts} if scripts else {})


def _said(script: BundledScript) -> dict[str, Any]:
    """What is left empty is not said: a merge would show it as a change from nothing to nothing."""
    return {name: value for name, value in script.model_dump(mode="json", exclude_none=True).items() if value}


def _own(installation: Installation, base: Bundle, theirs: Bundle) -> Own:
    """What it calls its own parts is no change; what it has of its own is called so that it meets nothing of theirs."""
    persona = Persona.objects.get(pk=installation.persona_id)
    slugs = {row.slug: slug for slug, row in parts_there(installation).scripts.items()}
    bindings = bindings_of(base.secret_names, listing=installation.listing, bound=installation.secrets)
    names = {slug: name for name, slug in bindings.items()}
    scripts = {row.slug: row for row in scripts_run_by(persona) if row.slug not in slugs}
    secrets = [slug for slug in secrets_asked(persona.document()) if slug not in names]
    their_slugs, their_names = {*_texts(base), *_texts(theirs)}, {*base.secret_names, *theirs.secret_names}
    slugs |= {slug: _apart(slug, their_slugs) for slug in scripts}
    names |= {slug: _apart(slug, their_names) for slug in secrets}
    bundle = bundle_of(
        {
            "publisher": "own",
            "listing": "own",
            "version": "0.0.0",
            "licence": "MIT",
            **_called(persona_content(persona), slugs, names),
        }
    )
    return Own(
        bundle,
        scripts={slugs[slug]: row for slug, row in scripts.items()},
        secrets={names[slug]: slug for slug in secrets},
    )


def _apart(name: str, others: set[str]) -> str:
    return f"{name[:59]}-own" if name in others else name


def _called(content: dict[str, Any], slugs: Mapping[str, str], names: Mapping[str, str]) -> dict[str, Any]:
    """A persona's content with its scripts and secrets called as upstream calls them."""
    scripts = content.get("scripts") or ([content["script"]] if "script" in content else [])
    settings = renamed(content["persona"]["settings"], scripts=slugs, secrets=names)
    return {
        **{part: said for part, said in content.items() if part not in SCRIPTS},
        "persona": {**content["persona"], "settings": settings},
        **scripts_said([{**each, "slug": slugs[each["slug"]]} for each in scripts], settings),
    }


def _without_names(part: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in part.items() if name not in OWN}


def _bundle(release: Release, merged: dict[str, Any]) -> Bundle:
    """A bundle of the merged content under the release's name. Raises BadInput where it is none."""
    offered = bundle_in(release)
    upstream = offered.model_dump(mode="json", exclude_none=True)
    for part in CONTENT:
        if part in merged:
            names = {name: upstream.get(part, {}).get(name, part.replace("_", "-")) for name in OWN}
            merged[part] = {**names, **merged[part]}
    called = {script.slug: script.name for script in offered.carried}
    scripts = [
        {"slug": slug, "name": called.get(slug, slug), **said}
        for slug, said in merged.pop("scripts", {}).items()
    ]
    kept = {name: value for name, value in upstream.items() if name not in {*CONTENT, *SCRIPTS}}
    try:
        return bundle_of({**kept, **merged, **scripts_said(scripts, merged["persona"]["settings"])})
    except InvalidSettings as error:
        raise BadInput({"choices": error.lines()}) from None
