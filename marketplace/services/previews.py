"""What an installed persona would become as another release, before anybody says yes. Nothing is written."""

import difflib
from dataclasses import dataclass
from typing import Any, NamedTuple

from marketplace.domain.bundle import Bundle, BundledScript
from marketplace.domain.manifest import Delta, delta, delta_hidden
from marketplace.models import Installation, Release
from marketplace.services.entitlements import may_read
from marketplace.services.forks import content_of
from marketplace.services.installing import bundle_in, require_same_listing
from personas.domain.scripts import dump_parameters
from personas.services.revisions import difference


class ScriptChange(NamedTuple):
    """A script that comes, goes or has another text; `diff` is unified."""

    slug: str
    name: str
    diff: str


@dataclass(frozen=True)
class Preview:
    """`settings` are [{"path", "before", "after"}], they and `scripts` None for who has not bought it; `delta` then has
    no values.
    `releases` are those whose changelogs say what is new, the newest first; on the way back, what goes again."""

    before: Release
    after: Release
    releases: list[Release]
    settings: list[dict[str, Any]] | None
    scripts: list[ScriptChange] | None
    delta: Delta
    script_sha256: str

    @property
    def is_back(self) -> bool:
        return self.after.key < self.before.key

    @property
    def licence(self) -> dict[str, str] | None:
        """{"before", "after"} where it is another."""
        if self.before.licence == self.after.licence:
            return None
        return {"before": self.before.licence, "after": self.after.licence}


def installation_preview(*, installation: Installation, release: Release, by) -> Preview:
    """Raises BadInput for a release of another listing."""
    require_same_listing(installation=installation, release=release)
    readable = may_read(listing=release.listing, user=by)
    before, after = bundle_in(installation.release), bundle_in(release)
    return Preview(
        before=installation.release,
        after=release,
        releases=_between(installation.release, release),
        settings=_changed(before, after) if readable else None,
        scripts=_script_changes(before, after) if readable else None,
        delta=delta(before, after) if readable else delta_hidden(before, after),
        script_sha256=after.root_sha256 if readable else "",
    )


def _between(before: Release, after: Release) -> list[Release]:
    """What is yanked by now counts too: its changes are in what came after it."""
    low, high = sorted([before.key, after.key])
    found = before.listing.releases.defer("bundle")
    return sorted((each for each in found if low < each.key <= high), key=lambda each: each.key, reverse=True)


def _changed(before: Bundle, after: Bundle) -> list[dict[str, Any]]:
    """The persona's settings by their own paths, then its parts'. Of a script the hash: its text is compared apart."""
    return [
        *difference(before.persona.settings, after.persona.settings),
        *difference(_parts(before), _parts(after)),
    ]


def _parts(bundle: Bundle) -> dict[str, Any]:
    said = content_of(bundle)
    said |= {"hints": said.pop("persona").get("hints", [])}
    if bundle.carried:
        said["scripts"] = {each.slug: _about(each) for each in bundle.carried}
    return said


def _about(script: BundledScript) -> dict[str, Any]:
    told = {"interpreter": script.interpreter, "sha256": script.sha256}
    return told | {"parameters": dump_parameters(script.parameters)} if script.parameters else told


def _script_changes(before: Bundle, after: Bundle) -> list[ScriptChange]:
    old, new = ({script.slug: script for script in bundle.carried} for bundle in (before, after))
    return [
        ScriptChange(slug, (new.get(slug) or old[slug]).name, _difference(old.get(slug), new.get(slug)))
        for slug in sorted({*old, *new})
        if slug not in old or slug not in new or old[slug].sha256 != new[slug].sha256
    ]


def _difference(before: BundledScript | None, after: BundledScript | None) -> str:
    lines = [script.body.splitlines() if script else [] for script in (before, after)]
    return "\n".join(difflib.unified_diff(*lines, "before", "after", lineterm=""))
