"""A reader for one export of an NBD server on a Unix socket (NBD protocol, `doc/proto.md`, fixed newstyle).

Only what reading needs: NBD_OPT_EXPORT_NAME's successor GO, structured replies, READ and, when the server
has `base:allocation`, BLOCK_STATUS. One connection; a lock makes it safe for threads.
"""

import socket
import struct
import threading
from collections import OrderedDict

_IHAVEOPT, _REPLY_MAGIC = b"IHAVEOPT", 0x3E889045565A9
_REQUEST, _SIMPLE, _STRUCTURED = 0x25609513, 0x67446698, 0x668E33EF
_GO, _STRUCTURED_REPLY, _SET_META_CONTEXT = 7, 8, 10
_READ, _DISCONNECT, _BLOCK_STATUS = 0, 2, 7
_CHUNK = 128 * 1024  # one request; a guest's small files and directories are mostly neighbours
_CACHED = 256  # 32 MiB


class NbdError(OSError):
    """The server refused, failed or spoke otherwise than the protocol says."""


class NbdDisk:
    """`size` in bytes, `pread(offset, length)`, `extents()` if the server tells them."""

    def __init__(self, socket_path: str, timeout_s: float = 60):
        self._lock, self._cookie = threading.Lock(), 0
        self._cache: OrderedDict[int, bytes] = OrderedDict()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(timeout_s)
        self._socket.connect(socket_path)
        self.size, self._allocation = 0, None
        self._negotiate()

    def pread(self, offset: int, length: int) -> bytes:
        length = min(length, self.size - offset)
        if length <= 0:
            return b""
        first, last = offset // _CHUNK, (offset + length - 1) // _CHUNK
        data = b"".join(self._chunk(index) for index in range(first, last + 1))
        start = offset - first * _CHUNK
        return data[start : start + length]

    def extents(self, offset: int, length: int) -> list[tuple[int, int, bool]]:
        """(offset, length, holds data) from `offset` on, as far as the server wishes to tell at once."""
        if self._allocation is None:
            return [(offset, length, True)]
        with self._lock:
            self._request(_BLOCK_STATUS, offset, min(length, 2**31))
            payloads = self._replies()
        found = []
        for payload in payloads:
            for at in range(4, len(payload) - 7, 8):
                size, flags = struct.unpack_from(">II", payload, at)
                found.append((offset, size, not flags & 2))  # bit 1: reads as zeros
                offset += size
        return found

    def close(self) -> None:
        with self._lock:
            try:
                self._request(_DISCONNECT, 0, 0)
            except OSError:
                pass  # the server may have gone first, and that is what was wanted
            self._socket.close()

    def _chunk(self, index: int) -> bytes:
        with self._lock:
            if index in self._cache:
                self._cache.move_to_end(index)
                return self._cache[index]
            at = index * _CHUNK
            data = self._read(at, min(_CHUNK, self.size - at))
            self._cache[index] = data
            if len(self._cache) > _CACHED:
                self._cache.popitem(last=False)
            return data

    def _read(self, offset: int, length: int) -> bytes:
        self._request(_READ, offset, length)
        data = bytearray(length)
        for at, piece in self._read_replies(offset, length):
            data[at : at + len(piece)] = piece
        return bytes(data)

    def _negotiate(self) -> None:
        if self._receive(8) != b"NBDMAGIC" or self._receive(8) != _IHAVEOPT:
            raise NbdError("this is not an NBD server")
        self._receive(2)
        self._socket.sendall(struct.pack(">I", 3))  # fixed newstyle, no zeroes
        self._option(_STRUCTURED_REPLY, b"")
        context = b"base:allocation"
        query = struct.pack(">II", 0, 1) + struct.pack(">I", len(context)) + context
        for kind, payload in self._option(_SET_META_CONTEXT, query):
            if kind == 4:  # NBD_REP_META_CONTEXT
                self._allocation = struct.unpack_from(">I", payload)[0]
        for kind, payload in self._option(_GO, struct.pack(">IH", 0, 0)):
            if kind == 3 and payload[:2] == b"\0\0":  # NBD_REP_INFO, NBD_INFO_EXPORT
                self.size = struct.unpack_from(">Q", payload, 2)[0]
            elif kind & 0x80000000:
                raise NbdError(f"the NBD server refused the export: {payload.decode('utf-8', 'replace')}")

    def _option(self, option: int, payload: bytes) -> list[tuple[int, bytes]]:
        self._socket.sendall(_IHAVEOPT + struct.pack(">II", option, len(payload)) + payload)
        replies = []
        while True:
            magic, _, kind, length = struct.unpack(">QIII", self._receive(20))
            if magic != _REPLY_MAGIC or length > 65536:
                raise NbdError("a reply that is no NBD option reply")
            replies.append((kind, self._receive(length)))
            if kind == 1 or kind & 0x80000000:  # NBD_REP_ACK, or an error
                return replies

    def _request(self, command: int, offset: int, length: int) -> None:
        self._cookie += 1
        self._socket.sendall(struct.pack(">IHHQQI", _REQUEST, 0, command, self._cookie, offset, length))

    def _read_replies(self, offset: int, length: int):
        for kind, payload in self._chunks(length):
            if kind == 1:  # NBD_REPLY_TYPE_OFFSET_DATA
                yield struct.unpack_from(">Q", payload)[0] - offset, payload[8:]
            # kind 2, a hole: the buffer is zeros already

    def _replies(self) -> list[bytes]:
        return [payload for kind, payload in self._chunks(65536) if kind == 5]  # NBD_REPLY_TYPE_BLOCK_STATUS

    def _chunks(self, longest: int):
        while True:
            magic = struct.unpack(">I", self._receive(4))[0]
            if magic != _STRUCTURED:
                raise NbdError("the NBD server does not send structured replies")
            flags, kind, _cookie, length = struct.unpack(">HHQI", self._receive(16))
            if length > longest + 4096:
                raise NbdError("a reply longer than what was asked for")
            payload = self._receive(length)
            if kind & 0x8000:
                raise NbdError(f"the disk could not be read (error {struct.unpack_from('>I', payload)[0]})")
            yield kind, payload
            if flags & 1:
                return

    def _receive(self, length: int) -> bytes:
        parts = []
        while length:
            part = self._socket.recv(min(length, 1 << 20))
            if not part:
                raise NbdError("the NBD server closed the connection")
            parts.append(part)
            length -= len(part)
        return b"".join(parts)
