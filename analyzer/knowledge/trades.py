"""The trades that software is for, read once from the two files beside this one."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Trade:
    """One entry of trades.yaml. `says`: word → 1 or 0.5; `software`: name or `begin*` → 1 or 0.35."""

    name: str
    title: str
    says: dict[str, float]
    behind: frozenset[str]
    software: dict[str, float]
    sections: frozenset[str]
    tags: frozenset[str]
    describes: re.Pattern | None


IMAGE = "image"
BESIDE = 0.35  # of what goes along with a trade and with others as well


@cache
def trades() -> dict[str, Trade]:
    rows = yaml.safe_load((HERE / "trades.yaml").read_text())
    return {name: _trade(name, row) for name, row in rows.items()}


def _trade(name: str, row: dict) -> Trade:
    says = {word.removeprefix("~"): 0.5 if word.startswith("~") else 1.0 for word in row["says"].split()}
    software = dict.fromkeys(row.get("beside", "").split(), BESIDE) | dict.fromkeys(
        row["software"].split(), 1.0
    )
    return Trade(
        name=name,
        title=row["title"],
        says=says,
        behind=frozenset(row.get("behind", ())),
        software=software,
        sections=frozenset(row.get("sections", ())),
        tags=frozenset(row.get("tags", ())),
        describes=re.compile(row["describes"]) if "describes" in row else None,
    )


@cache
def of_debian() -> dict[str, dict[str, float]]:
    """Package name → {trade: weight 0..1}, as build.py derived it from Debian's metadata."""
    found: dict[str, dict[str, float]] = {}
    for line in (HERE / "debian.tsv").read_text().splitlines():
        trade, digit, names = line.split("\t")
        for name in names.split() if trade != IMAGE else ():
            found.setdefault(name, {})[trade] = int(digit) / 10
    return found


@cache
def of_images() -> frozenset[str]:
    """Packages that installation images bring: the standard system and the desktops, without libraries."""
    lines = (HERE / "debian.tsv").read_text().splitlines()
    return frozenset(
        name for line in lines if line.startswith(f"{IMAGE}\t") for name in line.split("\t")[2].split()
    )
