"""QEMU's user-mode network, which takes every connection to a forward before the guest has been asked for it."""

import re
from pathlib import Path

from migrations_engine.targets.qemu import qmp

# "  TCP[ESTABLISHED]  19  127.0.0.1 40080  10.0.2.15 80  0 0"; SYN_SENT in its place: the guest has not answered yet
TAKEN = re.compile(r"^\s*TCP\[ESTABLISHED\]\s+\d+\s+\S+\s+(\d+)\s", re.MULTILINE)


def is_taken(qmp_socket: Path, host_port: int) -> bool:
    """Whether the guest has answered a connection that is open at this forward. Raises WireClosed, MachineFailed."""
    told = qmp.ask(qmp_socket, "human-monitor-command", **{"command-line": "info usernet"})
    return str(host_port) in TAKEN.findall(told)
