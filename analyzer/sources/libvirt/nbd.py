"""Reads a disk that QEMU shows over NBD, and asks which of its bytes changed: no program does both.

    with NbdExport(Path("/run/x.sock"), "vda", contexts=("base:allocation", "qemu:dirty-bitmap:changed")) as export:
        maps = export.maps(0, export.size)       # {context: [(length, flags)]}, of a stretch that begins at 0
        export.read(0, 4096)

The protocol: github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md (fixed newstyle, structured replies). What the
server says is checked: it may be somebody else's.
"""

import socket
import struct
from collections.abc import Iterator
from pathlib import Path

from analyzer.domain.printable import printable
from analyzer.sources.base import Refused

MOST_READ = 4 << 20  # QEMU allows 32 MiB
MOST_ASKED = 1 << 30  # of one block status: its lengths have 32 bits
MOST_REPLY = MOST_READ + (1 << 16)
MOST_EXTENTS = 1 << 20
TIMEOUT_S = 60.0  # a disk that answers nothing for so long is ill

_GREETING, _OPTION, _REPLY = b"NBDMAGIC", b"IHAVEOPT", 0x3E889045565A9
_STRUCTURED_OPT, _GO, _SET_META = 8, 7, 10
_ACK, _INFO, _META = 1, 3, 4
_REQUEST, _CHUNK = 0x25609513, 0x668E33EF
_READ, _DISCONNECT, _BLOCK_STATUS = 0, 2, 7
_DATA, _HOLE, _STATUS, _ERROR = 1, 2, 5, 1 << 15
_DONE = 1


class NbdExport:
    """Raises Refused for whatever the server does not do, and OSError where it goes away."""

    def __init__(self, path: Path, name: str, *, contexts: tuple[str, ...]):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(TIMEOUT_S)
        self._cookie, self.size = 0, 0
        self._contexts: dict[int, str] = {}
        try:
            self._socket.connect(str(path))
            self._begin(name.encode(), contexts)
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> "NbdExport":
        return self

    def __exit__(self, *_) -> None:
        try:
            self._ask(_DISCONNECT, 0, 0)
        except OSError:
            pass  # it has gone first
        self._socket.close()

    def read(self, offset: int, length: int) -> bytes:
        """Exactly those bytes; at most MOST_READ."""
        buffer, filled = bytearray(length), 0
        for kind, payload in self._answers(_READ, offset, length):
            if kind == _DATA:
                at = self._place(payload, offset, len(payload) - 8, length)
                buffer[at : at + len(payload) - 8] = payload[8:]
                filled += len(payload) - 8
            elif kind == _HOLE:
                hole = struct.unpack(">I", payload[8:12])[0]
                self._place(payload, offset, hole, length)
                filled += hole
        if filled != length:
            raise Refused(f"The hypervisor sent {filled} of {length} bytes of the disk.")
        return bytes(buffer)

    def maps(self, offset: int, length: int) -> dict[str, list[tuple[int, int]]]:
        """What each context says of a stretch from `offset`; it may be shorter than what was asked."""
        told: dict[str, list[tuple[int, int]]] = {}
        asked = min(length, MOST_ASKED)
        for kind, payload in self._answers(_BLOCK_STATUS, offset, asked):
            if kind == _STATUS:
                (number,) = struct.unpack(">I", payload[:4])
                told[self._contexts[number]] = _extents(payload[4:], asked)
        if set(told) != set(self._contexts.values()):
            raise Refused("The hypervisor does not say which parts of the disk changed.")
        return told

    # -- the protocol --------------------------------------------------------------------------------------------

    def _begin(self, name: bytes, contexts: tuple[str, ...]) -> None:
        magic, option, flags = struct.unpack(">8s8sH", self._receive(18))
        if (magic, option) != (_GREETING, _OPTION) or not flags & 1:
            raise Refused("What answers at the backup's socket does not speak NBD.")
        self._send(struct.pack(">I", 3))  # fixed newstyle, no zeroes
        self._option(_STRUCTURED_OPT, b"")
        asked = b"".join(struct.pack(">I", len(each)) + each.encode() for each in contexts)
        body = struct.pack(">I", len(name)) + name + struct.pack(">I", len(contexts)) + asked
        for kind, payload in self._option(_SET_META, body):
            if kind == _META:
                self._contexts[struct.unpack(">I", payload[:4])[0]] = payload[4:].decode("utf-8", "replace")
        if missing := set(contexts) - set(self._contexts.values()):
            raise Refused(f"The hypervisor shows no {printable(', '.join(sorted(missing)))} of the disk.")
        for kind, payload in self._option(_GO, struct.pack(">I", len(name)) + name + b"\0\0"):
            if kind == _INFO and payload[:2] == b"\0\0":
                (self.size,) = struct.unpack(">Q", payload[2:10])

    def _option(self, number: int, body: bytes) -> list[tuple[int, bytes]]:
        self._send(_OPTION + struct.pack(">II", number, len(body)) + body)
        told = []
        while True:
            magic, option, kind, length = struct.unpack(">QIII", self._receive(20))
            if magic != _REPLY or option != number or length > MOST_REPLY:
                raise Refused("What answers at the backup's socket does not speak NBD.")
            payload = self._receive(length)
            if kind & (1 << 31):
                told = printable(payload.decode("utf-8", "replace"), 200)
                raise Refused(f"The hypervisor does not show the disk: {told or 'no reason given'}.")
            if kind == _ACK:
                return told
            told.append((kind, payload))

    def _answers(self, command: int, offset: int, length: int) -> Iterator[tuple[int, bytes]]:
        self._ask(command, offset, length)
        while True:
            magic, flags, kind, cookie, size = struct.unpack(">IHHQI", self._receive(20))
            if magic != _CHUNK or cookie != self._cookie or size > max(MOST_REPLY, 8 * MOST_EXTENTS):
                raise Refused("The hypervisor's answer cannot be read.")
            payload = self._receive(size)
            if kind & _ERROR:
                told = payload[6:].decode("utf-8", "replace")
                raise Refused(f"The hypervisor could not read the disk: {printable(told, 200) or 'no reason given'}.")
            yield kind, payload
            if flags & _DONE:
                return

    def _ask(self, command: int, offset: int, length: int) -> None:
        self._cookie += 1
        self._send(struct.pack(">IHHQQI", _REQUEST, 0, command, self._cookie, offset, length))

    def _place(self, payload: bytes, offset: int, size: int, length: int) -> int:
        """Where in the buffer the bytes of this chunk belong."""
        at = struct.unpack(">Q", payload[:8])[0] - offset
        if at < 0 or size < 0 or at + size > length:
            raise Refused("The hypervisor sent bytes that nobody asked for.")
        return at

    def _send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def _receive(self, length: int) -> bytes:
        buffer = bytearray(length)
        view, got = memoryview(buffer), 0
        while got < length:
            count = self._socket.recv_into(view[got:])
            if not count:
                raise Refused("The hypervisor closed the disk while it was read.")
            got += count
        return bytes(buffer)


def _extents(payload: bytes, asked: int) -> list[tuple[int, int]]:
    """The last one may reach beyond what was asked: cut there."""
    found, left = [], asked
    for length, flags in struct.iter_unpack(">II", payload[: len(payload) // 8 * 8]):
        if not length:
            raise Refused("The hypervisor's answer cannot be read.")
        found.append((min(length, left), flags))
        left -= min(length, left)
        if not left:
            break
    return found
