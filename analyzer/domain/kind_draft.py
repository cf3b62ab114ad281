"""A persona drafted from machines of a kind: what they have in common, sized for nearly all of them."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analyzer.domain.kinds import OWN, Kind, title_of

MOST = 0.8  # of the members must start a unit before the persona checks it
PERCENTILE = 0.9  # of the members fit the size; the rest is for their owners to say
NAMED, TOLD = 12, 5


@dataclass(frozen=True)
class Member:
    """One machine as the draft of it alone says it (persona_draft), and the units that start with it."""

    settings: Mapping
    units: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Choice:
    """A script or driver set that may be chosen; `words`: of its slug; `distributions`: empty for any."""

    slug: str
    words: frozenset[str] = frozenset()
    distributions: frozenset[str] = frozenset()


def kind_draft(
    kind: Kind,
    members: Sequence[Member],
    *,
    scripts: Sequence[Choice] = (),
    driver_sets: Sequence[Choice] = (),
) -> dict:
    """{"name", "description", "hints", "settings"} as persona_import takes it. `members`: one at least."""
    hints = [name for name, _ in kind.names[:NAMED]]
    said = f", known by {', '.join(hints[:TOLD])}" if hints else ""
    title = title_of(kind.key)
    return {
        "name": f"{title[:1].upper()}{title[1:]}"[:80],
        "description": f"Drafted from {len(kind.members)} machines for {title}{said}."[:400],
        "hints": hints,
        "settings": _settings(kind, members, hints, scripts, driver_sets),
    }


def _settings(kind, members: Sequence[Member], hints: Sequence[str], scripts, driver_sets) -> dict:
    distribution = _distribution(members)
    script = next((each for each in scripts if each.words & set(hints)), None)
    drivers = next(
        (d for d in driver_sets if not d.distributions or distribution.get("name") in d.distributions), None
    )
    settings = {
        "schema_version": 1,
        "distribution": distribution,
        "driver_set": drivers.slug if drivers else None,
        "resources": _resources(members),
        "post_migration": {"scripts": [{"name": script.slug}]} if script else None,
        "monitoring_tags": {"role": kind.key.removeprefix(OWN)[:60]},
        "acceptance_checks": _checks(members),
    }
    return {key: value for key, value in settings.items() if value}


def _distribution(members: Sequence[Member]) -> dict:
    """The one that most run, without its version where they differ."""
    said = [each.settings["distribution"] for each in members if each.settings.get("distribution")]
    names = Counter(each["name"] for each in said)
    if not names or names.most_common(1)[0][1] * 2 < len(members):
        return {}
    name = min(names, key=lambda name: (-names[name], name))
    versions = {each.get("version") for each in said if each["name"] == name}
    version = {"version": versions.pop()} if len(versions) == 1 and None not in versions else {}
    return {"name": name, **version, "intent": "prefer"}


def _resources(members: Sequence[Member]) -> dict:
    found = {}
    for field in ("vcpus", "memory_mib", "root_disk_gib"):
        values = sorted(filter(None, ((each.settings.get("resources") or {}).get(field) for each in members)))
        if values:
            found[field] = values[math.ceil(PERCENTILE * len(values)) - 1]
    return found


def _checks(members: Sequence[Member]) -> list[dict]:
    counts = Counter(unit for each in members for unit in each.units)
    common = sorted(unit for unit, count in counts.items() if count >= MOST * len(members))
    return [{"kind": "systemd_unit", "unit": unit} for unit in common[:TOLD]]
