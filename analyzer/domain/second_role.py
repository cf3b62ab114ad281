"""Who comes after the first: the persona that explains what the first one leaves unexplained.

A machine may have two roles. The chances alone rank the kin of the first role second (data science after
bioinformatics); what the software that is left says ranks the other role second.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from analyzer.domain.learner import TRADE_AT, TRADES, Scorer
from analyzer.domain.software import Workload, without

SAYS_ENOUGH = 0.2  # evidence left, below which there is no second role
BY_THE_REST = 0.8  # weight of what is left against that of the whole machine
NEAR_THE_LOUDEST = (
    0.5  # of the strongest pull of any persona on a trade: a persona explains what it pulls as hard
)
OF_THE_IMAGE = (
    "office"  # a desktop is often only the image; it gains nothing by what stood before it being explained
)


def in_order(scorer: Scorer, found: Workload, chances: Sequence[float]) -> list[int]:
    """Indices of scorer.profiles, best first; `chances` as scorer.probabilities gives them for this machine."""
    order = sorted(
        range(len(scorer.profiles)), key=lambda at: (-round(float(chances[at]), 3), scorer.ids[at])
    )
    if len(order) < 3:
        return order
    rest = left_by(scorer, order[0], found)
    if max(rest.evidence.values(), default=0) < SAYS_ENOUGH:
        return order
    by_rest = scorer.probabilities([rest])[0]
    mixed = BY_THE_REST * np.log(by_rest + 1e-6) + (1 - BY_THE_REST) * np.log(np.asarray(chances) + 1e-6)
    return [order[0], *sorted(order[1:], key=lambda at: (-round(float(mixed[at]), 6), scorer.ids[at]))]


def left_by(scorer: Scorer, first: int, found: Workload) -> Workload:
    """The machine without the software that its first persona is about."""
    pulls = scorer.weights[:-1, : len(TRADES)]
    explains = (pulls[first] >= NEAR_THE_LOUDEST * pulls.max(axis=0)) & (pulls[first] > NEAR_THE_LOUDEST)
    gone = [
        sign.name for sign in found.signs if explains[TRADE_AT[max(sign.trades, key=sign.trades.__getitem__)]]
    ]
    rest = without(found, gone)
    bounded = min(rest.evidence.get(OF_THE_IMAGE, 0.0), found.evidence.get(OF_THE_IMAGE, 0.0))
    return replace(rest, evidence={**rest.evidence, OF_THE_IMAGE: bounded})
