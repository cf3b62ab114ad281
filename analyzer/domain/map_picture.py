"""The map of the estate as circles on a plane, ready to be drawn."""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from html import escape

from analyzer.domain.estate_map import HEIGHT, WIDTH, anchors
from analyzer.domain.kinds import families
from analyzer.knowledge.trades import trades

CELL = 20  # pixels from circle to circle
RIM = 200  # pixels left and right for the names of the trades
COLOURS = 11  # of the palette; the last is for what fits nothing


@dataclass(frozen=True)
class Circle:
    """`place`: column-row, as in its address."""

    place: str
    cx: str
    cy: str
    r: str
    colour: str
    label: str
    count: int


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
    most = max((cell["cost"] for cell in cells), default=1)
    drawn = [_circle(cell, colours[cell["name"]], most) for cell in cells]
    return drawn, [
        (name or "No good fit", colours[name], counts[name])
        for name in [*order, *([""] if "" in counts else [])]
    ]


def drawing(circles: Iterable[Circle]) -> str:
    """The circles as SVG, each a link to its place. Not a template: a loop over 1,500 of them takes 150 ms there."""
    return "".join(map(_drawn, circles))


def _drawn(each: Circle) -> str:
    label = escape(each.label)
    return (
        f'<a href="{each.place}/" aria-label="{label}"><circle class="estate-{each.colour}" cx="{each.cx}" '
        f'cy="{each.cy}" r="{each.r}"><title>{label}</title></circle></a>'
    )


def _circle(cell: dict, colour: int, most: float) -> Circle:
    """Its area grows with what its machines cost (analyzer.domain.cost)."""
    radius = 4 + 12 * math.sqrt(cell["cost"] / most)
    machines = "1 machine" if cell["count"] == 1 else f"{cell['count']} machines"
    label = f"{machines}, cost of {cell['cost']:.0f} vCPUs, mostly {cell['name'] or 'no good fit'}"
    across, down = map(str, _at(cell["x"], cell["y"]))
    return Circle(
        f"{cell['x']}-{cell['y']}", across, down, f"{radius:.1f}", str(colour), label, cell["count"]
    )


def _at(column: float, row: float) -> tuple[int, int]:
    return round(RIM + (column + 1) * CELL), round((row + 2) * CELL)


def places(kinds: Collection[str]) -> list[Place]:
    """Where the trades stand that machines here are for: `kinds` as analyzer.domain.kinds.family_of names them."""
    found = []
    for family in sorted(set(families().values()) & set(kinds)):
        x, y = anchors()[family]
        column, row = (x * 1.05 + 1) / 2 * (WIDTH - 1), (y * 1.1 + 1) / 2 * (HEIGHT - 1)
        anchor = "start" if x >= 0 else "end"
        found.append(Place(*_at(column, row), anchor, trades()[family].title))
    return found


def size() -> tuple[int, int]:
    return (WIDTH + 1) * CELL + 2 * RIM, (HEIGHT + 3) * CELL
