"""The guest agent: commands run as root in the guest, over a virtio port, with no network.

Protocol: docs/interop/qemu-ga-ref. Every conversation begins with guest-sync-delimited, because the port keeps what an
earlier, killed conversation left in it.
"""

import base64
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from migrations_engine.targets.base import AgentUnavailable, TargetError
from migrations_engine.targets.qemu.wire import Wire, WireClosed

SYNC_S = 3.0
POLL_FIRST_S, POLL_MOST_S = 0.03, 0.5


class AgentRefused(TargetError):
    """The agent is there and says no (a command that the guest's administrator blocked, a program that is missing)."""


@dataclass(frozen=True)
class Executed:
    exit_code: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Agent:
    socket_path: Path

    def answers(self, timeout_s: float = SYNC_S) -> bool:
        try:
            self.ask("guest-ping", timeout_s=timeout_s)
        except AgentUnavailable:
            return False
        return True

    def ask(self, command: str, timeout_s: float = 20, **arguments) -> object:
        """Raises AgentUnavailable, AgentRefused."""
        deadline = time.monotonic() + timeout_s
        try:
            with Wire(self.socket_path, timeout_s) as wire:
                _synchronise(wire, deadline)
                return _ask(wire, deadline, command, arguments)
        except (TimeoutError, WireClosed, ValueError) as error:
            raise AgentUnavailable(f"the guest agent does not answer: {error}") from error

    def tell(self, command: str, **arguments) -> None:
        """For a command that never answers when it succeeds (guest-shutdown)."""
        try:
            with Wire(self.socket_path, SYNC_S) as wire:
                _synchronise(wire, time.monotonic() + SYNC_S)
                wire.send({"execute": command, "arguments": arguments})
                wire.receive(time.monotonic() + 1)
        except TimeoutError:
            return  # silence is its yes
        except (WireClosed, ValueError) as error:
            raise AgentUnavailable(f"the guest agent does not answer: {error}") from error

    def sh(self, script: str, *arguments: str, text: str = "", timeout_s: float = 60) -> Executed:
        """Runs a short script of ours with `sh`, `text` on its stdin, and waits. Raises AgentUnavailable.

        Its end can be asked for only once, so whatever must survive a crash of ours leaves its result in a file.
        """
        deadline = time.monotonic() + timeout_s
        try:
            with Wire(self.socket_path, timeout_s) as wire:
                _synchronise(wire, min(deadline, time.monotonic() + 15))
                pid = _ask(wire, deadline, "guest-exec", _exec_arguments(script, arguments, text))["pid"]
                return _wait(wire, deadline, pid)
        except (TimeoutError, WireClosed, ValueError) as error:
            raise AgentUnavailable(f"the guest agent does not answer: {error}") from error


def _exec_arguments(script: str, arguments: tuple[str, ...], text: str) -> dict:
    return {
        "path": "/bin/sh",
        "arg": ["-c", script, "migration-personas", *arguments],
        "input-data": base64.b64encode(text.encode()).decode(),
        "capture-output": True,
    }


def _wait(wire: Wire, deadline: float, pid: int) -> Executed:
    pause = POLL_FIRST_S
    while True:
        state = _ask(wire, deadline, "guest-exec-status", {"pid": pid})
        if state["exited"]:
            # a death by signal has no exitcode; 128 + signal is what a shell says
            code = state.get("exitcode", 128 + state.get("signal", 0))
            return Executed(code, _text(state.get("out-data")), _text(state.get("err-data")))
        time.sleep(pause)
        pause = min(pause * 2, POLL_MOST_S)


def _text(data: str | None) -> str:
    return base64.b64decode(data or "").decode("utf-8", "replace")


def _synchronise(wire: Wire, deadline: float) -> None:
    token = secrets.randbelow(2**31)
    # 0xFF makes the agent drop half a request that somebody left, and it sends one before its answer
    wire.send({"execute": "guest-sync-delimited", "arguments": {"id": token}}, prefix=b"\xff")
    while True:
        line = wire.receive_line(deadline).rpartition(b"\xff")[2]
        if line.strip() == b'{"return": %d}' % token:
            return


def _ask(wire: Wire, deadline: float, command: str, arguments: dict) -> object:
    wire.send({"execute": command, "arguments": arguments})
    reply = wire.receive(deadline)
    if "error" in reply:
        raise AgentRefused(f"the guest agent refused {command}: {reply['error'].get('desc')}")
    return reply["return"]
