"""Other names for software that we know: what a vendor, another distribution or this company calls it.

The names on a machine stay as they are; what they mean is put beside them, so that a hint of either name meets it. A
name that means nothing (what is on every machine) is left out of the scoring.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import translate
from functools import cache, lru_cache

from analyzer.domain.facts import Facts, Package, Service
from analyzer.domain.software import ARCHITECTURE, UNIT, head
from analyzer.knowledge.trades import other_names

WILD = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class NameRule:
    """`name`: as a machine calls it, upper and lower case alike, with `*` and `?`; a plain one is met by its versions
    too. `means`: a name of known software, or "" for "says nothing of what a machine is for"."""

    name: str
    means: str


class NameMapping:
    """The first rule that fits counts."""

    def __init__(self, rules: Iterable[NameRule]):
        self._plain: dict[str, tuple[int, str]] = {}
        wild: list[tuple[int, NameRule]] = []
        for place, rule in enumerate(rules):
            if WILD.search(rule.name):
                wild.append((place, rule))
            else:
                self._plain.setdefault(rule.name.strip().lower(), (place, rule.means))
        self._wild = [(place, rule.means) for place, rule in wild]
        patterns = "|".join(f"({translate(rule.name.strip().lower())})" for _, rule in wild)
        self._pattern = re.compile(patterns) if wild else None
        self._known = lru_cache(maxsize=100_000)(self._look_up)  # the same names are on most machines

    def means(self, name: str) -> str | None:
        """None where no rule speaks of it."""
        return self._known(name)

    def _look_up(self, name: str) -> str | None:
        plain = ARCHITECTURE.sub("", UNIT.sub("", name.strip().lower()))
        found = [self._plain[each] for each in {plain, head(plain)} if each in self._plain]
        match = self._pattern.match(plain) if self._pattern else None
        if match and match.lastindex:
            found.append(self._wild[match.lastindex - 1])
        return min(found)[1] if found else None


@cache
def built_in() -> tuple[NameRule, ...]:
    """What Windows calls the software that the trades know by other names."""
    return tuple(NameRule(name, means) for name, means in other_names())


def named(facts: Facts, mapping: NameMapping) -> Facts:
    """The facts with what their names mean beside them, without what means nothing. Once is enough, twice no harm."""
    packages, services = tuple(_packages(facts, mapping)), tuple(_services(facts, mapping))
    return facts.model_copy(update={"packages": packages, "services": services})


def _packages(facts: Facts, mapping: NameMapping) -> Iterable[Package]:
    there = {package.name for package in facts.packages}
    for package in facts.packages:
        means = mapping.means(package.name)
        if means != "":
            yield package
        if means and means not in there:
            there.add(means)
            yield package.model_copy(update={"name": means})


def _services(facts: Facts, mapping: NameMapping) -> Iterable[Service]:
    there = {service.name for service in facts.services}
    for service in facts.services:
        means = mapping.means(service.name)
        if means != "":
            yield service
        if means and f"{means}.service" not in there:
            there.add(f"{means}.service")
            yield service.model_copy(update={"name": f"{means}.service"})
