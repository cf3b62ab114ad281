"""What changed on a machine between two scans."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass

from analyzer.domain.facts import Facts

MOST_TOLD = 500


@dataclass(frozen=True)
class Change:
    """`before` is empty for what is new, `after` for what is gone."""

    area: str  # "system", "kernel", "software", "services", "ports", "file systems", "containers", "size"
    name: str
    before: str
    after: str

    def __str__(self) -> str:
        if self.area == "kernel":
            return f"{self.name} {self.before or 'none'} → {self.after or 'none'}"
        if not self.before:
            return f"{self.name} {self.after} added" if self.area == "software" else f"{self.name} added"
        if not self.after:
            return f"{self.name} removed"
        return f"{self.name} {self.before} → {self.after}"

    def as_dict(self) -> dict[str, str]:
        return asdict(self) | {"text": str(self)}


def changes(before: Facts, after: Facts) -> list[Change]:
    """In the order of AREAS; an area that either scan could not read says nothing."""
    found = []
    for area, needs, told in AREAS:
        if all(facts.covered(needs).state != "none" for facts in (before, after)):
            found += _different(area, told(before), told(after))
    return found[:MOST_TOLD]


def _different(area: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterable[Change]:
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name, ""), after.get(name, "")
        if old != new:
            yield Change(area, name, old, new)


def _system(facts: Facts) -> dict[str, str]:
    return {"distribution": facts.os.pretty_name or facts.os.id, "host name": facts.hostname}


def _kernels(facts: Facts) -> dict[str, str]:
    told = {"started by default": facts.default_kernel.version} if facts.default_kernel else {}
    return told | ({"running": facts.running.kernel} if facts.running else {})


def _packages(facts: Facts) -> dict[str, str]:
    """Several versions of one name (kernels of an RPM system, two architectures) are told together."""
    versions: dict[str, set[str]] = {}
    for package in facts.packages:
        versions.setdefault(package.name, set()).add(package.version)
    return {name: ", ".join(sorted(each)) for name, each in versions.items()}


def _services(facts: Facts) -> dict[str, str]:
    return {service.name: service.state for service in facts.services}


def _ports(facts: Facts) -> dict[str, str]:
    where: dict[str, set[str]] = {}
    for each in facts.listening:
        where.setdefault(f"{each.port}/{each.protocol}", set()).add(f"{each.service} on {each.address}")
    return {port: ", ".join(sorted(each)) for port, each in where.items()}


def _mounts(facts: Facts) -> dict[str, str]:
    return {each.mount_point: each.kind for each in facts.filesystems if each.mount_point}


def _containers(facts: Facts) -> dict[str, str]:
    return {each.name: each.image for each in facts.extras.containers}


def _size(facts: Facts) -> dict[str, str]:
    running = facts.running
    if running is None:
        return {}
    return {
        "vCPUs": str(running.vcpus or ""),
        "memory": f"{running.memory_mib} MiB" if running.memory_mib else "",
    }


AREAS: tuple[tuple[str, str, Callable[[Facts], Mapping[str, str]]], ...] = (
    ("system", "os", _system),
    ("kernel", "kernels", _kernels),
    ("software", "packages", _packages),
    ("services", "services", _services),
    ("ports", "listening", _ports),
    ("file systems", "filesystems", _mounts),
    ("containers", "extras", _containers),
    ("size", "os", _size),
)
