"""The only way to fetch from an address that a person has typed: no redirects, no compression, a bound on size and
time, and no address of our own network that the operator has not allowed.

The name is resolved once and the connection goes to the very address that was checked, so a name server can't answer
differently the second time.
"""

import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from personas.domain.addresses import refusal
from personas.errors import Refused

TIMEOUT_S = 20


class Unreachable(Refused):
    """The other side could not be asked, or gave an answer that is not taken."""

    status = 502


def fetch(url: str, *, most_bytes: int, timeout_s: float = TIMEOUT_S) -> bytes:
    """The body of a GET. Raises Unreachable with the reason."""
    return _guarded(url, timeout_s, lambda wire, parts: _asked(wire, parts, most_bytes))


def send(url: str, *, body: bytes, headers: Mapping[str, str], timeout_s: float = TIMEOUT_S) -> int:
    """The status that a POST is answered with, whatever it is; the answer's body is not read. Raises Unreachable."""
    return _guarded(url, timeout_s, lambda wire, parts: _answered(wire, parts, "POST", body, headers).status)


def _guarded(url: str, timeout_s: float, talk: Callable) -> Any:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
        raise Unreachable(f"{url[:200]!r} is no address of the form https://host/path.")
    try:
        wire = _connected(parts, timeout_s)
        ends = threading.Timer(timeout_s, _cut, [wire])  # a slow drip of headers or body ends as well
        ends.start()
        try:
            outcome = talk(wire, parts)
        finally:
            is_cut = ends.finished.is_set()
            ends.cancel()
            wire.close()
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Unreachable(f"{parts.hostname} does not answer: {error or type(error).__name__}.") from None
    if is_cut:
        raise Unreachable(f"{parts.hostname} takes longer than {timeout_s:.0f} s.")
    return outcome


def _connected(parts, timeout_s: float) -> socket.socket:
    port = parts.port or (443 if parts.scheme == "https" else 80)
    found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    refused = [told for *_, where in found if (told := refusal(where[0], settings.OUTBOUND_PRIVATE_NETWORKS))]
    if refused:  # one bad address is enough: a name that points to both is an attack
        raise Unreachable(f"{parts.hostname} is not called: {refused[0]}.")
    plain = socket.create_connection(found[0][4][:2], timeout=timeout_s)
    if parts.scheme == "http":
        return plain
    context = ssl.create_default_context()
    return context.wrap_socket(plain, server_hostname=parts.hostname, do_handshake_on_connect=False)


def _answered(
    wire: socket.socket,
    parts,
    method: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> http.client.HTTPResponse:
    if isinstance(wire, ssl.SSLSocket):
        wire.do_handshake()
    connection = http.client.HTTPConnection(parts.netloc)
    connection.sock = wire
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    ours = {"Accept-Encoding": "identity", "User-Agent": "migration-personas"}
    connection.request(method, path, body=body, headers=ours | dict(headers or {}))
    return connection.getresponse()


def _asked(wire: socket.socket, parts, most_bytes: int) -> bytes:
    response, path = _answered(wire, parts, "GET"), parts.path or "/"
    if response.status != 200:
        raise Unreachable(f"{parts.hostname} answers {response.status} instead of 200 for {path}.")
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise Unreachable(f"{parts.hostname} sends a compressed answer, which is not unpacked here.")
    content = response.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise Unreachable(f"{parts.hostname} sends more than {most_bytes // 1024} KiB for {path}.")
    return content


def _cut(wire: socket.socket) -> None:
    try:
        wire.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it has ended by itself
