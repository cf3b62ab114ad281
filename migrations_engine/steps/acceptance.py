"""Does the machine do what it is for? Asked through its forwarded ports and, where there are none, inside the guest.

A user-mode network accepts every connection on our side, drops it when the guest refuses, and keeps it open when the
guest is silent: so a TCP check wants to hear something, or to be told that the guest has taken the connection.
"""

import base64
import http.client
import re
import socket
import time
from collections.abc import Callable
from typing import Any

from migrations_engine.domain.machine import MachineRef
from migrations_engine.domain.verification import Row, Verdict
from migrations_engine.services.events import storable
from migrations_engine.targets.base import AgentUnavailable, KeepAlive, Target
from personas.domain.checks import check_subject

PATIENCE_S = 60  # a service may still be starting when the guest answers
PAUSE_S = 2
CONNECT_S = 10
HOLD_S = 1.5  # an unwanted connection is dropped within milliseconds
AGENT_S = 30
FOUND_CHARACTERS = 200
BODY_BYTES = 256 * 1024  # of a page, where its text is looked for
ONCE = frozenset({"package", "boot_time"})  # waiting does not change them
MOUNTED = """#!/bin/sh
awk -v at='{path}' '$2 == at {{ print $1; found = 1 }} END {{ exit !found }}' /proc/self/mounts
"""
INSTALLED = """#!/bin/sh
if command -v dpkg-query >/dev/null; then
    dpkg-query -W -f '${{db:Status-Status}} ${{Version}}' '{package}' 2>/dev/null | grep '^installed'
elif command -v rpm >/dev/null; then rpm -q '{package}'
elif command -v apk >/dev/null; then apk info -e '{package}'
else echo 'no package manager that we know'; exit 3
fi
"""
STARTED_AFTER_S = """#!/bin/sh
# systemd says when the start-up was over; elsewhere the agent's own start is what we can wait for
if [ -d /run/systemd/system ]; then
    awk -v us="$(systemctl show --property=FinishTimestampMonotonic --value)" 'BEGIN { printf "%.1f", us / 1000000 }'
else
    awk '{ printf "%.1f", $22 / 100 }' "/proc/$(pidof qemu-ga | awk '{ print $1 }')/stat"
fi
"""
LISTENING = """#!/bin/sh
# state 0A is LISTEN; the local address ends with the port in hex; bit 0 of the flags: somebody has set the card up
for card in /sys/class/net/*; do
    [ "${{card##*/}}" = lo ] || [ $(($(cat "$card/flags") & 1)) = 0 ] || echo up
done
cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk -v port=$(printf '%04X' {port}) \
'$4 == "0A" {{ n = split($2, a, ":"); if (a[n] == port) print a[1] }}'
exit 0
"""
NO_WAY_TO_SPEAK = 69  # EX_UNAVAILABLE of sysexits.h
# what is said stands on stdin; an answer may be cut by the script's own bounds
SPEAK = """#!/bin/sh
ask() {{ echo '{request}' | base64 -d; }}
if command -v python3 >/dev/null; then
    ask | python3 -c 'import socket, sys
s = socket.create_connection(("127.0.0.1", {port}), {seconds})
s.sendall(sys.stdin.buffer.read())
while data := s.recv(65536): sys.stdout.buffer.write(data)'
elif command -v bash >/dev/null; then
    ask | timeout {seconds} bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}; cat >&3; cat <&3'
elif command -v nc >/dev/null; then
    (ask; sleep 1) | timeout {seconds} nc 127.0.0.1 {port}
else exit 69
fi
exit 0
"""
LOOPBACK = ("0100007F", "00000000000000000000000001000000")


def check(target: Target, ref: MachineRef, wanted: dict[str, Any], keep_alive: KeepAlive) -> Row:
    """One row of the verification table; tries again for a minute before it says fail (an advisory one: warning)."""
    look = LOOKS[wanted["kind"]]
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            row = look(target, ref, wanted, keep_alive)
        except AgentUnavailable as error:
            row = _row(wanted, "an answer from inside the guest", str(error), False)
        if row.verdict == Verdict.PASS or wanted["kind"] in ONCE or time.monotonic() > deadline:
            return row
        keep_alive()
        time.sleep(PAUSE_S)


def _tcp(target, ref, wanted, keep_alive) -> Row:
    """A connection that the guest has taken is all that is asked; what is wrong is asked inside the guest."""
    port, asked = wanted["port"], "accepts connections"
    host_port = ref.forwards.get(f"tcp/{port}")
    if host_port:
        found, holds = _connect(target, ref, host_port)
        if holds:
            return _row(wanted, asked, found, True)
    told = target.run(ref, LISTENING.format(port=port), AGENT_S, keep_alive=keep_alive).stdout.split()
    addresses = [word for word in told if word != "up"]
    if not addresses:
        return _row(wanted, asked, f"nothing in the guest listens on {port}", False)
    if all(address in LOOPBACK for address in addresses):
        return _row(wanted, asked, f"only the guest's own loopback listens on {port}", False)
    if "up" not in told:
        return _row(wanted, asked, f"listening on {port}, but no network card of the guest is up", False)
    if host_port:
        return _row(wanted, asked, found, False)
    return _row(wanted, asked, "listening in the guest; the port is not forwarded", True)


def _connect(target, ref, host_port: int) -> tuple[str, bool]:
    place = f"127.0.0.1:{host_port}"
    try:
        with socket.create_connection(("127.0.0.1", host_port), timeout=CONNECT_S) as connection:
            connection.settimeout(HOLD_S)
            return _held(connection, place, lambda: target.accepted(ref, host_port))
    except OSError as error:
        return f"{place}: {error.strerror or error}", False


def _held(connection: socket.socket, place: str, accepted: Callable[[], bool]) -> tuple[str, bool]:
    try:
        if connection.recv(1) == b"":
            return f"{place} hangs up at once", False
    except TimeoutError:  # it waits for us to speak, as most services do; or there is nobody
        if not accepted():
            return f"{place} is forwarded, and the guest does not answer there", False
    return f"answers on {place}", True


def _http(target, ref, wanted, keep_alive) -> Row:
    port, path, status = wanted.get("port", 80), wanted.get("path", "/"), wanted.get("status", 200)
    text = wanted.get("text")
    asked = f"GET {path} answers {status}" + (f" with {text!r}" if text else "")
    host_port = ref.forwards.get(f"tcp/{port}")
    place = f"127.0.0.1:{host_port}" if host_port else f"port {port}, asked inside the guest"
    try:
        if host_port:
            found, body = _get(host_port, path, ref.name or "localhost")
        else:
            found, body = _get_inside(target, ref, port, path, keep_alive)
    except (OSError, http.client.HTTPException) as error:
        return _row(wanted, asked, f"{place}: {error or type(error).__name__}", False)
    lacks = bool(text) and text not in body
    said = f"{found} on {place}" + (" without the text" if lacks else "")
    return _row(wanted, asked, said, found == status and not lacks)


def _get_inside(target, ref, port: int, path: str, keep_alive) -> tuple[int, str]:
    """Where no port of the guest is forwarded to here. Raises HTTPException."""
    request = f"GET {path} HTTP/1.0\r\nHost: {ref.name or 'localhost'}\r\nConnection: close\r\n\r\n"
    encoded = base64.b64encode(request.encode("utf-8", "replace")).decode()
    script = SPEAK.format(port=port, seconds=CONNECT_S, request=encoded)
    result = target.run(ref, script, AGENT_S, keep_alive=keep_alive)
    if result.exit_code == NO_WAY_TO_SPEAK:
        raise http.client.HTTPException("the guest has no program that could ask (nc, bash, python3)")
    head, _, body = result.stdout.replace("\r\n", "\n").partition("\n\n")
    answered = re.match(r"HTTP/1\.[01] (\d{3})", head)
    if answered is None:
        raise http.client.HTTPException("nothing in the guest answers in HTTP")
    return int(answered[1]), body


def _get(port: int, path: str, host: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=CONNECT_S)
    try:
        connection.request("GET", path, headers={"Host": host, "Connection": "close"})
        answer = connection.getresponse()
        return answer.status, answer.read(BODY_BYTES).decode("utf-8", "replace")
    finally:
        connection.close()


def _unit(target, ref, wanted, keep_alive) -> Row:
    script = f"#!/bin/sh\nsystemctl is-active -- '{wanted['unit']}'\n"
    return _answered(wanted, "active", target.run(ref, script, AGENT_S, keep_alive=keep_alive))


def _mount(target, ref, wanted, keep_alive) -> Row:
    result = target.run(ref, MOUNTED.format(path=wanted["path"]), AGENT_S, keep_alive=keep_alive)
    return _row(wanted, "mounted", result.stdout.strip() or "nothing is mounted there", result.exit_code == 0)


def _package(target, ref, wanted, keep_alive) -> Row:
    result = target.run(ref, INSTALLED.format(package=wanted["package"]), AGENT_S, keep_alive=keep_alive)
    return _row(wanted, "installed", result.stdout.strip() or "not installed", result.exit_code == 0)


def _command(target, ref, wanted, keep_alive) -> Row:
    code = wanted.get("exit_code", 0)
    script = f"#!/bin/sh\n{wanted['command']}\n"
    result = target.run(ref, script, wanted.get("timeout_s", AGENT_S), keep_alive=keep_alive)
    lines = (result.stdout.strip() or result.stderr.strip()).splitlines()
    found = f"exit code {result.exit_code}" + (f": {storable(lines[-1], FOUND_CHARACTERS)}" if lines else "")
    return _row(wanted, f"exit code {code}", found, result.exit_code == code)


def _boot_time(target, ref, wanted, keep_alive) -> Row:
    asked = f"at most {wanted['at_most_s']} s"
    result = target.run(ref, STARTED_AFTER_S, AGENT_S, keep_alive=keep_alive)
    try:
        took = float(result.stdout)
    except ValueError:
        return _row(wanted, asked, "the guest could not tell", False)
    return _row(wanted, asked, f"{took:.1f} s", took <= wanted["at_most_s"])


def _answered(wanted, asked: str, result) -> Row:
    found = result.stdout.strip() or result.stderr.strip() or f"exit code {result.exit_code}"
    return _row(wanted, asked, storable(found, FOUND_CHARACTERS), result.exit_code == 0)


def _row(wanted: dict[str, Any], asked: str, found: str, holds: bool) -> Row:
    otherwise = Verdict.FAIL if wanted.get("must_pass", True) else Verdict.WARNING
    verdict = Verdict.PASS if holds else otherwise
    return Row(f"acceptance {check_subject(wanted)}", asked, found, verdict, wanted["kind"])


LOOKS: dict[str, Callable[..., Row]] = {
    "tcp": _tcp,
    "http": _http,
    "systemd_unit": _unit,
    "mount": _mount,
    "package": _package,
    "command": _command,
    "boot_time": _boot_time,
}
