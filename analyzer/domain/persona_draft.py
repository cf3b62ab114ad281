"""A persona drafted from a machine: what the next one of its kind should be like. A person reads and mends it."""

import math
import re

from analyzer.domain.facts import Facts, Package
from analyzer.domain.recommend import HOME, QUIET_SECTIONS, TRADES, Size, section_of
from analyzer.domain.software_names import ORDINARY
from analyzer.domain.usage import Summary

HEADROOM = 1.3  # over the 95th percentile: room to grow before the next look
MOST_HINTS, MOST_PACKAGES, MOST_CHECKS = 20, 12, 5
PACKAGE_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9+._:-]{0,127}$")
DISTRIBUTION = re.compile(r"^[a-z][a-z0-9._-]{0,31}$")
VERSION = re.compile(r"^[0-9A-Za-z][0-9A-Za-z._-]{0,31}$")
UNIT = re.compile(r"^[A-Za-z0-9@._:-]{1,127}$")


def persona_draft(facts: Facts, *, name: str, size: Size, usage: dict[str, Summary]) -> dict:
    """{"name", "description", "hints", "settings"} as personas.services.persona_document.persona_import takes it."""
    chosen = _chosen(facts)
    words = facts.os.pretty_name or facts.os.id or "an unknown system"
    about = f", with {', '.join(p.name for p in chosen[:3])}" if chosen else ""
    return {
        "name": f"Like {name}"[:80],
        "description": f"Drafted from {name}: {words}{about}."[:400],
        "hints": [package.name for package in chosen[:MOST_HINTS]],
        "settings": _settings(facts, chosen, size, usage),
    }


def _chosen(facts: Facts) -> list[Package]:
    """What somebody asked for: what runs as a service, then what has a trade; without such, all of it."""
    running = {service.name.split(".")[0].split("@")[0] for service in facts.services if service.enabled}
    asked = [
        package
        for package in facts.packages
        if package.on_purpose is not False
        and section_of(package) not in QUIET_SECTIONS
        and PACKAGE_NAME.match(package.name)
        and not ORDINARY.match(package.name)
        and (package.on_purpose or _runs(package, running))
    ]
    asked.sort(key=lambda package: package.name)
    running_first = [package for package in asked if _runs(package, running)]
    trades = [package for package in asked if package not in running_first and section_of(package) in TRADES]
    return running_first + trades or asked  # the rest says little where there is better


def _runs(package: Package, running: set[str]) -> bool:
    return any(package.name == unit or package.name.startswith(f"{unit}-") for unit in running)


def _settings(facts: Facts, chosen: list[Package], size: Size, usage: dict[str, Summary]) -> dict:
    settings = {
        "schema_version": 1,
        "distribution": _distribution(facts),
        "packages": [package.name for package in chosen[:MOST_PACKAGES] if package.on_purpose],
        "resources": _resources(size, usage),
        "acceptance_checks": _checks(facts, chosen),
    }
    return {key: value for key, value in settings.items() if value}


def _distribution(facts: Facts) -> dict:
    if not DISTRIBUTION.match(facts.os.id):
        return {}
    version = {"version": facts.os.version} if VERSION.match(facts.os.version) else {}
    return {"name": facts.os.id, **version, "intent": "prefer"}


def _resources(size: Size, usage: dict[str, Summary]) -> dict:
    """As it is, or smaller where enough was measured to say so (three stars: most of three days)."""
    found = {
        "vcpus": _fitting(size.vcpus, usage.get("cpu_percent"), step=1, least=1),
        "memory_mib": _fitting(size.memory_mib, usage.get("memory_percent"), step=256, least=512),
        "root_disk_gib": size.disk_bytes and math.ceil(size.disk_bytes / 2**30),
    }
    return {key: value for key, value in found.items() if value}


def _fitting(has: int | None, seen: Summary | None, *, step: int, least: int) -> int | None:
    if not has or not seen or seen.stars < 3:
        return has
    needs = math.ceil(has * seen.p95 / 100 * HEADROOM / step) * step
    return min(has, max(least, needs))


def _checks(facts: Facts, chosen: list[Package]) -> list[dict]:
    units = [
        {"kind": "systemd_unit", "unit": service.name}
        for service in facts.services
        if service.enabled
        and service.kind == "service"
        and UNIT.match(service.name)
        and "@" not in service.name
        and any(_runs(package, {service.name.split(".")[0]}) for package in chosen)
    ]
    ports = {each.port for each in facts.listening if each.protocol == "tcp" and not each.address.startswith(HOME)}
    return [*units[:MOST_CHECKS], *({"kind": "tcp", "port": port} for port in sorted(ports - {22})[:MOST_CHECKS])]
