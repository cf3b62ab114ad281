"""The merge: layers in, effective settings out, and for each value who set it and what it beat. Pure and deterministic.

Beyond the rule table (`rules.py`):

* `null` un-says what lower layers said: a setting, a whole group (`resources: null`) or one key of a map.
* A template's lock refuses every change from a higher layer and reports it; a value that is there already is no change.
* A persona's `list_modes` replaces a list instead of adding to it.
* A driver set speaks with its layer: after the layer's own lists, and before the layer's own devices, so that what a
  layer says itself beats what its driver set brings. (Lists after, not before: the merged lists then hold everything
  the driver set brings, and merging a merged document once more moves nothing.)
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from types import MappingProxyType
from typing import Any

from personas.domain.canonical import sha256_of
from templates_app.domain.drivers import DriverSets, check_driver_sets
from templates_app.domain.layers import ABSENT, Layer, in_order
from templates_app.domain.rules import RULES, Rule
from templates_app.domain.sayings import Saying, of_key, sayings_about


@dataclass(frozen=True)
class Merged:
    """`settings`: a document of the vocabulary without nulls, locks and modes.
    `origin`: one row for each leaf of it, {"path", "value", "layer", "rule", "beat": [{"layer", "value"}]}; for a list
    also "items": [{"value", "layer"}]; a map has one row for each key.
    `conflicts`: where layers disagree, {"path", "winner": {"layer", "value"}, "losers": [{"layer", "value"}]}; a
    winner's value of None means that it was un-said. A system default that is overwritten is no conflict.
    `refused`: what a lock kept out, {"path", "layer", "value", "locked_by"}.
    `sha256`: of the canonical JSON of `settings`.
    """

    settings: dict[str, Any]
    origin: list[dict[str, Any]]
    conflicts: list[dict[str, Any]]
    refused: list[dict[str, Any]]
    sha256: str

    def as_dict(self) -> dict[str, Any]:
        return {
            "merged": self.settings,
            "origin": self.origin,
            "conflicts": self.conflicts,
            "refused": self.refused,
            "sha256": self.sha256,
        }


def merge(layers: Iterable[Layer], driver_sets: DriverSets = MappingProxyType({})) -> Merged:
    """The order of `layers` does not matter; the system's defaults are always beneath them.

    Raises InvalidSettings naming layer, field and value of everything that is wrong.
    """
    ordered = in_order(layers)
    check_driver_sets(ordered, driver_sets)
    verdicts = [verdict for path in RULES for verdict in _verdicts(path, ordered, driver_sets)]
    settings: dict[str, Any] = {}
    for verdict in verdicts:
        if verdict.value is not ABSENT:
            _put(settings, verdict.place, verdict.value)
    return Merged(
        settings=settings,
        origin=[verdict.row for verdict in verdicts if verdict.row],
        conflicts=[verdict.conflict for verdict in verdicts if verdict.conflict],
        refused=[refusal for verdict in verdicts for refusal in verdict.refused],
        sha256=sha256_of(settings),
    )


@dataclass(frozen=True)
class Verdict:
    """The outcome for one leaf; `place` leads to it in the settings (a key of a map may hold dots)."""

    place: tuple[str, ...]
    value: Any = ABSENT
    row: dict[str, Any] | None = None
    conflict: dict[str, Any] | None = None
    refused: Sequence[dict[str, Any]] = ()


def _verdicts(path: str, layers: Sequence[Layer], driver_sets: DriverSets) -> Iterator[Verdict]:
    sayings = sayings_about(path, layers, driver_sets)
    place = tuple(path.split("."))
    if RULES[path] is Rule.APPEND:
        yield _appended(place, sayings)
    elif RULES[path] is Rule.PER_KEY:
        for key in sorted({key for saying in sayings for key in saying.value or ()}):
            yield _overwritten((*place, key), of_key(key, sayings), Rule.PER_KEY)
    else:
        yield _overwritten(place, sayings, RULES[path])


def _put(settings: dict, place: Sequence[str], value: Any) -> None:
    for part in place[:-1]:
        settings = settings.setdefault(part, {})
    settings[place[-1]] = value


# --- one value -------------------------------------------------------------------------------------------------------


def _overwritten(place: tuple[str, ...], sayings: Sequence[Saying], rule: Rule) -> Verdict:
    heard, refused = _heard(place, sayings)
    if not heard:
        return Verdict(place, refused=refused)
    *beaten, winner = heard
    united = winner.mode == "extend"
    conflict = None if united else _conflict(place, winner, winner.value, beaten)
    if winner.value is None:
        return Verdict(place, conflict=conflict, refused=refused)
    row = {
        "path": ".".join(place),
        "value": winner.value,
        "layer": winner.source,
        "rule": winner.mode or str(rule),
        "beat": [loser.told() for loser in beaten],
    }
    return Verdict(place, winner.value, row, conflict, refused)


def _heard(place: tuple[str, ...], sayings: Sequence[Saying]) -> tuple[list[Saying], list[dict]]:
    """What counts, low to high, and what a lock refused. A null with nothing beneath says nothing."""
    heard: list[Saying] = []
    refused = []
    for saying in sayings:
        standing = heard[-1].value if heard else None
        if saying.locked_by:
            if saying.value != standing:
                refused.append(_refusal(place, saying))
        elif saying.value is not None or standing is not None:
            heard.append(saying)
    return heard, refused


def _refusal(place: tuple[str, ...], saying: Saying) -> dict[str, Any]:
    return {"path": ".".join(place), **saying.told(), "locked_by": saying.locked_by}


def _conflict(place: tuple[str, ...], winner: Saying, value: Any, beaten: Sequence[Saying]) -> dict | None:
    """Losers are other layers with another value. A default loses only when it is taken away."""
    losers = [
        loser.told()
        for loser in beaten
        if loser.layer != winner.layer
        and loser.value != value
        and loser.value is not None
        and (value is None or not loser.is_default)
    ]
    if not losers:
        return None
    return {"path": ".".join(place), "winner": {"layer": winner.source, "value": value}, "losers": losers}


# --- a list ----------------------------------------------------------------------------------------------------------

Item = tuple[Any, Saying]
"""An item and who brought it first."""


def _appended(place: tuple[str, ...], sayings: Sequence[Saying]) -> Verdict:
    items: list[Item] | None = None
    dropped: list[Item] = []
    changes: list[Saying] = []
    refused = []
    for saying in sayings:
        after = _with(items, saying)
        if _values(after) == _values(items):
            continue
        if saying.locked_by:
            refused.append(_refusal(place, saying))
            continue
        dropped += items or [] if saying.value is None or saying.mode == "replace" else []
        items = after
        changes.append(saying)
    if not changes:
        return Verdict(place, refused=refused)
    return _listed(place, items, changes, _lost(dropped, items), refused)


def _listed(
    place, items: list[Item] | None, changes: Sequence[Saying], lost: Sequence[Saying], refused
) -> Verdict:
    value = _values(items)
    dropper = next((s for s in reversed(changes) if s.value is None or s.mode == "replace"), changes[-1])
    conflict = _conflict(place, dropper, value, lost)
    if value is None:
        return Verdict(place, conflict=conflict, refused=refused)
    row = {
        "path": ".".join(place),
        "value": value,
        "layer": changes[-1].source,
        "rule": "replace" if dropper.mode == "replace" else str(Rule.APPEND),
        "beat": [loser.told() for loser in lost],
        "items": [{"value": item, "layer": by.source} for item, by in items],
    }
    return Verdict(place, value, row, conflict, refused)


def _with(items: list[Item] | None, saying: Saying) -> list[Item] | None:
    if saying.value is None:
        return None
    after = [] if saying.mode == "replace" else list(items or ())
    for item in saying.value:
        if item not in _values(after):
            after.append((item, saying))
    return after


def _values(items: list[Item] | None) -> list[Any] | None:
    return None if items is None else [item for item, _ in items]


def _lost(dropped: Sequence[Item], items: list[Item] | None) -> list[Saying]:
    """Who lost which items, those that came back left out: one saying for each source, in order."""
    gone = [(item, by) for item, by in dropped if item not in (_values(items) or ())]
    groups = [list(group) for _, group in groupby(gone, key=lambda pair: pair[1].source)]
    return [replace(group[0][1], value=[item for item, _ in group]) for group in groups]
