"""Does the machine do what it is for? Asked through its forwarded ports and, where that cannot tell, inside the guest.

A user-mode network accepts every connection on our side and drops it when the guest refuses: so a TCP check wants the
connection to stay open, or to say something, and the port to be listened on in the guest.
"""

import http.client
import socket
import time
from collections.abc import Callable
from typing import Any

from migrations_engine.domain.machine import MachineRef
from migrations_engine.domain.verification import Row, Verdict
from migrations_engine.targets.base import AgentUnavailable, KeepAlive, Target

PATIENCE_S = 60  # a service may still be starting when the guest answers
PAUSE_S = 2
CONNECT_S = 10
HOLD_S = 1.5  # an unwanted connection is dropped within milliseconds
AGENT_S = 30
LISTENING = """#!/bin/sh
# state 0A is LISTEN; the local address ends with the port in hex
cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk -v port=$(printf '%04X' {port}) \
'$4 == "0A" {{ n = split($2, a, ":"); if (a[n] == port) print a[1] }}'
exit 0
"""
LOOPBACK = ("0100007F", "00000000000000000000000001000000")


def check(target: Target, ref: MachineRef, wanted: dict[str, Any], keep_alive: KeepAlive) -> Row:
    """One row of the verification table; tries again for a minute before it says fail."""
    look = LOOKS[wanted["kind"]]
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            row = look(target, ref, wanted, keep_alive)
        except AgentUnavailable as error:
            row = _row(wanted, "an answer from inside the guest", str(error), False)
        if row.verdict == Verdict.PASS or time.monotonic() > deadline:
            return row
        keep_alive()
        time.sleep(PAUSE_S)


def _tcp(target, ref, wanted, keep_alive) -> Row:
    port = wanted["port"]
    addresses = target.run(ref, LISTENING.format(port=port), AGENT_S, keep_alive=keep_alive).stdout.split()
    asked = "accepts connections"
    if not addresses:
        return _row(wanted, asked, f"nothing in the guest listens on {port}", False)
    if all(address in LOOPBACK for address in addresses):
        return _row(wanted, asked, f"only the guest's own loopback listens on {port}", False)
    return _row(wanted, asked, *_connect(ref.forwards.get(f"tcp/{port}")))


def _connect(host_port: int | None) -> tuple[str, bool]:
    if host_port is None:
        return "listening in the guest; the port is not forwarded", True
    try:
        with socket.create_connection(("127.0.0.1", host_port), timeout=CONNECT_S) as connection:
            connection.settimeout(HOLD_S)
            if connection.recv(1) == b"":
                return f"127.0.0.1:{host_port} hangs up at once", False
    except TimeoutError:
        pass  # it stays open and waits for us to speak: that is what most services do
    except OSError as error:
        return f"127.0.0.1:{host_port}: {error.strerror or error}", False
    return f"answers on 127.0.0.1:{host_port}", True


def _http(target, ref, wanted, keep_alive) -> Row:
    port, path, status = wanted.get("port", 80), wanted.get("path", "/"), wanted.get("status", 200)
    asked = f"GET {path} answers {status}"
    host_port = ref.forwards.get(f"tcp/{port}")
    if host_port is None:
        return _row(wanted, asked, f"port {port} is not forwarded", False)
    connection = http.client.HTTPConnection("127.0.0.1", host_port, timeout=CONNECT_S)
    try:
        connection.request("GET", path, headers={"Host": ref.name or "localhost", "Connection": "close"})
        found = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return _row(wanted, asked, f"127.0.0.1:{host_port}: {error or type(error).__name__}", False)
    finally:
        connection.close()
    return _row(wanted, asked, f"{found} on 127.0.0.1:{host_port}", found == status)


def _unit(target, ref, wanted, keep_alive) -> Row:
    result = target.run(
        ref, f"#!/bin/sh\nsystemctl is-active -- '{wanted['unit']}'\n", AGENT_S, keep_alive=keep_alive
    )
    found = result.stdout.strip() or result.stderr.strip() or f"exit code {result.exit_code}"
    return _row(wanted, "active", found, result.exit_code == 0)


def _row(wanted: dict[str, Any], asked: str, found: str, holds: bool) -> Row:
    name = "/".join(str(wanted[key]) for key in ("port", "path", "unit") if key in wanted)
    return Row(
        f"acceptance {wanted['kind']} {name}",
        asked,
        found,
        Verdict.PASS if holds else Verdict.FAIL,
        wanted["kind"],
    )


LOOKS: dict[str, Callable[..., Row]] = {"tcp": _tcp, "http": _http, "systemd_unit": _unit}
