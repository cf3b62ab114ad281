"""Debian packages and what they need, as far as it takes to add one to a machine and change nothing else of it.

Versions: deb-version(7). Relations: Debian policy, chapter 7.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import chain, zip_longest

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
    """`depends`: each member is fulfilled by any one of its relations. `provides`: other names that it goes by."""

    name: str
    version: str
    architecture: str = ""
    depends: tuple[tuple[Relation, ...], ...] = ()
    conflicts: tuple[Relation, ...] = ()
    provides: tuple[Relation, ...] = ()
    fetch_bytes: int = 0
    installed_bytes: int = 0

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    def fulfils(self, relation: Relation) -> bool:
        """Policy 7.5: a name that is provided without a version fulfils no relation that asks for one."""
        if relation.name == self.name:
            return relation.accepts(self.version)
        return any(
            relation.name == each.name
            and (not relation.operator or (bool(each.version) and relation.accepts(each.version)))
            for each in self.provides
        )

    @property
    def names(self) -> list[str]:
        return list(dict.fromkeys([self.name, *(each.name for each in self.provides)]))


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
    provides = _relations(fields.get("Provides", ""))
    return Package(
        name=fields["Package"],
        version=fields["Version"],
        architecture=fields.get("Architecture", ""),
        depends=tuple(needs),
        conflicts=tuple(chain.from_iterable(against)),
        provides=tuple(chain.from_iterable(provides)),
        fetch_bytes=int(fields.get("Size", 0)),
        installed_bytes=int(fields.get("Installed-Size", 0)) * 1024,
    )


def _relations(text: str) -> list[tuple[Relation, ...]]:
    groups = (group.split("|") for group in text.split(",") if group.strip())
    return [tuple(_relation(each.strip()) for each in group) for group in groups]


def _relation(text: str) -> Relation:
    found = RELATION.fullmatch(text)
    if found is None:
        raise Unsuitable(f"the relation {text!r} is not understood")
    return Relation(found["name"], found["operator"] or "", found["version"] or "")


def to_add(
    name: str,
    offered: Mapping[str, Package],
    installed: Mapping[str, str],
    before: Iterable[Package] = (),
) -> tuple[Package, ...]:
    """`name` and what it needs beyond `installed` (name → version) and `before`, of `offered`. Raises Unsuitable.

    `before`: what else is added to the machine. Nothing that is installed is exchanged or removed: what would need that
    is refused. Of alternatives the first that is offered is taken, as dpkg's own front ends do. `name` may be one that
    several packages provide. Empty where the machine has it.
    """
    there = Machine(offered, installed, before)
    there.need("", [Relation(name)])
    return tuple(there.added)


class Machine:
    """What a machine has, and what is added to it: a package is added with all that it needs, or Unsuitable raised.

    Of an installed package only name and version are known. What else it says of itself is taken from the offered one
    of the same version; of another version only the names that it provides without saying in which version.
    """

    def __init__(
        self, offered: Mapping[str, Package], installed: Mapping[str, str], before: Iterable[Package]
    ):
        self.offered = offered
        self.added: list[Package] = []
        self._by_name: dict[str, list[Package]] = defaultdict(list)
        for name, version in installed.items():
            self._know(_installed(name, version, offered.get(name)))
        for package in before:
            self._know(package)

    def need(self, who: str, alternatives: Iterable[Relation]) -> None:
        """One of `alternatives` is there afterwards."""
        alternatives = tuple(alternatives)
        if any(self.holder(relation) for relation in alternatives):
            return
        for relation in alternatives:
            if offer := self._offer(relation):
                self._add(offer)
                return
        raise Unsuitable(self._refusal(who, alternatives))

    def holder(self, relation: Relation) -> Package | None:
        """Who fulfils it here."""
        return next((each for each in self._by_name.get(relation.name, ()) if each.fulfils(relation)), None)

    def _know(self, package: Package) -> None:
        for name in package.names:
            self._by_name[name].append(package)

    def _offer(self, relation: Relation) -> Package | None:
        """The package of that name, else the first by name that provides it; none that would replace one here."""
        own = self.offered.get(relation.name)
        others = sorted(self.offered.values(), key=lambda each: each.name)
        return next(
            (
                each
                for each in (*([own] if own else []), *others)
                if each.fulfils(relation) and not self._has(each.name)
            ),
            None,
        )

    def _has(self, name: str) -> bool:
        return any(each.name == name for each in self._by_name.get(name, ()))

    def _add(self, package: Package) -> None:
        self._require_peace(package)
        self._know(package)  # before what it needs: two packages may need each other
        self.added.append(package)
        for alternatives in package.depends:
            self.need(str(package), alternatives)

    def _require_peace(self, package: Package) -> None:
        for relation in package.conflicts:
            if (other := self.holder(relation)) and other.name != package.name:
                raise Unsuitable(f"{package} cannot stand beside {other}")
        for other in chain.from_iterable(self._by_name.values()):
            if any(package.fulfils(relation) for relation in other.conflicts):
                raise Unsuitable(f"{other} cannot stand beside {package}")

    def _refusal(self, who: str, alternatives: tuple[Relation, ...]) -> str:
        asked = " or ".join(str(relation) for relation in alternatives)
        here = [str(each) for relation in alternatives for each in self._by_name.get(relation.name, ())]
        if who and here:
            return f"{who} needs {asked}, and the machine has {' and '.join(here)}"
        if who:
            return f"{who} needs {asked}, and neither the machine nor this host has it"
        return f"this host offers no package {asked}"


def _installed(name: str, version: str, offered: Package | None) -> Package:
    """Debian 13 renamed libraries for 64-bit time (libglib2.0-0t64); on amd64 each provides its old name."""
    old = (Relation(name.removesuffix("t64"), "=", version),) if name.endswith("t64") else ()
    if offered is None:
        return Package(name, version, provides=old)
    if offered.version == version:
        return replace(offered, provides=(*offered.provides, *old))
    loose = tuple(each for each in offered.provides if not each.version)
    return Package(name, version, provides=(*loose, *old))
