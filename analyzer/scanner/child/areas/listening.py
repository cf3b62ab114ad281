"""Ports from the configuration of services that are switched on. Needs the services read before."""

import fnmatch

from analyzer.domain.listening import DAEMONS, Daemon, split_address
from analyzer.domain.systemd_units import listens
from analyzer.scanner.child.areas.services import unit_files
from analyzer.scanner.child.notes import Notes
from analyzer.scanner.child.tree import Tree

MOST_PORTS = 1_000


def read(tree: Tree, facts: dict, notes: Notes) -> None:
    enabled = {each["name"] for each in facts.get("services", ()) if each["enabled"]}
    rows = [row for daemon in DAEMONS if _switched_on(daemon, enabled) for row in _rows(tree, daemon)]
    rows += _sockets(tree, enabled)
    unique = {(row["port"], row["protocol"], row["address"], row["service"]): row for row in reversed(rows)}
    found = sorted(
        unique.values(), key=lambda row: (row["port"], row["protocol"], row["service"], row["address"])
    )
    facts["listening"] = found[:MOST_PORTS]
    notes.full("listening")


def _switched_on(daemon: Daemon, enabled: set[str]) -> bool:
    plain = {name.removesuffix(".service").removesuffix(".socket") for name in enabled}
    return any(fnmatch.filter(plain, f"{unit}*" if unit.endswith("@") else unit) for unit in daemon.units)


def _rows(tree: Tree, daemon: Daemon) -> list[dict]:
    rows = []
    for pattern in daemon.files:
        for path in tree.glob(pattern) if "*" in pattern else (pattern,):
            text = tree.text(path)
            for line, protocol, address, port in daemon.parse(text) if text else ():
                rows.append(_row(port, protocol, daemon.service, address, f"{path}:{line}" if line else path))
    if not rows and (not daemon.program or tree.is_file(daemon.program)):
        evidence = f"default port of {daemon.service}"
        rows = [
            _row(port, protocol, daemon.service, address, evidence)
            for protocol, address, port in daemon.defaults
        ]
    return rows


def _sockets(tree: Tree, enabled: set[str]) -> list[dict]:
    rows = []
    units = unit_files(tree) if any(name.endswith(".socket") for name in enabled) else {}
    for name in sorted(set(units) & enabled):
        if name.endswith(".socket"):
            for protocol, value in listens(units[name].text):
                address, port = split_address(value)
                if port:
                    service = name.removesuffix(".socket")
                    rows.append(_row(port, protocol, service, address, f"{units[name].directory}/{name}"))
    return rows


def _row(port: int, protocol: str, service: str, address: str, evidence: str) -> dict:
    return {"port": port, "protocol": protocol, "service": service, "address": address, "evidence": evidence}
