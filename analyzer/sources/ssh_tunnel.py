"""Unix sockets of another machine as sockets here, through one SSH connection to a machine whose host key is pinned."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncssh

from analyzer.sources.base import Refused
from analyzer.sources.ssh import CONNECT_S, Denied, Door, Login, Unreachable, guarded_connection

CLOSE_S = 10


class Tunnel:
    """`open` may be called from any thread, as long as the `tunnel` that gave it lasts."""

    def __init__(self, connection, loop: asyncio.AbstractEventLoop, folder: Path):
        self._connection, self._loop, self._folder = connection, loop, folder
        self._open: dict[str, Path] = {}

    def open(self, remote: str) -> Path:
        """The socket here that is `remote` over there; the same one when asked again. Raises Refused.

        Whether somebody listens over there shows with the first connection.
        """
        if remote not in self._open:
            here = self._folder / f"s{len(self._open)}"
            try:
                asyncio.run_coroutine_threadsafe(self._forward(here, remote), self._loop).result(CONNECT_S)
            except (OSError, asyncssh.Error, TimeoutError) as error:
                raise Refused(f"No way to {remote} over there: {error or 'no answer'}.") from None
            self._open[remote] = here
        return self._open[remote]

    async def _forward(self, here: Path, remote: str) -> None:
        await self._connection.forward_local_path(str(here), remote)


@contextmanager
def tunnel(door: Door, login: Login, folder: Path) -> Iterator[Tunnel]:
    """`folder` is empty and nobody else's; its path is short (a socket's may have 107 bytes). Raises Refused."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True, name="ssh-tunnel")
    thread.start()
    try:
        asked = asyncio.run_coroutine_threadsafe(guarded_connection(door, login), loop)
        connection = asked.result(2 * CONNECT_S + CLOSE_S)
        if isinstance(connection, (Denied, Unreachable)):
            raise Refused(f"{door}: {connection.reason}.")
        try:
            yield Tunnel(connection, loop, folder)
        finally:
            asyncio.run_coroutine_threadsafe(_closed(connection), loop).result(2 * CLOSE_S)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(CLOSE_S)
        if not loop.is_running():
            loop.close()


async def _closed(connection) -> None:
    connection.close()
    try:
        async with asyncio.timeout(CLOSE_S):
            await connection.wait_closed()
    except TimeoutError:
        connection.abort()
