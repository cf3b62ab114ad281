"""Derives debian.tsv and brings.tsv from Debian's own package metadata.

    apt-cache dumpavail | python3 -m analyzer.knowledge.build trades > analyzer/knowledge/debian.tsv
    apt-cache dumpavail | python3 -m analyzer.knowledge.build brings > analyzer/knowledge/brings.tsv

debian.tsv: which package is of which trade, which of none. brings.tsv: what brings a telling package along (depends on
it or recommends it), so that what was asked for is known where no package manager says so.

What an installation image brings (the standard system and the desktop tasks with all they depend on) is listed as
`image`. Sections, debtags and the one-line description of a package are matched with the rules of trades.yaml; only the
outcome (trade, weight, names) is kept, none of the texts. Run both again, in this order, when the rules or the release
change.
"""

import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator

from analyzer.domain.software import head, meaning
from analyzer.knowledge.trades import Trade, trades

# libraries, documents and translations come along with programs: what they are about, the programs say better
QUIET = re.compile(r"^(libs|oldlibs|doc|debug|localization|introspection|fonts|kernel|metapackages|tasks)$")
NAME_QUIET = re.compile(
    r"^(node-|fcitx|ibus-|task-|golang-|librust-|libghc-|elpa-)|-(dev|doc|dbg|dbgsym|l10n|locale|data|common)$"
)
EVERY_MACHINE = ("required", "important", "standard")
IMAGES = re.compile(
    r"^task-.*desktop$|^task-(?:laptop|ssh-server|english|print-service)$|^(?:ssh|cloud-init)$"
)
LEVELS = ((0.8, "9"), (0.55, "6"), (0.4, "4"))  # what is written of a weight: a digit, in tenths
SECTION, TAG, WORDS = 0.9, 0.9, 0.7
NEVER_ASKED_FOR = re.compile(r"^(lib|node-|golang-|ghc|haskell|fonts-)")
FAMILY = 6
MOST_PARENTS = 150  # what more than that bring along is on any machine
GENERAL = frozenset(  # what a hundred trades have in them
    {"devel", "libdevel", "web", "gnome", "kde", "xfce", "php", "haskell", "rust", "golang", "ocaml", "lisp"}
)


def packages(lines: Iterable[str]) -> Iterator[dict[str, str]]:
    """The paragraphs of a Packages file, continuation lines joined."""
    found: dict[str, str] = {}
    key = ""
    for line in lines:
        if not line.strip():
            if found:
                yield found
            found, key = {}, ""
        elif line[0] in " \t":
            found[key] += line.rstrip("\n") if key == "Tag" else ""
        else:
            key, _, value = line.partition(":")
            found[key] = value.strip()
    if found:
        yield found


def weights(package: dict[str, str], known: Iterable[Trade]) -> dict[str, float]:
    """Trade → 0..1, of a package that is something by itself."""
    section = package.get("Section", "").rpartition("/")[2]
    if (
        QUIET.match(section)
        or NAME_QUIET.search(package["Package"])
        or package.get("Priority") in EVERY_MACHINE
    ):
        return {}
    tags = {tag.strip() for tag in package.get("Tag", "").split(",")}
    told = package.get("Description", "")
    found = {}
    for trade in known:
        missed = 1.0
        if section in trade.sections:
            missed *= 1 - (0.45 if section in GENERAL else SECTION)
        if tags & trade.tags:
            missed *= 1 - TAG
        if trade.describes and trade.describes.search(told):
            missed *= 1 - WORDS
        if missed < 1 - LEVELS[-1][0]:
            found[trade.name] = 1 - missed
    return found


def on_images(found: dict[str, dict[str, str]]) -> set[str]:
    """What a machine has because of the image that it was made from."""
    todo = [
        name for name, each in found.items() if each.get("Priority") in EVERY_MACHINE or IMAGES.match(name)
    ]
    seen = set(todo)
    while todo:
        each = found[todo.pop()]
        for field in ("Pre-Depends", "Depends", "Recommends"):
            for need in filter(None, each.get(field, "").split(",")):
                first = re.split(r"[ (:|]", need.strip())[0]
                if first in found and first not in seen:
                    seen.add(first)
                    todo.append(first)
    return seen


def brought_by(found: dict[str, dict[str, str]]) -> dict[str, set[str]]:
    """Head of a telling package → heads of what depends on it or recommends it. A program and its parts
    that want each other: the program brings them."""
    provided = defaultdict(list)
    for name, each in found.items():
        for virtual in _names(each.get("Provides", ""), r","):
            provided[virtual].append(name)
    telling = {name for name in found if not NEVER_ASKED_FOR.match(name) and meaning(name)[0]}
    parents, wanted = defaultdict(set), defaultdict(set)
    for name, each in found.items():
        needs = _wanted(each, provided)
        wanted[head(name)] |= set(map(head, needs))
        for child in telling & needs:
            parents[head(child)].add(head(name))
    for child, them in parents.items():
        them -= {each for each in them if each in wanted[child] and each.startswith(f"{child}-")}
    return {child: them for child, them in parents.items() if them}


def _wanted(package: dict[str, str], provided: dict[str, list[str]]) -> set[str]:
    needs = {need for field in ("Pre-Depends", "Depends") for need in _names(package.get(field, ""), r"[,|]")}
    likes = {likes.partition("|")[0].strip() for likes in _names(package.get("Recommends", ""), r",")}
    return needs | likes | {each for need in needs for each in provided.get(need, ())[:3]}


def _names(field: str, between: str) -> list[str]:
    return [re.split(r"[ (:\[]", each.strip())[0] for each in re.split(between, field) if each.strip()]


def shortened(parents: set[str]) -> list[str]:
    """A family of six or more as `family-*`."""
    families = defaultdict(list)
    for each in sorted(parents):
        families[each.partition("-")[0]].append(each)
    found = []
    for family, members in families.items():
        large = len(members) >= FAMILY
        found += [f"{family}-*"] * large + [
            each for each in members if not (large and each.startswith(f"{family}-"))
        ]
    return found


def write_brings(found: dict[str, dict[str, str]]) -> None:
    for child, parents in sorted(brought_by(found).items()):
        short = shortened(parents)
        if len(short) <= MOST_PARENTS:
            sys.stdout.write(f"{child}\t{' '.join(short)}\n")


def main() -> None:
    found = {package["Package"]: package for package in packages(sys.stdin)}
    {"trades": write_trades, "brings": write_brings}[sys.argv[1]](found)


def write_trades(found: dict[str, dict[str, str]]) -> None:
    lines = defaultdict(set)
    for name, package in found.items():
        for trade, weight in sorted(weights(package, trades().values()).items(), key=lambda pair: -pair[1])[
            :3
        ]:
            level = next(digit for least, digit in LEVELS if weight >= least)
            lines[trade, level].add(name)
    lines["image", "0"] = {name for name in on_images(found) if not name.startswith("lib")}
    for (trade, level), names in sorted(lines.items()):
        sys.stdout.write(f"{trade}\t{level}\t{' '.join(sorted(names))}\n")


if __name__ == "__main__":
    main()
