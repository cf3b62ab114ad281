"""How a name that a person writes ("postgresql", "numpy") meets those on a disk ("postgresql-15", "python3-numpy")."""

import re
from bisect import bisect_left
from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import lru_cache

LANGUAGE = re.compile(
    r"^(?:python3?-|python3\d+-|r-cran-|r-bioc-|r-|ruby-|node-|golang-|php\d*(?:\.\d+)?-|perl-)"
)
INNER_VERSION = re.compile(r"(?<=[a-z])\d+(?:\.\d+)*(?=-)")  # php8.2-fpm is php-fpm
VERSION = re.compile(r"^[-_.]?\d[\w.+~]*")
UNIT = re.compile(r"\.(?:service|socket|timer|path|target|mount)$")
INSTANCE = re.compile(r"@.*$")
SERVER = re.compile(r"-(?:server|daemon|ce|core)$")
# what comes with a program or talks to it, without being it: it says little of what a machine is for
BESIDE = frozenset(
    "client clients common doc docs dev devel data dbg dbgsym debug examples l10n locale locales lang libs man html "
    "tests test headers keyring utils tools dnsutils host help".split()
)
ITSELF = frozenset(
    "server core full light daemon engine ce ee enterprise community standard cluster base".split()
)

# chosen by the installer or by any administrator: they say nothing of what a machine is for
ORDINARY = re.compile(
    r"^(linux-|grub|firmware-|intel-microcode|amd64-microcode|task-|locales|tzdata|openssh-|ssh$|sudo$|vim|nano$|curl$|"
    r"wget$|less$|cloud-|qemu-guest-agent|open-vm-tools|apt|console-|keyboard-|ca-certificates|systemd|ifupdown|"
    r"netcat|traceroute|telnet|man-db|bash-completion|popularity-contest|unattended-upgrades|init$|dbus|e2fsprogs|base-|"
    r"bash$|dash$|coreutils|util-linux|iproute2|passwd|login$|kmod|udev|initramfs-tools)"
)


class Names:
    """Names of one kind on one machine, prepared so that a hint finds its own among 50,000 in microseconds."""

    def __init__(self, names: Iterable[str]):
        self._plain: dict[str, list[str]] = {}
        for name in names:
            for key in _keys(name):
                self._plain.setdefault(key, []).append(name)
        self._sorted = sorted(self._plain)

    def matching(self, hint: str) -> list[tuple[str, float]]:
        """(name, closeness 0..1) of every name that the hint means, the closest first. `*` and `?` are wildcards."""
        found: dict[str, float] = {}
        wanted, stems = _wanted(hint)
        keys = self._beginning(wanted, stems) if stems else self._wild(wanted)
        for key, closeness in keys:
            for name in self._plain[key]:
                found[name] = max(closeness, found.get(name, 0))
        return sorted(found.items(), key=lambda pair: (-pair[1], len(pair[0]), pair[0]))

    def _wild(self, pattern: str):
        return [(key, 0.9) for key in self._sorted if fnmatchcase(key, pattern)]

    def _beginning(self, wanted: str, stems: Iterable[str]):
        found = []
        for stem in stems:
            index = bisect_left(self._sorted, stem)
            while index < len(self._sorted) and self._sorted[index].startswith(stem):
                key = self._sorted[index]
                closeness = closeness_of(key[len(stem) :]) * (1 if stem == wanted else 0.9)
                if closeness:
                    found.append((key, closeness))
                index += 1
        return found


@lru_cache(maxsize=200_000)  # the same names are on most machines
def _keys(name: str) -> frozenset[str]:
    plain = normalised(name)
    return frozenset({plain, LANGUAGE.sub("", plain), INNER_VERSION.sub("", plain)})


@lru_cache(maxsize=10_000)
def _wanted(hint: str) -> tuple[str, tuple[str, ...]]:
    """(the hint, what its names begin with: nothing where it has wildcards)."""
    wanted = normalised(hint)
    if set(wanted) & set("*?"):
        return wanted, ()
    return wanted, tuple(sorted({wanted, SERVER.sub("", wanted)} - {""}))


def normalised(name: str) -> str:
    return INSTANCE.sub("", UNIT.sub("", name.strip().lower()))


def closeness_of(rest: str) -> float:
    """How much a name that continues a hint by `rest` is still the thing itself: "-15" is, "-client-15" hardly."""
    rest = VERSION.sub("", rest)
    if not rest:
        return 1.0
    if not rest.startswith(("-", "_", ".")):
        return 0.0  # another word: "nodejs" does not mean "nodejsfoo"
    words = [word for word in re.split(r"[-_.]", rest) if word and not word.isdigit()]
    if not words or set(words) <= ITSELF:
        return 0.95
    return 0.2 if set(words) & BESIDE else 0.5
