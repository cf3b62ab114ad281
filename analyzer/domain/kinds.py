"""Machines of a kind: what software they are for, whatever image they were made from.

A machine's kind is the family of trades with the most evidence; where its software is nothing that we know, what it has
in common with the most others. No distance, no random start: the same machines give the same kinds, and one machine
more changes only its own.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations

from analyzer.knowledge.trades import trades

LEAST_EVIDENCE = 0.3  # below, a machine tells no purpose: about one program that came along
LEAST_MEMBERS = 3  # fewer are machines, not a kind
SHARED = 2  # words for one persona that make two trades a family: mixing and film are "multimedia production"
OWN = "own:"  # kinds of software that only this company knows
COMMON = 0.5  # of the members have it: it belongs to the kind


@dataclass(frozen=True)
class Fingerprint:
    """What of a machine says its kind: trade → evidence, head → 0..1, and heads asked for that mean nothing to us."""

    id: str
    evidence: Mapping[str, float]
    names: Mapping[str, float]
    unexplained: tuple[str, ...] = ()


@dataclass(frozen=True)
class Kind:
    """`key` is stable from run to run; `names`: (head, share of the members that have it), the commonest first."""

    key: str
    members: tuple[str, ...]
    names: tuple[tuple[str, float], ...]


@cache
def families() -> dict[str, str]:
    """Trade → the first trade of its family. Two are of one family when people say the same words for both."""
    first = {trade: trade for trade in trades()}
    for one, other in combinations(trades().values(), 2):
        common = {word for word, sure in one.says.items() if sure == 1 == other.says.get(word)}
        if len(common) >= SHARED:
            old, new = first[other.name], first[one.name]
            first = {trade: new if each == old else each for trade, each in first.items()}
    return first


def family_of(evidence: Mapping[str, float]) -> str:
    """Empty where nothing tells."""
    total: dict[str, float] = {}
    for trade, weight in sorted(evidence.items()):
        total[families()[trade]] = total.get(families()[trade], 0) + weight
    best = max(total, key=total.__getitem__, default="")
    return best if best and total[best] >= LEAST_EVIDENCE else ""


def title_of(key: str) -> str:
    """As a sentence names it."""
    if key.startswith(OWN):
        return key.removeprefix(OWN)
    members = [trade for trade, first in families().items() if first == key]
    return (
        " and ".join(trades()[trade].title for trade in members[:2]) if len(members) < 3 else _wide(members)
    )


def _wide(members: Sequence[str]) -> str:
    """A word that people say for all of them."""
    words = [set(trades()[trade].says) for trade in members]
    common = set.intersection(*words)
    return min(common, key=lambda word: (-len(word), word)) if common else trades()[members[0]].title


def kinds(machines: Sequence[Fingerprint]) -> tuple[Kind, ...]:
    """The largest first. Machines that share a purpose with fewer than LEAST_MEMBERS are in none."""
    groups: dict[str, list[Fingerprint]] = defaultdict(list)
    unknown = []
    for each in sorted(machines, key=lambda each: each.id):
        family = family_of(each.evidence)
        if family:
            groups[family].append(each)
        elif each.unexplained:
            unknown.append(each)
    groups |= _of_own_software(unknown)
    found = [_kind(key, members) for key, members in groups.items() if len(members) >= LEAST_MEMBERS]
    return tuple(sorted(found, key=lambda kind: (-len(kind.members), kind.key)))


def _of_own_software(machines: list[Fingerprint]) -> dict[str, list[Fingerprint]]:
    """The commonest name takes its machines, then the commonest among the rest."""
    having: dict[str, set[int]] = defaultdict(set)
    for at, each in enumerate(machines):
        for name in each.unexplained:
            having[name].add(at)
    counts = Counter({name: len(them) for name, them in having.items()})
    groups, taken = {}, set()
    for name in sorted(counts, key=lambda name: (-counts[name], name)):
        free = having[name] - taken
        if len(free) >= LEAST_MEMBERS:
            groups[OWN + name] = [machines[at] for at in sorted(free)]
            taken |= free
    return groups


def _kind(key: str, members: Sequence[Fingerprint]) -> Kind:
    counts = Counter(name for each in members for name in {*each.names, *each.unexplained})
    shares = {name: round(count / len(members), 3) for name, count in counts.items()}
    common = [(name, share) for name, share in shares.items() if share >= COMMON]
    return Kind(
        key=key,
        members=tuple(each.id for each in members),
        names=tuple(sorted(common, key=lambda pair: (-pair[1], pair[0]))),
    )


def likeness(hints: frozenset[str], kind: Kind) -> float:
    """How much of what the kind has in common a persona names already, 0..1 (Jaccard)."""
    names = {name for name, _ in kind.names}
    return len(hints & names) / len(hints | names) if hints and names else 0.0
