"""The trades that software is for, read once from the files beside this one."""

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


@cache
def brought_by() -> dict[str, tuple[frozenset[str], tuple[str, ...]]]:
    """Head of a package → (heads, `family-` beginnings) of what brings it along: in Debian as build.py found it
    (brings.tsv), in Fedora and its kin as we know it (brings_rpm.tsv)."""
    names: dict[str, set[str]] = {}
    for file in ("brings.tsv", "brings_rpm.tsv"):
        for line in (HERE / file).read_text().splitlines():
            child, _, parents = line.lower().partition("\t")
            names.setdefault(child, set()).update(parents.split())
    return {
        child: (
            frozenset(name for name in parents if not name.endswith("-*")),
            tuple(sorted(name[:-1] for name in parents if name.endswith("-*"))),
        )
        for child, parents in names.items()
    }


@cache
def other_names() -> tuple[tuple[str, str], ...]:
    """((name with wildcards, what it is to us; "" for nothing), ...): software as Windows lists it."""
    rows = (line.partition("\t") for line in (HERE / "names.tsv").read_text().splitlines() if line.strip())
    return tuple((name, means.strip()) for name, _, means in rows)
