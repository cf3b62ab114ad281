"""What a scan finds on the way that a person should know of this workload: end of support, kernels, disks that fill,
software that is licensed by machine or core, databases that everybody can reach. Nothing here blocks a move."""

import re
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from itertools import combinations
from statistics import median

from analyzer.domain.end_of_life import end_of_life
from analyzer.domain.facts import Concern, Facts

SOON = timedelta(days=180)  # as long as a company needs for an upgrade
FULL, NEARLY_FULL = 0.95, 0.85
FILLS_WITHIN_DAYS = 60
LEAST_SCANS, LEAST_DAYS = 3, 2.0  # a trend of less is chance
# What makers count. By package, by directory of its own, by process; the last is found only on a running machine.
# On Windows by the names of its list of programs, of which clients and tools begin alike.
LICENSED = (
    (
        "Oracle Database",
        r"oracle-(?:database|xe|ee|se2).*|oracle database (?:\d+\w*|xe|express|standard|enterprise)\b(?!.*client).*",
        r"/(?:opt|u01)/(?:app/)?oracle\b.*",
        r"ora_pmon_.*|tnslsnr",
    ),
    (
        "Microsoft SQL Server",
        r"mssql-server.*|microsoft sql server \d{4}(?: r2)?(?: \((?:64|32)-bit\))?"
        r"|sql server \d{4}(?: r2)? database engine.*",
        r"/opt/mssql\b.*",
        r"sqlservr",
    ),
    (
        "IBM Db2",
        r"(?:ibm-)?db2(?:-.*)?|(?:ibm )?db2 (?:.*\b(?:server|express)\b.*|copy\b.*)",
        r"/opt/ibm/db2\b.*",
        r"db2sysc",
    ),
    (
        "IBM WebSphere",
        r"(?:ibm-)?websphere.*|ibm websphere (?:application server|mq)\b(?!.*client).*",
        r"/opt/ibm/websphere\b.*",
        r"",
    ),
    ("Oracle WebLogic", r"(?:oracle[ -])?weblogic.*", r"/opt/(?:oracle/)?weblogic\b.*", r""),
    (
        "SAP HANA or NetWeaver",
        r"sap-hana.*|saphostagent|sap (?:hana (?:database|server)|netweaver)\b(?!.*client).*",
        r"/(?:opt|usr)/sap\b.*",
        r"hdbnameserver|disp\+work",
    ),
    ("Splunk", r"splunk(?:-enterprise)?", r"/opt/splunk\b.*", r"splunkd"),
    ("Veritas InfoScale", r"vrts.*|veritas infoscale.*", r"/opt/vrts.*", r""),
    ("MATLAB", r"matlab.*", r"/opt/matlab\b.*", r"matlab"),
)
DATABASES = {
    1433: "SQL Server", 1521: "Oracle", 2375: "Docker without TLS", 3306: "MySQL", 5432: "PostgreSQL", 5984: "CouchDB",
    6379: "Redis", 9042: "Cassandra", 9200: "Elasticsearch", 11211: "memcached", 27017: "MongoDB",
}  # fmt: skip

Used = Sequence[tuple[float, int, int]]  # (days since 1970, used bytes, size in bytes), ascending


def workload_concerns(
    facts: Facts, *, today: date, kernels_nearby: Iterable[str] = (), used: dict[str, Used] | None = None
) -> list[Concern]:
    """`kernels_nearby`: of machines of the same distribution in the same department. `used`: of each mount point over
    time, the present scan last."""
    return [
        *_end_of_life(facts, today),
        *_kernels(facts, kernels_nearby),
        *_filling(used or {}),
        *_licensed(facts),
        *_open_databases(facts),
    ]


def _end_of_life(facts: Facts, today: date) -> Iterable[Concern]:
    found = end_of_life(facts.os.id, facts.os.version)
    if found is None or found[0] - today > SOON:
        return
    name, (end, source) = facts.os.pretty_name or f"{facts.os.id} {facts.os.version}", found
    if end < today:
        text = f"{name} has had no security updates since {end} ({source}): upgrade it, or buy its extended support."
        yield Concern(severity="warning", code="end_of_life", text=text)
    else:
        text = f"{name} gets security updates until {end} ({source}): plan its upgrade."
        yield Concern(severity="information", code="end_of_life_soon", text=text)


def natural(version: str) -> list:
    """Sorts 6.1.0-9 before 6.1.0-41."""
    return [
        (1, int(part), "") if part.isdecimal() else (0, 0, part)
        for part in re.findall(r"\d+|\D+", version[:256])
    ]


def flavour(kernel: str) -> str:
    """ "cloud-amd64" of "6.1.0-44-cloud-amd64", "el9.x86_64" of "5.14.0-570.el9.x86_64"."""
    found = re.search(r"[-.]([a-z][\w.-]*)$", kernel)
    return re.sub(r"(?<=[a-z])\d+_\d+", "", found[1]) if found else ""


def _kernels(facts: Facts, nearby: Iterable[str]) -> Iterable[Concern]:
    installed = sorted((kernel.version for kernel in facts.kernels), key=natural)
    running = facts.running.kernel if facts.running else ""
    newest = installed[-1] if installed else ""
    if running in installed and natural(running) < natural(newest):
        text = f"It runs kernel {running}, although {newest} is installed: it starts with the next boot, so test that."
        yield Concern(severity="warning", code="kernel_not_running", text=text)
    same = [each for each in nearby if newest and flavour(each) == flavour(newest)]
    best = max(same, key=natural, default="")
    if best and natural(best) > natural(newest):
        text = f"Its newest kernel is {newest}; other machines with the same distribution here have {best}."
        yield Concern(severity="warning", code="kernel_outdated", text=text)


def _filling(used: dict[str, Used]) -> Iterable[Concern]:
    for mount_point, history in sorted(used.items()):
        _, now, size = history[-1]
        share = now / size if size else 0.0
        days = days_until_full(history)
        if share >= FULL:
            text = f"{mount_point} is {share:.0%} full: make room, or give it a larger disk in the move."
            yield Concern(severity="warning", code="disk_full", text=text)
        elif days is not None and days <= FILLS_WITHIN_DAYS:
            text = f"{mount_point} is {share:.0%} full and will be full in about {max(1, round(days))} days."
            yield Concern(severity="warning", code="disk_filling", text=text)
        elif share >= NEARLY_FULL:
            text = f"{mount_point} is {share:.0%} full."
            yield Concern(severity="information", code="disk_nearly_full", text=text)


def days_until_full(history: Used) -> float | None:
    """By the median slope between the scans (Theil and Sen): one large file, deleted since, is no trend. None: it does
    not grow, or too few scans tell."""
    if len(history) < LEAST_SCANS or history[-1][0] - history[0][0] < LEAST_DAYS:
        return None
    pairs = combinations(history, 2)
    slopes = [
        (later[1] - earlier[1]) / (later[0] - earlier[0]) for earlier, later in pairs if later[0] > earlier[0]
    ]
    slope = median(slopes) if slopes else 0.0
    _, now, size = history[-1]
    return (size - now) / slope if slope > 0 else None


def _licensed(facts: Facts) -> Iterable[Concern]:
    packages = [package.name.lower() for package in facts.packages]
    directories = [directory.path.lower() for directory in facts.extras.directories]
    processes = [name.lower() for name in facts.running.processes] if facts.running else []
    for product, package, directory, process in LICENSED:
        seen = _first(package, packages) or _first(directory, directories) or _first(process, processes)
        if seen:
            where = f"{product} ({seen}) is licensed by machine or core"
            text = f"{where}: ask whether the licence allows the new place and size."
            yield Concern(severity="warning", code="licence", text=text)


def _first(pattern: str, names: list[str]) -> str:
    return next((name for name in names if pattern and re.fullmatch(pattern, name)), "")


def _open_databases(facts: Facts) -> Iterable[Concern]:
    told = {each.port for each in facts.listening if each.protocol == "tcp" and each.address == "*"}
    for port in sorted(told & DATABASES.keys()):
        where = f"{DATABASES[port]} listens on port {port} of every address"
        text = f"{where}: let in only who needs it, with a security group."
        yield Concern(severity="warning", code="open_database", text=text)
