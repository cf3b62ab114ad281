"""Where a machine stands on the map of the estate: by its own software alone, so that it never moves for others.

The trades stand on a circle, families side by side; a machine stands where their pulls balance (RadViz, Hoffman et al.
1997), in one of WIDTH x HEIGHT cells.
"""

import math
from collections.abc import Mapping
from functools import cache

from analyzer.domain.kinds import families

WIDTH, HEIGHT = 48, 32


@cache
def anchors() -> dict[str, tuple[float, float]]:
    """Trade → its place on the unit circle."""
    order = sorted(families(), key=lambda trade: (families()[trade], trade))
    angles = {trade: 2 * math.pi * at / len(order) for at, trade in enumerate(order)}
    return {trade: (math.cos(angle), math.sin(angle)) for trade, angle in angles.items()}


def cell_of(evidence: Mapping[str, float]) -> tuple[int, int]:
    """(column, row). Squared, the strongest trade pulls most; a machine that says nothing stands in the middle."""
    total = math.fsum(weight**2 for weight in evidence.values())
    if not total:
        return WIDTH // 2, HEIGHT // 2
    x = math.fsum(weight**2 * anchors()[trade][0] for trade, weight in evidence.items()) / total
    y = math.fsum(weight**2 * anchors()[trade][1] for trade, weight in evidence.items()) / total
    return round((x + 1) / 2 * (WIDTH - 1)), round((y + 1) / 2 * (HEIGHT - 1))
