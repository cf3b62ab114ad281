"""The QEMU process of a machine: started to outlive its worker, found again by its pid file, ended."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from migrations_engine.targets.base import MachineFailed
from migrations_engine.targets.qemu import qmp
from migrations_engine.targets.qemu.folder import Folder

START_S = 60
NOT_INSTALLED = "qemu-system-x86_64 is not installed (package qemu-system-x86)"
IN_BACKGROUND = 'setsid "$@" </dev/null >/dev/null 2>start.log & echo $!'
CONSOLE_MOST = 8 * 2**20  # a guest may write on its serial line for ever; past this the log starts anew


class PortTaken(MachineFailed):
    """A port of 127.0.0.1 that was free when the machine was made is in use now."""


def start(folder: Folder, command: list[str]) -> int:
    """The pid, once QEMU answers. Raises MachineFailed with QEMU's own words.

    Not by `-daemonize`: that needs to fork, which the sandbox (spawn=deny) forbids. A shell puts it into a session of
    its own and leaves, so that QEMU belongs to nobody who could take it along. Two QEMUs on one disk are impossible:
    each locks the image.
    """
    for name in ("qemu.pid", "qmp.sock", "agent.sock"):
        (folder.path / name).unlink(missing_ok=True)
    folder.console.touch(mode=0o600)
    if shutil.which(command[0]) is None:
        raise MachineFailed(NOT_INSTALLED)
    launched = subprocess.run(
        ["sh", "-c", IN_BACKGROUND, "sh", *command],
        cwd=folder.path,
        capture_output=True,
        text=True,
        check=True,
    )
    pid = int(launched.stdout)
    deadline = time.monotonic() + START_S
    while qmp.run_state(folder.path / "qmp.sock") is None:
        if not _lives(pid):
            raise _why_not(folder)
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            raise MachineFailed(f"QEMU did not answer within {START_S} s")
        time.sleep(0.02)
    return pid


def _why_not(folder: Folder) -> MachineFailed:
    words = (folder.path / "start.log").read_text(errors="replace").strip().splitlines()[-3:]
    kind = PortTaken if any("host forwarding rule" in line for line in words) else MachineFailed
    return kind(f"QEMU did not start: {'; '.join(words) or 'it gave no reason'}")


def _lives(pid: int) -> bool:
    """A zombie, which a container's first process may never bury, does not live."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def pid_of(folder: Folder) -> int | None:
    """The pid of this machine's QEMU if it lives. A pid that now belongs to another program does not count.

    Without a pid file every process is looked at: a worker may die after it started QEMU and before QEMU wrote it.
    """
    try:
        pids = [int((folder.path / "qemu.pid").read_text())]
    except (FileNotFoundError, ValueError):
        pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return next((pid for pid in pids if _is_machine(pid, folder)), None)


def _is_machine(pid: int, folder: Folder) -> bool:
    """Its name is on the command line, and it works in this very folder: two roots may hold the same key."""
    name = f"{folder.key},process=".encode()
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if not any(argument.startswith(name) for argument in arguments):
            return False
        return os.path.samefile(f"/proc/{pid}/cwd", folder.path)
    except OSError:  # it ended meanwhile, or belongs to somebody else
        return False


def wait_gone(folder: Folder, timeout_s: float, keep_alive=lambda: None) -> bool:
    deadline = time.monotonic() + timeout_s
    while pid_of(folder) is not None:
        if time.monotonic() > deadline:
            return False
        keep_alive()
        time.sleep(0.1)
    return True


def kill(folder: Folder) -> None:
    """Ends it for certain. Raises MachineFailed if even the kernel cannot."""
    pid = pid_of(folder)
    if pid is not None:
        os.kill(pid, signal.SIGKILL)
        if not wait_gone(folder, 20):
            raise MachineFailed(f"QEMU {pid} of machine {folder.key} cannot be killed")


def console_end(folder: Folder, most: int) -> str:
    """The last bytes of the serial log, which is cut when it grew too large."""
    try:
        with open(folder.console, "rb+") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - most))
            text = file.read().decode("utf-8", "replace")
            if size > CONSOLE_MOST:
                file.truncate(0)  # QEMU appends, so what it writes next lands at the new end
    except FileNotFoundError:
        return ""
    return text


def version() -> str:
    """ "7.2.22". Raises MachineFailed where there is no QEMU."""
    try:
        text = subprocess.run(
            ["qemu-system-x86_64", "--version"], capture_output=True, text=True, check=True
        ).stdout
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        raise MachineFailed(NOT_INSTALLED) from error
    return text.split("version ")[1].split()[0]
