"""The map of the estate as circles on a plane, ready to be drawn."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from analyzer.domain.estate_map import HEIGHT, WIDTH, anchors
from analyzer.domain.kinds import families
from analyzer.knowledge.trades import trades

CELL = 20  # pixels from circle to circle
COLOURS = 11  # of the palette; the last is for what fits nothing


@dataclass(frozen=True)
class Circle:
    x: int
    y: int
    cx: int
    cy: int
    r: float
    colour: int
    label: str


@dataclass(frozen=True)
class Place:
    """The name of a family of trades at the rim."""

    x: int
    y: int
    anchor: str
    title: str


def circles(cells: Sequence[dict]) -> tuple[list[Circle], list[tuple[str, int, int]]]:
    """(circles, [(name, colour, machines)] as the legend). The most carried personas have colours of their own."""
    counts: dict[str, int] = {}
    for cell in cells:
        counts[cell["name"]] = counts.get(cell["name"], 0) + cell["count"]
    order = sorted((name for name in counts if name), key=lambda name: (-counts[name], name))
    colours = {name: min(at, COLOURS - 2) for at, name in enumerate(order)} | {"": COLOURS - 1}
    most = max((cell["count"] for cell in cells), default=1)
    drawn = [_circle(cell, colours[cell["name"]], most) for cell in cells]
    return drawn, [
        (name or "No good fit", colours[name], counts[name])
        for name in [*order, *([""] if "" in counts else [])]
    ]


def _circle(cell: dict, colour: int, most: int) -> Circle:
    radius = 4 + 12 * math.sqrt(cell["count"] / most)
    machines = "1 machine" if cell["count"] == 1 else f"{cell['count']} machines"
    label = f"{machines}, mostly {cell['name'] or 'no good fit'}"
    at = ((cell["x"] + 1) * CELL, (cell["y"] + 1) * CELL)
    return Circle(cell["x"], cell["y"], *at, round(radius, 1), colour, label)


def places() -> list[Place]:
    found = []
    for family in sorted(set(families().values())):
        x, y = anchors()[family]
        anchor = "middle" if abs(x) < 0.3 else ("end" if x > 0 else "start")
        across, down = (
            round((x + 1) / 2 * (WIDTH - 1) + 1) * CELL,
            round((y + 1) / 2 * (HEIGHT - 1) + 1) * CELL,
        )
        found.append(Place(across, down, anchor, trades()[family].title))
    return found


def size() -> tuple[int, int]:
    return (WIDTH + 1) * CELL, (HEIGHT + 1) * CELL
