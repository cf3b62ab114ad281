"""What may go wrong, told before the run: each concern says what to do about it. A critical one blocks the launch."""

from collections.abc import Iterable

from migrations_engine.domain.concerns import (
    acceptance,
    guest,
    network,
    persona,
    source,
    storage,
    system,
    target,
)
from migrations_engine.domain.concerns.outlook import Concern, Outlook, Severity

__all__ = ["Concern", "Outlook", "Severity", "blocking", "concerns"]

SAID_BY_BOTH = frozenset({"storage.bus", "network.bandwidth_mbps", "network.security_groups"})
RULES = (
    *source.RULES,
    *persona.RULES,
    *system.RULES,
    *storage.RULES,
    *guest.RULES,
    *network.RULES,
    *acceptance.RULES,
    *target.RULES,
)


def concerns(outlook: Outlook) -> list[Concern]:
    """Every concern, the worst first, each once: what a target says of a subject that we spoke of is left out."""
    ours = [concern for rule in RULES for concern in rule(outlook)]
    spoken_of = {concern.subject for concern in ours} & SAID_BY_BOTH
    said = target.concerns(outlook)
    found = [*ours, *(concern for concern in said if concern.subject not in spoken_of)]
    once = {(concern.id, concern.text): concern for concern in found}
    return sorted(once.values(), key=lambda concern: list(Severity).index(concern.severity))


def blocking(found: Iterable[Concern]) -> list[Concern]:
    return [concern for concern in found if concern.severity == Severity.CRITICAL]
