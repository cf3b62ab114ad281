"""Free ports of 127.0.0.1 for the ports of a guest."""

import socket

from migrations_engine.domain.machine import Forward
from migrations_engine.targets.base import SpecRefused

KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


def allocate(forwards: tuple[Forward, ...]) -> dict[str, int]:
    """ "tcp/80" → a port that was free just now; a fixed one must be. Raises SpecRefused."""
    held, ports = [], {}
    try:
        for forward in forwards:
            name = f"{forward.protocol}/{forward.guest_port}"
            if name in ports:
                raise SpecRefused(f"port {name} is forwarded twice")
            holder = socket.socket(socket.AF_INET, KINDS[forward.protocol])
            held.append(holder)  # kept open until all are chosen, so that no port is chosen twice
            try:
                holder.bind(("127.0.0.1", forward.host_port))
            except OSError as error:
                raise SpecRefused(f"port {forward.host_port} of 127.0.0.1 is taken") from error
            ports[name] = holder.getsockname()[1]
    finally:
        for holder in held:
            holder.close()
    return ports
