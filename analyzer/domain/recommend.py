"""Which persona suits a machine, in words that can be checked: software says what it is for, usage only how big it is.

A persona is known by its hints (software names), the packages it installs, the units that its acceptance checks
name and the ports that only it lets in. What of that is on the machine is *evidence*, weighted by how it got there:
asked for by a person, running as a service, listening; what merely came along counts little. Evidence that many
personas share tells them apart less (as a word in every document does; the idea of IDF).
These rules stand alone where learning is switched off, and give the learned ranking its words: see
analyzer.domain.learned_ranking. `MODEL_VERSION` names them, so that answers of several models can be told apart.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from analyzer.domain.facts import Facts, Package
from analyzer.domain.software_names import ORDINARY, Names
from analyzer.domain.usage import Summary

MODEL_VERSION = "rules-1"
GOOD_FIT = (
    0.35  # below, the honest answer is "none of these": one weak sign, or a sign that two personas share
)
SATURATION = 1.2  # evidence at which the strength reaches 63 %: about one program asked for and running
FADING = 0.85  # each further sign adds less, so that a long list of hints does not win by its length
SENTENCES = 6

MANUAL, UNKNOWN, CAME_ALONG = (
    1.0,
    0.6,
    0.15,
)  # asked for by a person / the manager does not say / as a dependency
ENABLED, LISTENING_OUT, LISTENING_HOME = 0.8, 0.6, 0.2
PORT, UNIT = 0.4, 1.0
BACKING = 0.4  # a database that only serves the web server beside it says little of what the machine is for

QUIET_SECTIONS = frozenset(
    {"libs", "oldlibs", "libdevel", "doc", "localization", "debug", "fonts", "introspection"}
)
# what is in these is chosen for its trade; one of them that came along belongs to those that were asked for
TRADES = frozenset("database electronics gnu-r httpd java mail math php ruby science sound video web".split())
DATABASES = ("postgresql", "mysql", "mariadb", "percona-server", "redis", "mongodb", "mongod", "memcached")
WEB_SERVERS = ("nginx", "apache2", "httpd", "caddy", "lighttpd", "tomcat9", "tomcat10", "php-fpm", "haproxy")
HOME = ("127.", "::1", "localhost")
EVERYBODY_LISTENS = frozenset({22, 53, 68, 111, 123, 323, 546})  # remote access, time, names: on any machine


@dataclass(frozen=True)
class Candidate:
    """A persona, as far as it can be recognised. `ports`: let in by its network or probed by its checks."""

    id: str
    name: str
    description: str = ""
    hints: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    ports: frozenset[int] = frozenset()
    distributions: frozenset[str] = frozenset()  # what its driver set is made for; empty: any
    distribution: str = ""
    distribution_must: bool = False
    vcpus: int | None = None
    memory_mib: int | None = None
    root_disk_gib: int | None = None


@dataclass(frozen=True)
class Size:
    """The machine now; None where not known."""

    vcpus: int | None = None
    memory_mib: int | None = None
    disk_bytes: int | None = None


@dataclass(frozen=True)
class Ranked:
    persona: str
    name: str
    score: float
    speaks_for: tuple[str, ...]
    speaks_against: tuple[str, ...]

    def as_json(self) -> dict:
        return {
            "persona": self.persona,
            "name": self.name,
            "score": self.score,
            "for": list(self.speaks_for),
            "against": list(self.speaks_against),
        }


@dataclass(frozen=True)
class Ranking:
    """Best first. `reason` says why none fits and is empty when the first one does."""

    ranked: tuple[Ranked, ...]
    reason: str = ""
    model_version: str = MODEL_VERSION
    no_fit: float = 0.0  # how likely it is that none fits, 0..1; 0 where the model does not say

    @property
    def best(self) -> Ranked | None:
        return self.ranked[0] if self.ranked and not self.reason else None


@dataclass(frozen=True)
class Sign:
    """One reason: `about` is the software it is about, so that two hints never count the same program twice."""

    about: str
    weight: float
    sentence: str
    listens: str = ""  # the listening service that is part of it


@dataclass
class Machine:
    """Facts, indexed for many questions."""

    facts: Facts
    packages: dict = field(init=False)
    services: dict = field(init=False)

    def __post_init__(self):
        self.packages = {package.name: package for package in self.facts.packages}
        self.services = {service.name: service for service in self.facts.services if service.enabled}
        self.package_names, self.service_names = Names(self.packages), Names(self.services)
        self.listening_names = Names({listening.service for listening in self.facts.listening})
        self.front = self._front()
        self.asked_for = Counter(section_of(each) for each in self.facts.packages if each.on_purpose)

    def _front(self) -> str:
        """The web server that the databases of this machine most likely work for; empty when there is none."""
        for server in WEB_SERVERS:
            if any(close > 0.8 for _, close in self.service_names.matching(server)):
                return server
        for name, package in self.packages.items():
            if section_of(package) in ("httpd", "php") and package.on_purpose is not False:
                return name
        for server in WEB_SERVERS:
            for name, close in self.package_names.matching(server):
                if close > 0.8 and self.packages[name].on_purpose is not False:
                    return name
        return ""

    def listens_out(self, service: str) -> bool:
        ports = [each for each in self.facts.listening if each.service == service]
        return any(not each.address.startswith(HOME) for each in ports)


def recommend(
    facts: Facts, candidates: Sequence[Candidate], *, size: Size, usage: dict[str, Summary]
) -> Ranking:
    """Every candidate, best first; the same input always gives the same answer, whatever the order of candidates."""
    machine = Machine(facts)
    rarity = _rarity(candidates)
    signs = {each.id: _signs(machine, each, rarity) for each in candidates}
    sums = {persona: _faded(found) for persona, found in signs.items()}
    names = {each.id: each.name for each in candidates}
    strongest = sorted(sums, key=lambda persona: (sums[persona], names[persona], persona), reverse=True)
    ranked = [_ranked(machine, each, signs, sums, names, strongest[:2], size, usage) for each in candidates]
    ranked.sort(key=lambda each: (-each.score, each.name, each.persona))
    return Ranking(tuple(ranked), _why_none(machine, ranked))


def _rarity(candidates: Sequence[Candidate]) -> dict[str, float]:
    """Hint or port → 1 when one persona of many says it, towards 0 when all do."""
    counts: dict[str, int] = {}
    for candidate in candidates:
        for word in {*map(str.lower, candidate.hints + candidate.packages), *map(str, candidate.ports)}:
            counts[word] = counts.get(word, 0) + 1
    everyone = len(candidates)
    return {word: math.log1p(everyone / count) / math.log1p(everyone) for word, count in counts.items()}


def _signs(machine: Machine, candidate: Candidate, rarity: dict[str, float]) -> list[Sign]:
    best: dict[str, Sign] = {}
    for word in dict.fromkeys(candidate.hints + candidate.packages):
        sign = _of_word(machine, word, rarity[word.lower()] * (1 if word in candidate.hints else 0.6))
        if sign and (sign.about not in best or best[sign.about].weight < sign.weight):
            best[sign.about] = sign
    heard = {sign.listens for sign in best.values()}
    for sign in (*_of_units(machine, candidate), *_of_ports(machine, candidate, rarity)):
        if not sign.listens or sign.listens not in heard:
            best.setdefault(sign.about, sign)
    return sorted(best.values(), key=lambda sign: (-sign.weight, sign.about))


def _of_word(machine: Machine, word: str, rarity: float) -> Sign | None:
    weight, about, told = _of_package(machine, word)
    service = next((pair for pair in machine.service_names.matching(word) if pair[1] > 0.4), None)
    if service:
        weight, about = weight + ENABLED * service[1], about or service[0]
        told.append(f"its service {service[0].removesuffix('.service')} starts with the machine")
    more, service_listening, where = _of_listening(machine, word)
    if more:
        weight, about = weight + more, about or service_listening
        told.append(where)
    if not told:
        return None
    if _is_backing(machine, word):
        weight *= BACKING
        told.append(f"but it stands behind {machine.front} on the same machine, so it counts less")
    return Sign(about, weight * rarity, f"{about}: {', '.join(told)}.", service_listening)


def _of_package(machine: Machine, word: str) -> tuple[float, str, list[str]]:
    best, about, told = 0.0, "", ""
    for name, closeness in machine.package_names.matching(word):
        package = machine.packages[name]
        origin, words = _origin(machine, package)
        weight = closeness * origin * (0.3 if section_of(package) in QUIET_SECTIONS else 1.0)
        if weight > best:
            best, about, told = weight, name, words
    return best, about, [told] if told else []


def _origin(machine: Machine, package: Package) -> tuple[float, str]:
    """How much it says that this package is here, and why in words."""
    if package.on_purpose:
        return MANUAL, "installed on purpose"
    if package.on_purpose is None:
        return UNKNOWN, "installed"
    section = section_of(package)
    kin = machine.asked_for[section] if section in TRADES else 0
    if not kin:
        return CAME_ALONG, "came along with something else"
    weight = MANUAL - (MANUAL - CAME_ALONG) * 0.6**kin
    return weight, f"came along, with {kin} of its kind ({section}) installed on purpose"


def section_of(package: Package) -> str:
    """ "universe/database" and "database" are the same trade."""
    return (package.section or "").rpartition("/")[2]


def _of_listening(machine: Machine, word: str) -> tuple[float, str, str]:
    """(weight, service, where in words)."""
    for service, closeness in machine.listening_names.matching(word):
        if closeness > 0.4:
            out = machine.listens_out(service)
            port = next(each.port for each in machine.facts.listening if each.service == service)
            where = f"listens on port {port}" + ("" if out else " for this machine only")
            return (LISTENING_OUT if out else LISTENING_HOME), service, where
    return 0.0, "", ""


def _is_backing(machine: Machine, word: str) -> bool:
    base = word.lower()
    kind = next((name for name in DATABASES if base.startswith(name)), None)
    if not machine.front or kind is None:
        return False
    return not any(machine.listens_out(service) for service, _ in machine.listening_names.matching(kind))


def _of_units(machine: Machine, candidate: Candidate):
    for unit in candidate.units:
        found = next((pair for pair in machine.service_names.matching(unit) if pair[1] > 0.8), None)
        if found:
            yield Sign(
                found[0], UNIT, f"{found[0]}: the persona checks this unit, and it starts with this machine."
            )


def _of_ports(machine: Machine, candidate: Candidate, rarity: dict[str, float]):
    open_ports = {each.port: each for each in machine.facts.listening if not each.address.startswith(HOME)}
    for port in sorted(candidate.ports & open_ports.keys() - EVERYBODY_LISTENS):
        service = open_ports[port].service
        told = f"{service} listens on port {port}, which it lets in."
        yield Sign(f"port {port}", PORT * rarity[str(port)], told, service)


def _faded(signs: Sequence[Sign]) -> float:
    return math.fsum(sign.weight * FADING**rank for rank, sign in enumerate(signs))


def _ranked(machine, candidate, signs, sums, names, strongest, size: Size, usage: dict[str, Summary]) -> Ranked:
    own = sums[candidate.id]
    rival = next((persona for persona in strongest if persona != candidate.id), None)
    strength = 1 - math.exp(-own / SATURATION)
    distinct = own / (own + sums.get(rival, 0) / 2) if own else 0
    factor, against = distribution_fit(machine.facts, candidate)
    found = signs[candidate.id]
    speaks_for = [sign.sentence for sign in found[:SENTENCES]]
    if len(found) > SENTENCES:
        speaks_for.append(f"and {len(found) - SENTENCES} more signs of the same kind.")
    fits, too_small = _size(candidate, size, usage)
    return Ranked(
        persona=candidate.id,
        name=candidate.name,
        score=round(strength * distinct * factor, 3),
        speaks_for=(*speaks_for, *fits),
        speaks_against=(
            *against,
            *_nothing(candidate, found),
            *_rivals(candidate, rival, signs, sums, names),
            *too_small,
        ),
    )


def distribution_fit(facts: Facts, candidate: Candidate) -> tuple[float, list[str]]:
    os, told, factor = facts.os, [], 1.0
    if not os.id:
        return 1.0, []
    if candidate.distributions and not os.is_one_of(candidate.distributions):
        factor *= 0.85
        made_for = _listed(sorted(candidate.distributions))
        told.append(f"Its driver set is made for {made_for}; this machine runs {os.id}.")
    if candidate.distribution and candidate.distribution != os.id:
        factor *= 0.7 if candidate.distribution_must else 0.95
        verb = "requires" if candidate.distribution_must else "prefers"
        told.append(
            f"It {verb} {candidate.distribution}; this machine runs {os.id} {os.version}.".replace(" .", ".")
        )
    return factor, told


def _nothing(candidate: Candidate, found: Sequence[Sign]) -> list[str]:
    if not candidate.hints and not candidate.packages:
        return ["It names no software, so nothing on a disk can speak for it."]
    if not found:
        return [
            f"None of the software it is known by is here ({_listed(candidate.hints or candidate.packages)})."
        ]
    if any(sign.weight >= 0.5 for sign in found):
        return []
    return ["What is here of it came along with other software."]


def _rivals(candidate: Candidate, rival: str | None, signs, sums, names: dict[str, str]) -> list[str]:
    """The strongest sign of what else this machine could be; `rival`: the strongest of the other personas."""
    own = sums[candidate.id]
    if not own or rival is None or sums[rival] < own / 5:
        return []
    abouts = {sign.about for sign in signs[candidate.id]}
    foreign = next((sign.about for sign in signs[rival] if sign.about not in abouts), "")
    if sums[rival] >= own:
        return [f"{names[rival]} explains more of what is here{': ' + foreign if foreign else ''}."]
    return [f"{foreign} speaks for {names[rival]}."] if foreign else []


def _size(candidate: Candidate, size: Size, usage: dict[str, Summary]) -> tuple[list[str], list[str]]:
    """What the measured use says of the persona's size. It never changes the rank: a busy database is a database."""
    good, bad = [], []
    for metric, unit, has, gives in (
        ("cpu_percent", "vCPUs", size.vcpus, candidate.vcpus),
        ("memory_percent", "MiB of memory", size.memory_mib, candidate.memory_mib),
    ):
        seen = usage.get(metric)
        if not (seen and has and gives):
            continue
        needs = has * seen.p95 / 100
        needed = f"{needs:.1f}" if needs < 100 else f"{needs:.0f}"
        text = f"gives {gives} {unit}; 95 % of the time this machine needs {needed} or less"
        (good if gives >= needs else bad).append(f"Size: it {text}.")
    if candidate.root_disk_gib and size.disk_bytes and candidate.root_disk_gib * 2**30 < size.disk_bytes:
        bad.append(
            f"Size: its root disk of {candidate.root_disk_gib} GiB is smaller than this disk "
            f"({size.disk_bytes / 2**30:.1f} GiB); a disk never shrinks on the way."
        )
    return good, bad


def _why_none(machine: Machine, ranked: Sequence[Ranked]) -> str:
    if not ranked:
        return "There is no persona to choose from."
    if ranked[0].score >= GOOD_FIT:
        return ""
    coverage = machine.facts.covered("packages")
    if not machine.packages and coverage.state != "full":
        return f"The installed software could not be read ({coverage.reason or 'unknown reason'})."[:400]
    chosen = [p for p in machine.facts.packages if p.on_purpose and section_of(p) not in QUIET_SECTIONS]
    telling = [p for p in chosen if not ORDINARY.match(p.name)]
    telling.sort(key=lambda p: (section_of(p) not in TRADES, p.name))
    chosen = [p.name for p in telling]
    here = f" Installed on purpose here: {_listed(chosen)}." if chosen else ""
    return f"No persona is known by the software of this machine.{here}"[:400]


def _listed(names: Sequence[str], limit: int = 5) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
