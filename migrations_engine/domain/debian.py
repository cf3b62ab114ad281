"""Debian packages and what they need, as far as it takes to add one to a machine and change nothing else of it.

Versions: deb-version(7). Relations: Debian policy, chapter 7.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import zip_longest

RELATION = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9+.-]+)(?::\w+)?\s*(?:\((?P<operator><<|<=|=|>=|>>)\s*(?P<version>[^)\s]+)\s*\))?"
)
END = ((0,), 0)  # what stands behind the end of a version: after ~, before everything else
ACCEPTS = {
    "<<": lambda order: order < 0,
    "<=": lambda order: order <= 0,
    "=": lambda order: order == 0,
    ">=": lambda order: order >= 0,
    ">>": lambda order: order > 0,
    "": lambda order: True,
}


class Unsuitable(ValueError):
    """The package cannot be added to this machine; the message is a clause for a person."""


@dataclass(frozen=True)
class Relation:
    """`operator` is empty where any version will do."""

    name: str
    operator: str = ""
    version: str = ""

    def accepts(self, version: str) -> bool:
        return ACCEPTS[self.operator](compare(version, self.version))

    def __str__(self) -> str:
        return f"{self.name} ({self.operator} {self.version})" if self.operator else self.name


@dataclass(frozen=True)
class Package:
    """`depends`: each member is fulfilled by any one of its relations."""

    name: str
    version: str
    architecture: str = ""
    depends: tuple[tuple[Relation, ...], ...] = ()
    conflicts: tuple[Relation, ...] = ()


def compare(ours: str, theirs: str) -> int:
    """-1, 0 or 1, as `dpkg --compare-versions` orders them."""
    for one, other in zip(_split(ours), _split(theirs), strict=True):
        for left, right in zip_longest(_parts(one), _parts(other), fillvalue=END):
            if left != right:
                return -1 if left < right else 1
    return 0


def _split(version: str) -> tuple[str, str, str]:
    """(epoch, upstream version, revision)"""
    epoch, colon, rest = version.partition(":")
    upstream, dash, revision = (rest if colon else version).rpartition("-")
    return epoch if colon else "", upstream if dash else revision, revision if dash else ""


def _parts(text: str) -> list[tuple[tuple[int, ...], int]]:
    return [(_weights(words), int(digits or 0)) for words, digits in re.findall(r"(\D*)(\d*)", text)]


def _weights(words: str) -> tuple[int, ...]:
    """~ before the end, the end before letters, letters before the rest."""
    return (*(-1 if c == "~" else ord(c) if c.isalpha() else ord(c) + 256 for c in words), 0)


def packages(text: str) -> dict[str, Package]:
    """From the paragraphs of `apt-cache show` or a Packages file; the first of a name counts."""
    found: dict[str, Package] = {}
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        fields = dict(re.findall(r"^([A-Za-z-]+): (.*)$", paragraph, re.MULTILINE))
        if "Package" in fields and "Version" in fields:
            found.setdefault(fields["Package"], _package(fields))
    return found


def _package(fields: Mapping[str, str]) -> Package:
    needs = [*_relations(fields.get("Pre-Depends", "")), *_relations(fields.get("Depends", ""))]
    against = [*_relations(fields.get("Conflicts", "")), *_relations(fields.get("Breaks", ""))]
    return Package(
        name=fields["Package"],
        version=fields["Version"],
        architecture=fields.get("Architecture", ""),
        depends=tuple(needs),
        conflicts=tuple(relation for group in against for relation in group),
    )


def _relations(text: str) -> list[tuple[Relation, ...]]:
    groups = (group.split("|") for group in text.split(",") if group.strip())
    return [tuple(_relation(each.strip()) for each in group) for group in groups]


def _relation(text: str) -> Relation:
    found = RELATION.fullmatch(text)
    if found is None:
        raise Unsuitable(f"the relation {text!r} is not understood")
    return Relation(found["name"], found["operator"] or "", found["version"] or "")


def to_add(name: str, offered: Mapping[str, Package], installed: Mapping[str, str]) -> tuple[Package, ...]:
    """`name` and what it needs beyond `installed` (name → version), of `offered`. Raises Unsuitable.

    Nothing that is installed is exchanged or removed: what would need that is refused. Of alternatives the first that
    is offered is taken, as dpkg's own front ends do.
    """
    if name not in offered:
        raise Unsuitable(f"no package {name} is offered")
    taken: dict[str, Package] = {}
    _take(offered[name], taken, offered, {**_renamed(installed), **installed})
    return tuple(taken.values())


def _renamed(installed: Mapping[str, str]) -> dict[str, str]:
    """Debian 13 renamed libraries for 64-bit time (libglib2.0-0t64); on amd64 each provides its old name."""
    return {name.removesuffix("t64"): version for name, version in installed.items() if name.endswith("t64")}


def _take(
    package: Package, taken: dict, offered: Mapping[str, Package], installed: Mapping[str, str]
) -> None:
    for relation in package.conflicts:
        if relation.name in installed and relation.accepts(installed[relation.name]):
            raise Unsuitable(
                f"{package.name} {package.version} cannot stand beside {_told(relation, installed)}"
            )
    taken[package.name] = package
    for alternatives in package.depends:
        if not any(_fulfilled(relation, taken, installed) for relation in alternatives):
            _take(_offer(package, alternatives, offered, installed), taken, offered, installed)


def _fulfilled(relation: Relation, taken: Mapping[str, Package], installed: Mapping[str, str]) -> bool:
    if relation.name in taken:
        return relation.accepts(taken[relation.name].version)
    return relation.name in installed and relation.accepts(installed[relation.name])


def _offer(
    package: Package,
    alternatives: Iterable[Relation],
    offered: Mapping[str, Package],
    installed: Mapping[str, str],
) -> Package:
    for relation in alternatives:
        found = offered.get(relation.name)
        if found and relation.name not in installed and relation.accepts(found.version):
            return found
    asked = " or ".join(str(relation) for relation in alternatives)
    here = [_told(relation, installed) for relation in alternatives if relation.name in installed]
    known = f"the machine has {' and '.join(here)}" if here else "neither the machine nor this host has it"
    raise Unsuitable(f"{package.name} {package.version} needs {asked}, and {known}")


def _told(relation: Relation, installed: Mapping[str, str]) -> str:
    return f"{relation.name} {installed[relation.name]}"
