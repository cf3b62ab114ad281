"""QEMU's own control socket (QMP)."""

import time
from pathlib import Path

from migrations_engine.targets.base import MachineFailed
from migrations_engine.targets.qemu.wire import Wire, WireClosed

ANSWER_S = 20  # emulation on a busy machine answers in a second; more means that it hangs


def ask(socket_path: Path, command: str, **arguments) -> object:
    """The answer's `return`. Raises WireClosed when no QEMU is there, MachineFailed when it refuses."""
    deadline = time.monotonic() + ANSWER_S
    try:
        with Wire(socket_path, ANSWER_S) as wire:
            wire.receive(deadline)  # greeting
            _ask(wire, deadline, "qmp_capabilities", {})
            return _ask(wire, deadline, command, arguments)
    except TimeoutError as error:
        raise MachineFailed(f"QEMU does not answer to {command}") from error


def _ask(wire: Wire, deadline: float, command: str, arguments: dict) -> object:
    wire.send({"execute": command, "arguments": arguments})
    while True:
        reply = wire.receive(deadline)
        if "error" in reply:
            raise MachineFailed(f"QEMU refused {command}: {reply['error'].get('desc')}")
        if "return" in reply:
            return reply["return"]
        # anything else is an event, which nobody here waits for


def run_state(socket_path: Path) -> str | None:
    """ "running", "paused", "internal-error", ...; None when no QEMU is there."""
    try:
        return ask(socket_path, "query-status")["status"]
    except WireClosed:
        return None
