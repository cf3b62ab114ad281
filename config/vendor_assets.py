"""Copies what the pages need out of an npm folder into `static/vendor/`; by hand, when a version changes:

    mkdir /tmp/assets && cd /tmp/assets
    npm install --ignore-scripts @tabler/core@1.6 @tabler/icons uplot @fontsource-variable/inter axe-core
    cd - && .venv/bin/python -m config.vendor_assets /tmp/assets/node_modules

Neither Node nor npm is needed to run the product. The sprite holds the icons named in `ICONS` only: add a name here,
run this again, commit both.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

FILES = {
    "@tabler/core/dist/css/tabler.min.css": "static/vendor/tabler.min.css",
    "@tabler/core/dist/js/tabler.min.js": "static/vendor/tabler.min.js",
    "uplot/dist/uPlot.min.css": "static/vendor/uplot.min.css",
    "uplot/dist/uPlot.iife.min.js": "static/vendor/uplot.min.js",
    "@fontsource-variable/inter/files/inter-latin-wght-normal.woff2": "static/vendor/inter-latin.woff2",
    "axe-core/axe.min.js": "tests/journeys/vendor/axe.min.js",
}

ICONS = """
activity adjustments-horizontal alert-circle alert-triangle api archive arrow-back-up arrow-down arrow-left
arrow-right arrow-up arrows-diff arrows-sort ban bell bolt book-2 box building building-store bulb calendar
camera certificate chart-histogram chart-line check chevron-down chevron-left chevron-right chevron-up circle
circle-check circle-dashed circle-dot circle-minus circle-x clock cloud coin copy cpu credit-card database
database-export database-import device-desktop device-floppy devices disc dots dots-vertical download edit
external-link eye eye-off file file-code file-text filter flag folder folder-open git-branch git-compare
git-merge hand-stop heart-rate-monitor help-circle history home hourglass info-circle key layout-dashboard
link list list-check list-details lock lock-open login logout map-pin masks-theater menu-2 message minus moon
network package packages pencil player-pause player-play player-stop plug plus power puzzle question-mark
receipt refresh rocket rotate rotate-clockwise route scale scan search send server server-2 settings shield
shield-check shield-lock shopping-cart sparkles stack-2 star star-half sun switch-horizontal table tag tags
target terminal terminal-2 thumb-down thumb-up timeline tool tools trash trending-down trending-up
truck-delivery upload user user-check user-circle users users-group versions wand world x zoom-in
""".split()
FILLED = ["star", "player-play", "player-stop", "circle"]
"""These are in the sprite a second time, as `<name>-filled`."""

STROKE = (
    'fill="none" stroke="currentColor" stroke-width="1.75" stroke-linecap="round" stroke-linejoin="round"'
)
FILL = 'fill="currentColor"'


def copy_files(modules: Path) -> None:
    for source, destination in FILES.items():
        data = (modules / source).read_bytes()
        # the maps are not shipped, and collectstatic stops at a reference that leads nowhere
        data = re.sub(rb"\s*(/\*|//)# sourceMappingURL=.*?(\*/)?\s*$", b"\n", data)
        target = ROOT / destination
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


def symbol(svg: Path, name: str, *, paint: str) -> str:
    """The drawing as a `<symbol>` that takes its colour from the text around it."""
    inner = re.search(r"<svg[^>]*>(.*)</svg>", svg.read_text(), re.S).group(1)
    body = " ".join(re.sub(r'<path stroke="none" d="M0 0h24v24H0z" fill="none"\s*/>', "", inner).split())
    return f'<symbol id="{name}" viewBox="0 0 24 24" {paint}>{body}</symbol>'


def build_sprite(icons: Path) -> str:
    symbols = [symbol(icons / "outline" / f"{name}.svg", name, paint=STROKE) for name in sorted(ICONS)]
    symbols += [symbol(icons / "filled" / f"{name}.svg", f"{name}-filled", paint=FILL) for name in FILLED]
    return '<svg xmlns="http://www.w3.org/2000/svg">\n' + "\n".join(symbols) + "\n</svg>\n"


def main(modules: Path) -> None:
    copy_files(modules)
    (ROOT / "static" / "icons.svg").write_text(build_sprite(modules / "@tabler" / "icons" / "icons"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
