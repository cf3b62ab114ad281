"""Ports that a running machine listens on, as `ss -H -l -n -t -u -p` tells them."""

import re

from analyzer.domain.listening import DAEMONS, split_address

_PROCESS = re.compile(r'users:\(\("([^"]+)",pid=(\d+)')
_STATES = {"tcp": "LISTEN", "udp": "UNCONN"}
# programs whose names differ from those of their units
_PROGRAMS = {
    "postgres": "postgresql", "mysqld": "mysql", "mariadbd": "mysql", "master": "postfix", "java": "java",
    "beam.smp": "rabbitmq", "httpd": "apache", "apache2": "apache", "sshd": "ssh",
}  # fmt: skip
SERVICES = {unit.rstrip("@-*"): daemon.service for daemon in DAEMONS for unit in daemon.units} | _PROGRAMS


def listening(lines: list[str]) -> list[dict]:
    """In the shape of facts.Listening, each port of an address once. A name that no process told is the port's."""
    found: dict[tuple, dict] = {}
    for line in lines:
        words = line.split()
        if len(words) < 5 or _STATES.get(words[0]) != words[1]:
            continue
        address, port = split_address(words[4].replace("%", " ").split()[0] + _port_of(words[4]))
        if port:
            row = _row(words[0], address, port, line)
            found.setdefault((port, words[0], address), row)
    return [found[key] for key in sorted(found)]


def _port_of(local: str) -> str:
    """The port again where an address carries its card: "127.0.0.53%lo:53"."""
    return ":" + local.rpartition(":")[2] if "%" in local else ""


def _row(protocol: str, address: str, port: int, line: str) -> dict:
    process = _PROCESS.search(line)
    name = process[1] if process else f"port {port}"
    evidence = f"observed: {name}, pid {process[2]}" if process else "observed"
    return {
        "port": port,
        "protocol": protocol,
        "service": SERVICES.get(name, name),
        "address": address,
        "evidence": evidence,
    }
