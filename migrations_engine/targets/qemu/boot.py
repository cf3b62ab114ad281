"""Starting a machine, waiting for its guest and stopping it, whatever its command line says."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from migrations_engine.domain.boot_console import READ, BootConsole, last_words
from migrations_engine.targets.base import AgentUnavailable, KeepAlive, MachineFailed
from migrations_engine.targets.qemu import process, qmp
from migrations_engine.targets.qemu.accelerator import Accelerator, accelerator, remember
from migrations_engine.targets.qemu.agent import PortAgent
from migrations_engine.targets.qemu.agent_packages import FAILED
from migrations_engine.targets.qemu.folder import Folder
from migrations_engine.targets.qemu.wire import WireClosed

PORT_TRIES = 3


def agent_of(folder: Folder) -> PortAgent:
    return PortAgent(folder.path / "agent.sock", lambda: _death(folder))


def _death(folder: Folder) -> str:
    if process.pid_of(folder) is not None:
        return ""
    return f"the machine has stopped; its console ends: {last_words(_console(folder))}"


def _console(folder: Folder) -> str:
    return process.console_end(folder, READ)


@dataclass(frozen=True)
class Boot:
    """`command_for` gives the command line for an accelerator; `new_ports` is called when a port was taken.

    `exclusively` takes the folder's lock for what changes the machine, where the caller does not hold it.
    """

    root: Path
    folder: Folder
    command_for: Callable[[str], list[str]]
    new_ports: Callable[[], None] = lambda: None
    exclusively: Callable[[], AbstractContextManager] = nullcontext

    def start(self) -> None:
        """Nothing to do where it runs already. The caller holds the folder's lock. Raises MachineFailed."""
        for _ in range(PORT_TRIES):
            if process.pid_of(self.folder) is not None:
                return
            found = accelerator(self.root)
            self.folder.write(accelerator=found.name, answered=False)
            try:
                process.start(self.folder, self.command_for(found.name))
            except process.PortTaken:
                self.new_ports()
                continue
            return
        raise MachineFailed("the ports for this machine were taken again and again")

    def wait_ready(self, timeout_s: float, keep_alive: KeepAlive) -> None:
        """Until the agent answers. Raises AgentUnavailable, MachineFailed."""
        deadline, console = time.monotonic() + timeout_s, BootConsole(FAILED)
        while not agent_of(self.folder).answers(1.0):
            keep_alive()
            said = _console(self.folder)
            if told := console.verdict(said, time.monotonic()):
                raise AgentUnavailable(told)
            if not self._lives():
                raise MachineFailed(f"the machine stopped while booting; its console ends: {last_words(said)}")
            if time.monotonic() > deadline:
                raise AgentUnavailable(f"no guest agent within {timeout_s:.0f} s; the console ends: {last_words(said)}")
            time.sleep(0.2)
        with self.exclusively():
            self.folder.write(answered=True)

    def _lives(self) -> bool:
        """False when QEMU is gone. A guest that died of KVM before it ever answered starts again by emulation."""
        record = self.folder.read()
        state = qmp.run_state(self.folder.path / "qmp.sock") if process.pid_of(self.folder) else None
        if state not in (None, "internal-error"):
            return True
        if record.get("accelerator") != "kvm" or record.get("answered"):
            return state is not None
        with self.exclusively():
            self._start_by_emulation()
        return True

    def _start_by_emulation(self) -> None:
        process.kill(self.folder)
        remember(self.root, Accelerator("tcg", "a guest died on KVM while it booted"))
        self.start()


def stop(folder: Folder, patience_s: float) -> None:
    """By the guest itself, by QEMU when its patience is over or is 0, by the kernel at last. Raises MachineFailed."""
    if patience_s > 0:
        try:
            agent_of(folder).tell("guest-shutdown", mode="powerdown")
        except AgentUnavailable:
            _tell(folder, "system_powerdown")  # the power button
        if process.wait_gone(folder, patience_s):
            return
    _tell(folder, "quit")  # writes out its caches, which a kill does not
    if not process.wait_gone(folder, 20):
        process.kill(folder)


def restart(boot: Boot, timeout_s: float) -> None:
    """A reboot by the guest itself, by force when it does not answer; in a QEMU started anew.

    Under emulation a reset inside QEMU boots slower than a new QEMU does (measured with 7.2, tiny guest: 14-18 s
    against 10-13, twice the processor time), because what it has translated stays in its way. The caller
    holds the folder's lock.
    """
    if process.pid_of(boot.folder) is None:
        raise MachineFailed(f"machine {boot.folder.key} is not running")
    try:
        qmp.ask(boot.folder.path / "qmp.sock", "set-action", reboot="shutdown")
        agent_of(boot.folder).tell("guest-shutdown", mode="reboot")
        process.wait_gone(boot.folder, timeout_s)
    except (AgentUnavailable, WireClosed):
        pass  # it does not listen: by force
    if process.pid_of(boot.folder) is not None:
        stop(boot.folder, 0)
    boot.start()


def _tell(folder: Folder, command: str) -> None:
    try:
        qmp.ask(folder.path / "qmp.sock", command)
    except (WireClosed, MachineFailed):
        return  # it is going or hangs: the caller looks whether it is gone and kills it
