"""A Unix socket that speaks JSON, one object a line: what QMP and the guest agent have in common."""

import json
import os
import socket
import time
from pathlib import Path

MOST_REPLY = 64 * 2**20  # the agent answers with up to 16 MiB of output, in base64


class WireClosed(OSError):
    """Nobody answers at that socket, or no longer."""


def connect(path: Path, timeout_s: float) -> socket.socket:
    """Connects through the folder's descriptor: a socket's path may have 107 bytes, ours may be longer."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(timeout_s)
        connection.connect(f"/proc/self/fd/{folder}/{path.name}")
    except OSError as error:
        connection.close()
        raise WireClosed(f"{path.name}: {error}") from error
    finally:
        os.close(folder)
    return connection


class Wire:
    def __init__(self, path: Path, timeout_s: float):
        self._socket = connect(path, timeout_s)
        self._buffer = bytearray()

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *error) -> None:
        self._socket.close()

    def send(self, message: dict, prefix: bytes = b"") -> None:
        try:
            self._socket.sendall(prefix + json.dumps(message).encode() + b"\n")
        except OSError as error:
            raise WireClosed(str(error)) from error

    def receive(self, deadline: float) -> dict:
        """The next object, `deadline` in time.monotonic(). Raises TimeoutError, WireClosed."""
        return json.loads(self.receive_line(deadline))

    def receive_line(self, deadline: float) -> bytes:
        while b"\n" not in self._buffer:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("no answer in time")
            self._socket.settimeout(left)
            try:
                data = self._socket.recv(65536)
            except TimeoutError:
                continue
            except OSError as error:
                raise WireClosed(str(error)) from error
            if not data or len(self._buffer) > MOST_REPLY:
                raise WireClosed("the other side hung up")
            self._buffer += data
        line, _, rest = bytes(self._buffer).partition(b"\n")
        self._buffer = bytearray(rest)
        return line
