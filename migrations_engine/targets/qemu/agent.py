"""The guest agent: commands run as root in the guest, over a virtio port, with no network.

Protocol: docs/interop/qemu-ga-ref. Every conversation begins with guest-sync-delimited, because the port keeps what an
earlier, killed conversation left in it.
"""

import base64
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from migrations_engine.targets.base import AgentUnavailable, MachineFailed, TargetError
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


class Turn(Protocol):
    """One caller's conversation with the agent."""

    def ask(self, command: str, arguments: dict, deadline: float) -> object:
        """Raises AgentRefused; AgentUnavailable, OSError and ValueError where nobody answers properly by `deadline`."""


class Agent(ABC):
    """A guest's agent, whatever way leads to it."""

    @abstractmethod
    def turn(self, deadline: float) -> AbstractContextManager[Turn]:
        """Opens a conversation. Raises as `Turn.ask` does."""

    def death(self) -> str:
        """Why nobody will ever answer here again; empty while the machine runs, or where that cannot be seen."""
        return ""

    def answers(self, timeout_s: float = SYNC_S) -> bool:
        try:
            self.ask("guest-ping", timeout_s=timeout_s)
            self._thaw(timeout_s)
        except (AgentUnavailable, MachineFailed):
            return False
        return True

    def _thaw(self, timeout_s: float) -> None:
        """The copy of a guest that was frozen for it remembers that, where /var/run is a folder of the disk; its agent
        then refuses everything else."""
        try:
            if self.ask("guest-fsfreeze-status", timeout_s=timeout_s) == "frozen":
                self.ask("guest-fsfreeze-thaw", timeout_s=timeout_s)
        except AgentRefused:
            pass  # an agent that cannot freeze was never frozen

    def ask(self, command: str, timeout_s: float = 20, **arguments) -> object:
        """Raises AgentUnavailable, AgentRefused."""
        deadline = time.monotonic() + timeout_s
        with self._silence_told(), self.turn(deadline) as turn:
            return turn.ask(command, arguments, deadline)

    def sh(self, script: str, *arguments: str, text: str = "", timeout_s: float = 60) -> Executed:
        """Runs a short script of ours with `sh`, `text` on its stdin, and waits.

        Raises AgentUnavailable, MachineFailed. Its end can be asked for only once, so whatever must survive a crash of
        ours leaves its result in a file.
        """
        deadline = time.monotonic() + timeout_s
        with self._silence_told(), self.turn(min(deadline, time.monotonic() + 15)) as turn:
            pid = turn.ask("guest-exec", _exec_arguments(script, arguments, text), deadline)["pid"]
            return _wait(turn, deadline, pid)

    @contextmanager
    def _silence_told(self) -> Iterator[None]:
        """An agent may come back, a machine that has stopped does not: nobody need wait for it."""
        try:
            yield
        except (OSError, ValueError) as error:  # a time-out is an OSError
            if death := self.death():
                raise MachineFailed(death) from error
            raise AgentUnavailable(f"the guest agent does not answer: {error}") from error


@dataclass(frozen=True)
class PortAgent(Agent):
    """Through the Unix socket that QEMU makes of the guest's virtio port."""

    socket_path: Path
    look: Callable[[], str] = field(default=str, compare=False)  # says why its machine has stopped, or ""

    def death(self) -> str:
        return self.look()

    @contextmanager
    def turn(self, deadline: float) -> Iterator[Turn]:
        with Wire(self.socket_path, max(deadline - time.monotonic(), 0.1)) as wire:
            _synchronise(wire, deadline)
            yield PortTurn(wire)

    def tell(self, command: str, **arguments) -> None:
        """For a command that never answers when it succeeds (guest-shutdown)."""
        try:
            with self.turn(time.monotonic() + SYNC_S) as turn:
                turn.ask(command, arguments, time.monotonic() + 1)
        except TimeoutError:
            return  # silence is its yes
        except (WireClosed, ValueError) as error:
            raise AgentUnavailable(f"the guest agent does not answer: {error}") from error


@dataclass(frozen=True)
class PortTurn:
    wire: Wire

    def ask(self, command: str, arguments: dict, deadline: float) -> object:
        self.wire.send({"execute": command, "arguments": arguments})
        return answer(command, self.wire.receive(deadline))


def answer(command: str, reply: dict) -> object:
    """What a reply holds. Raises AgentRefused."""
    if "error" in reply:
        raise AgentRefused(f"the guest agent refused {command}: {reply['error'].get('desc')}")
    return reply["return"]


def _exec_arguments(script: str, arguments: tuple[str, ...], text: str) -> dict:
    return {
        "path": "/bin/sh",
        "arg": ["-c", script, "migration-personas", *arguments],
        "input-data": base64.b64encode(text.encode()).decode(),
        "capture-output": True,
    }


def _wait(turn: Turn, deadline: float, pid: int) -> Executed:
    pause = POLL_FIRST_S
    while True:
        try:
            state = turn.ask("guest-exec-status", {"pid": pid}, deadline)
        except AgentRefused as error:  # one that was started anew knows nothing of what another one began
            raise AgentUnavailable(f"the guest agent was started anew meanwhile: {error}") from error
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
