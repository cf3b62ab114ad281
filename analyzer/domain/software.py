"""What the software of a machine says it is for: evidence per trade, the same whatever the distribution calls things.

A package name is brought to its head (`postgresql-15`, `python3.11-minimal`, `php8.2-fpm`, `rh-nginx120-nginx`), the
head is looked up in the knowledge (analyzer.knowledge), and what it means is weighed by how it got here: asked for by
a person, running, listening, or merely come along. What any machine has (the base system, tools, input methods)
means nothing by itself, so the image that a machine was made from stays unseen.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache

from analyzer.domain.facts import Facts
from analyzer.knowledge.trades import brought_by, of_debian, of_images, trades

ON_PURPOSE, CAME_ALONG = 1.0, 0.3
UNTOLD_NAMED, UNTOLD_DERIVED = 0.9, 0.6  # nobody says who asked for it, and nothing here brings it along
RUNNING, REACHED, BESIDE_PACKAGES = 0.8, 0.6, 0.7
IN_PASSING = 0.4  # of a general trade, by what came along: compilers and languages do with anything
DERIVED = 0.8  # the word of Debian's metadata against our own
ATTACHED = 0.15  # data, documents or a client of it
BEHIND = 0.5  # left of a trade that serves another one on the same machine

GENERAL = frozenset({"datascience", "development", "mathematics"})  # beside a special trade, its means only
COLLECTION = re.compile(r"^(?:rh-|sclo-|devtoolset-)[a-z]+\d+-|^compat-")
VERSION = re.compile(r"(?<=[a-z])[-_.]?v?\d+(?:\.\d+)*(?:[a-z]?\d*)(?=$|-)")
ARCHITECTURE = re.compile(r"(?::|\.)(?:amd64|i386|i686|x86_64|noarch|all|arm64|aarch64|any)$")
UNIT = re.compile(r"(?:@.*)?\.(?:service|socket|timer|path|mount|target)$|@.*$")
PARTS = re.compile(
    r"-(?:server|daemon|core|bin|base|full|light|extras|utils|tools|cli|all|main|common-bin|x11|gtk\d?|qt\d?|nox|"
    r"plugins?|backend)$"
)
ATTACHMENTS = re.compile(
    r"-(?:data|common|doc|docs|examples|client|clients|libs?|l10n|locales?|lang\w*|man|filesystem|selinux|dbg|dbgsym|"
    r"debuginfo|headers|theme|icons?|fonts?|keyring|release|license|misc|contrib|tests?|demos?)$"
)
SHARED = re.compile(r"^lib.*\d[a-z]{0,3}\d*$|^gcc-[\d.]+-base$|-common$(?<!ubuntu-common)")
LIBRARY = re.compile(r"^lib(?!reoffice|virt|apache2-mod|nginx-mod|guestfs-|recad|repcb)")
LANGUAGE_NAME = re.compile(r"^(?:python3?|ruby|R)-")
# what RPM distributions call the libraries of a language, and what Debian does
ELSEWHERE = {
    "r-": ("r-cran-{}", "r-bioc-{}"),
    "perl-": ("lib{}-perl",),
    "rubygem-": ("ruby-{}", "{}"),
    "golang-github-": ("{}",),
    "php-pecl-": ("php-{}",),
}
LANGUAGE = re.compile(r"^(?:python3?-|r-cran-|r-bioc-|r-other-|ruby-|lib\w+-(?:perl|java|ruby)$)")
DEVELOPED = re.compile(r"-(?:dev|devel|static)$")
# on any machine, put there by an installer or an administrator's habit
EVERYWHERE = re.compile(
    r"^(?:node-|fcitx|ibus|scim|uim|printer-driver|foomatic|cups-filters|openprinting|fonts?-|ttf-|xfonts|linux-|kernel|firmware|"
    r"grub|libreoffice-help|libreoffice-l10n|hunspell|hyphen|mythes|aspell|ispell|wbritish|wamerican|language-pack|gir1|"
    r"gstreamer|isc-dhcp-c|exim4-|lxd-agent|desktop-file|gvfs|spice-(?:client|vdagent|server|gtk)|xserver|x11-|xorg|mesa|vulkan|va-driver|vdpau|task-english|task-ssh|open-vm|cloud-|locales|tzdata|"
    r"speech|espeak|brltty|orca$|bluez|modemmanager|network-manager|wpa|telepathy|gnome-shell|gnome-user|metacity|mutter|"
    r"evolution-data|gnome-cards|gimp-help|kodi-|nvidia|xscreensaver|screensaver|tcpd$|perl|python3?$|python-is)"
)
BASE_PRIORITY = frozenset(
    """bash coreutils dpkg apt rpm dnf yum systemd init sudo openssh openssh-server openssh-client openssh-clients ssh
    cron rsyslog logrotate
    vim nano less curl wget man-db ca-certificates openssl gnupg tar gzip bzip2 xz unzip zip rsync
    screen tmux htop iotop lsof strace tcpdump nmap netcat telnet traceroute mtr dnsutils bind9-dnsutils bind9-host
    bind-utils net-tools iproute2 iputils-ping ethtool file findutils grep sed gawk git make patch bc psmisc procps acl
    iptables nftables ufw firewalld fail2ban unattended-upgrades ntp chrony ntpdate systemd-timesyncd postfix exim4
    bsd-mailx mailutils procmail mutt python3 perl ruby tcl tk gettext sharutils m4 busybox parted gdisk lvm2 mdadm
    avahi-daemon dbus polkit cups nfs-common nfs-utils cifs-utils
    open-iscsi multipath-tools multipath-tools-boot drbd-utils smartmontools hdparm usbutils pciutils dmidecode
    apt-listchanges apt-transport-https debconf popularity-contest ubuntu-standard ubuntu-server ubuntu-minimal
    qemu-guest-agent spice-vdagent virtualbox-guest-utils gdebi synaptic flatpak snapd time bc diffutils pkg-config
    zlib1g-dev zlib-devel distro-info tcl strace ltrace byobu gdb apport plymouth usbmuxd firefox firefox-esr
    dnsmasq-base system-config-printer nautilus-share hdparm sosreport sos landscape-common sg3-utils thermald
    nodejs-doc java-common default-jre default-jre-headless java-headless javapackages-filesystem
    openldap kbd systemd-resolved spice-server sysstat samba-common samba-client-libs samba-libs""".split()
)
NATIVE = 0.25  # of a trade, for software that is on machines of any trade
WELL_KNOWN_PORTS = {
    25: "mail", 53: "dns", 67: "dhcp", 69: "dhcp", 80: "web", 88: "identity", 110: "mail", 143: "mail", 389: "identity",
    443: "web", 445: "files", 465: "mail", 587: "mail", 636: "identity", 993: "mail", 995: "mail", 1194: "vpn",
    1433: "database", 1521: "database", 1812: "identity", 2049: "files", 2375: "container", 3000: "monitoring",
    3128: "proxy", 3260: "files", 3306: "database", 5060: "voip", 5432: "database", 5601: "monitoring",
    5666: "monitoring", 5672: "search", 6379: "database", 6443: "container", 6514: "monitoring", 8086: "database",
    8140: "automation", 8787: "datascience", 8888: "datascience", 9090: "monitoring", 9093: "monitoring",
    9100: "monitoring", 9200: "search", 10051: "monitoring", 16509: "virtualisation", 27017: "database",
    51820: "vpn",
}  # fmt: skip
HOME = ("127.", "::1", "localhost")


@dataclass(frozen=True)
class Sign:
    """One thing on the machine. `trades`: what it means, each 0..1, already weighed by how it got here."""

    name: str
    weight: float
    trades: Mapping[str, float]
    told: str


@dataclass(frozen=True)
class Workload:
    """`evidence`: trade → weight > 0, what stands behind others reduced. `names`: head → 0..1, what a hint can meet.
    `unexplained`: on purpose, meaning unknown. `beside_packages`: directories that somebody filled by hand."""

    signs: tuple[Sign, ...]
    evidence: Mapping[str, float]
    names: Mapping[str, float] = field(default_factory=dict)
    unexplained: tuple[str, ...] = ()
    beside_packages: tuple[str, ...] = ()


@lru_cache(maxsize=200_000)
def head(name: str) -> str:
    """The software that a package, unit or process name is about, without versions, architecture and collections."""
    plain = UNIT.sub("", ARCHITECTURE.sub("", name.strip().lower()))
    plain = COLLECTION.sub("", plain)
    shorter = VERSION.sub("", plain)
    return shorter if len(shorter) > 1 and not shorter.endswith("-") else plain


@lru_cache(maxsize=200_000)
def meaning(name: str) -> tuple[tuple[tuple[str, float], ...], bool]:
    """((trade, 0..1), ...) of a name, and whether our own words (not Debian's metadata) say so."""
    plain = ARCHITECTURE.sub("", UNIT.sub("", name.strip().lower()))
    if SHARED.match(plain):
        return (), False
    attached = 1.0
    for candidate in _names(plain):
        if isinstance(candidate, float):
            attached = candidate
            continue
        own = _own(candidate) or _of_language(candidate)
        if own and attached == 1.0 and candidate not in _words()[0] and _hangs_on(candidate):
            attached = ATTACHED  # "nginx-doc" meets "nginx-*" and is not nginx for that
        if own:
            return _with_development(plain, own, attached), True
        derived = of_debian().get(candidate)
        if derived and not EVERYWHERE.match(plain):
            return _with_development(plain, {t: w * DERIVED for t, w in derived.items()}, attached), False
    if DEVELOPED.search(plain) and not EVERYWHERE.match(plain):
        return (("development", 0.35),), False
    return (), False


def _names(plain: str):
    """The name itself, then ever shorter ones; a number says what a name from here on counts."""
    yield plain
    bare = head(plain)
    yield bare
    for begin, forms in ELSEWHERE.items():
        if bare.startswith(begin):
            meant = [form.format(bare.removeprefix(begin)) for form in forms]
            yield from sorted(
                meant, key=lambda name: name not in of_debian()
            )  # what Debian knows comes first
    rest = bare
    while PARTS.search(rest):
        rest = PARTS.sub("", rest)
        yield rest
    if _hangs_on(rest):
        yield ATTACHED
        while _hangs_on(rest) or PARTS.search(rest):
            rest = PARTS.sub("", DEVELOPED.sub("", ATTACHMENTS.sub("", rest)))
            yield rest


def _hangs_on(name: str) -> bool:
    return bool(DEVELOPED.search(name) or ATTACHMENTS.search(name))


def _with_development(plain: str, found: Mapping[str, float], attached: float):
    special = any(trade not in GENERAL and weight >= 0.5 for trade, weight in found.items())
    weighed = {
        trade: weight * attached * (BEHIND if special and trade in GENERAL else 1)
        for trade, weight in found.items()
    }
    if DEVELOPED.search(plain):
        weighed["development"] = max(0.35, weighed.get("development", 0))
    if native(plain):
        weighed = {
            trade: weight * (0.5 if trade == "office" else NATIVE) for trade, weight in weighed.items()
        }
    return tuple(weighed.items())


def native(name: str) -> bool:
    """On machines of any trade: by the installer, or by habit."""
    return name in of_images() or head(name) in BASE_PRIORITY


@cache
def _words() -> tuple[dict[str, dict[str, float]], dict[str, list[tuple[str, str, float]]]]:
    """Exact names; and `begin*` names under their first two letters."""
    exact: dict[str, dict[str, float]] = {}
    beginnings: dict[str, list[tuple[str, str, float]]] = {}
    for trade in trades().values():
        for name, weight in trade.software.items():
            if "*" in name:
                begin = name.lower().partition("*")
                beginnings.setdefault(begin[0][:2], []).append((name.lower(), trade.name, weight))
            else:
                exact.setdefault(name.lower(), {})[trade.name] = weight
    return exact, beginnings


@lru_cache(maxsize=100_000)
def _own(name: str) -> dict[str, float]:
    """Trade → weight: of the name itself, and of the longest beginning in each trade that does not name it."""
    exact, beginnings = _words()
    longest: dict[str, tuple[int, float]] = {}
    for pattern, trade, weight in beginnings.get(name[:2], ()):
        begin, _, end = pattern.partition("*")
        if not (name.startswith(begin) and name.endswith(end)):
            continue
        if (
            len(begin) < 5
            and not begin.endswith(("-", "_"))
            and name[len(begin) :][:1] not in ("", "-", "_", ".")
        ):
            continue  # "rt*" must not mean "rtkit"
        longest[trade] = max(longest.get(trade, (0, 0.0)), (len(pattern), weight))
    return {trade: weight for trade, (_, weight) in longest.items()} | exact.get(name, {})


def _of_language(name: str) -> dict[str, float]:
    """`python3-pandas` is pandas; only for names that we know in full."""
    begin = LANGUAGE_NAME.match(name)
    return _words()[0].get(name[begin.end() :], {}) if begin else {}


def workload(facts: Facts) -> Workload:
    """What this machine is for, as far as its software tells. Pure: the same facts, the same answer."""
    known_purpose = any(package.on_purpose for package in facts.packages)
    alone = frozenset() if known_purpose else nobody_brought(package.name for package in facts.packages)
    signs: dict[str, Sign] = {}
    unexplained = []
    for package in facts.packages:
        sign = _of_package(package.name, package.on_purpose if known_purpose else None, alone)
        if sign:
            _keep(signs, sign)
        elif package.on_purpose and _is_telling(package.name):
            unexplained.append(package.name)
    for sign in (*_of_services(facts), *_of_ports(facts), *_of_extras(facts)):
        _keep(signs, sign)
    found = tuple(sorted(signs.values(), key=lambda sign: (-sign.weight, sign.name)))
    return Workload(
        signs=found,
        evidence=_evidence(found),
        names=_names_of(facts, found),
        unexplained=tuple(sorted(unexplained)),
        beside_packages=_beside(facts),
    )


def _keep(signs: dict[str, Sign], sign: Sign) -> None:
    """One sign per head: what runs adds to what is installed."""
    about = head(sign.name)
    old = signs.get(about)
    if old is None:
        signs[about] = sign
        return
    together = {t: max(old.trades.get(t, 0), sign.trades.get(t, 0)) for t in {*old.trades, *sign.trades}}
    more = 1.25 if old.told != sign.told else 1.0
    first = old if old.weight >= sign.weight else sign
    told = first.told if old.told == sign.told else f"{old.told}, {sign.told}"
    signs[about] = Sign(
        first.name, max(old.weight, sign.weight), {t: w * more for t, w in together.items()}, told
    )


def nobody_brought(names: Iterable[str]) -> frozenset[str]:
    """Those of the packages of one machine that no other one of them depends on or recommends, as far as is known."""
    by_head = {name: head(name) for name in names}
    heads = set(by_head.values())
    families = {each[: at + 1] for each in heads for at, sign in enumerate(each) if sign == "-"}
    return frozenset(name for name, plain in by_head.items() if not _brought(plain, heads, families))


def _brought(plain: str, heads: set[str], families: set[str]) -> bool:
    parents, of_family = brought_by().get(plain, (frozenset(), ()))
    if not parents.isdisjoint(heads):
        return True
    return any(
        family in families and (not plain.startswith(family) or _has_kin(plain, family, heads))
        for family in of_family
    )


def _has_kin(plain: str, family: str, heads: set[str]) -> bool:
    return any(each != plain and each.startswith(family) for each in heads)


def _of_package(name: str, manual: bool | None, alone: frozenset[str]) -> Sign | None:
    means, own = meaning(name)
    if not means:
        return None
    everywhere = EVERYWHERE.match(name) or LIBRARY.match(name)
    if manual:
        weight, told = ON_PURPOSE, "installed on purpose"
    elif manual is None and name in alone:
        weight, told = (
            (UNTOLD_NAMED if own else UNTOLD_DERIVED),
            "installed, and nothing here brings it along",
        )
        weight *= 0.2 if everywhere or native(name) else 1
    elif own and not everywhere:
        weight, told = CAME_ALONG, "came along"
        means = [(trade, each * (IN_PASSING if trade in GENERAL else 1)) for trade, each in means]
    else:
        return None
    return Sign(name, weight, {trade: each * weight for trade, each in means}, told)


def _of_services(facts: Facts) -> Iterable[Sign]:
    for service in facts.services:
        means, own = meaning(service.name)
        if service.enabled and means and own:
            yield Sign(
                head(service.name), RUNNING, {t: w * RUNNING for t, w in means}, "starts with the machine"
            )


def _of_ports(facts: Facts) -> Iterable[Sign]:
    for each in facts.listening:
        if each.address.startswith(HOME):
            continue
        means, name = dict(meaning(each.service)[0]), each.service
        if not means and each.port in WELL_KNOWN_PORTS:
            means, name = {WELL_KNOWN_PORTS[each.port]: 1.0}, f"port {each.port}"
        if means:
            told = f"listens on port {each.port}"
            yield Sign(name, REACHED, {t: w * REACHED for t, w in means.items()}, told)


def _of_extras(facts: Facts) -> Iterable[Sign]:
    """Software beside the package manager: a name below /opt or /srv, an image of a container."""
    for directory in facts.extras.directories:
        name = directory.path.rstrip("/").rpartition("/")[2]
        means, own = meaning(name)
        if means and own and directory.entries:
            trades_of = {trade: weight * BESIDE_PACKAGES for trade, weight in means}
            yield Sign(name, BESIDE_PACKAGES, trades_of, f"lies in {directory.path}")
        elif directory.path.startswith("/var/www/") and directory.entries:
            yield Sign(directory.path, BESIDE_PACKAGES, {"web": BESIDE_PACKAGES}, "a site of a web server")
    for path in facts.extras.compose_files:
        yield Sign(path, BESIDE_PACKAGES, {"container": BESIDE_PACKAGES}, "describes containers")
    for each in facts.extras.containers:
        yield Sign(
            each.name, BESIDE_PACKAGES, {"container": BESIDE_PACKAGES}, f"is a {each.engine} container"
        )


def _beside(facts: Facts) -> tuple[str, ...]:
    """What was put on the disk by hand and says nothing to us."""
    named = [
        (each.path, meaning(each.path.rpartition("/")[2]))
        for each in facts.extras.directories
        if each.entries
    ]
    return tuple(path for path, (_, own) in named if not own)


def _is_telling(name: str) -> bool:
    known = EVERYWHERE.match(name) or native(name)
    return not known and (not LIBRARY.match(name) or bool(meaning(name)[0]))


def _evidence(signs: Iterable[Sign]) -> dict[str, float]:
    """Each further sign of a trade adds less (a logarithm), each further one of the same family far less: 30 parts of
    an office suite are one office suite."""
    total: dict[str, float] = {}
    families: dict[tuple[str, str], int] = {}
    for sign in signs:
        family = _family(sign)
        for trade, weight in sign.trades.items():
            seen = families.get((trade, family), 0)
            families[trade, family] = seen + 1
            total[trade] = total.get(trade, 0) + weight * 0.5**seen
    total = {trade: math.log1p(weight) for trade, weight in sorted(total.items())}
    return {trade: weight * _behind(trade, total) for trade, weight in total.items()}


def _family(sign: Sign) -> str:
    """Fifty libraries of a language that somebody asked for are fifty choices; that came along, they are one."""
    plain = head(sign.name)
    if LANGUAGE.match(plain) and sign.weight >= ON_PURPOSE:
        return plain
    return re.split(r"[-_.]", plain)[0]


def _behind(trade: str, total: Mapping[str, float]) -> float:
    """How much of a trade is left when others on this machine are what it is there for."""
    served = max((total.get(other, 0) for other in trades()[trade].behind), default=0)
    if not served:
        return 1.0
    return 1 - (1 - BEHIND) * min(1.0, 2 * served / (served + total[trade])) ** 2


def without(found: Workload, names: Iterable[str]) -> Workload:
    """The same machine, had it not this software: for "it would be … without …"."""
    gone = {head(name) for name in names}
    left = tuple(sign for sign in found.signs if head(sign.name) not in gone)
    kept = {name: weight for name, weight in found.names.items() if name not in gone}
    return replace(found, signs=left, evidence=_evidence(left), names=kept)


def _names_of(facts: Facts, signs: Iterable[Sign]) -> dict[str, float]:
    found = {head(sign.name): sign.weight for sign in signs if _is_telling(sign.name)}
    for package in facts.packages:
        if package.on_purpose and _is_telling(package.name):
            found[head(package.name)] = ON_PURPOSE
    for service in facts.services:
        if service.enabled and service.kind == "service" and _is_telling(service.name):
            found.setdefault(head(service.name), RUNNING)
    return found
