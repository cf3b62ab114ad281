"""Every program that parses a disk runs in here: no network, no other file, bounded, dead with its parent."""

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from migrations_engine.targets.base import TargetError

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64")
KEPT_OUTPUT = 64 * 1024  # bytes of a program's words that are kept for the message


class SandboxUnavailable(TargetError):
    """bubblewrap cannot make a sandbox here. A disk is never parsed without one."""


@dataclass(frozen=True)
class Limits:
    memory_mib: int = 2048
    cpu_s: int = 3600
    file_bytes: int = 2**63 - 1  # the largest file it may write


@dataclass(frozen=True)
class Sandboxed:
    """A command with the only files it can see: host path by the name it has inside."""

    command: tuple[str, ...]
    read: Mapping[str, Path] = field(default_factory=dict)
    write: Mapping[str, Path] = field(default_factory=dict)
    limits: Limits = Limits()

    def arguments(self) -> list[str]:
        limits = self.limits
        prlimit = ["prlimit", f"--as={limits.memory_mib * 2**20}", f"--cpu={limits.cpu_s}", "--core=0",
                   f"--fsize={limits.file_bytes}", "--nofile=256", "--"]  # fmt: skip
        walls = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv",
                 "--setenv", "PATH", "/usr/sbin:/usr/bin:/sbin:/bin", "--setenv", "LC_ALL", "C.UTF-8",
                 *_system_mounts(), "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]  # fmt: skip  # noqa: S108
        for inside, path in self.read.items():
            walls += ["--ro-bind", str(path.absolute()), inside]
        for inside, path in self.write.items():
            walls += ["--bind", str(path.absolute()), inside]
        return [*walls, "--", *prlimit, *self.command]


def _system_mounts() -> list[str]:
    """The system's programs, read-only; /bin and its like as the links they are on a merged /usr."""
    mounts = []
    for folder in SYSTEM:
        if os.path.islink(folder):
            mounts += ["--symlink", os.readlink(folder), folder]
        elif os.path.isdir(folder):
            mounts += ["--ro-bind", folder, folder]
    return mounts


@dataclass(frozen=True)
class Ended:
    exit_code: int
    stdout: str
    stderr: str

    @property
    def signal(self) -> str:
        """The name of what ended it before its time, as "SIGKILL"; empty where it ended by itself. What runs in the
        sandbox is told of as a shell tells it: 128 and the signal's number."""
        number = -self.exit_code if self.exit_code < 0 else self.exit_code - 128
        return signal.Signals(number).name if number in iter(signal.Signals) else ""


def run(job: Sandboxed, timeout_s: float, watch: Callable[[str], None] = lambda text: None) -> Ended:
    """Runs to the end. `watch` gets what it writes to stdout as it comes, and "" at least every second.

    What `watch` raises kills the program and is raised again. Raises TimeoutError, SandboxUnavailable.
    """
    try:
        child = subprocess.Popen(
            job.arguments(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise SandboxUnavailable("bubblewrap is not installed (package bubblewrap)") from error
    try:
        ended = _follow(child, time.monotonic() + timeout_s, watch)
    finally:
        _kill(child)
    if ended.stderr.startswith("bwrap: "):
        raise SandboxUnavailable(f"no sandbox on this machine: {ended.stderr.strip()}")
    return ended


def _follow(child: subprocess.Popen, deadline: float, watch: Callable[[str], None]) -> Ended:
    kept = {child.stdout: bytearray(), child.stderr: bytearray()}
    open_pipes = [child.stdout, child.stderr]
    while open_pipes:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{child.args[child.args.index('--nofile=256') + 2]} took too long")
        ready, _, _ = select.select(open_pipes, [], [], 1.0)
        for pipe in ready:
            data = os.read(pipe.fileno(), 65536)
            if not data:
                open_pipes.remove(pipe)
            kept[pipe] += data[: KEPT_OUTPUT * 16 - len(kept[pipe])]
            if pipe is child.stdout and data:
                watch(data.decode("utf-8", "replace"))
        if not ready:
            watch("")
    code = child.wait()
    return Ended(
        code, *(bytes(kept[pipe]).decode("utf-8", "replace") for pipe in (child.stdout, child.stderr))
    )


def _kill(child: subprocess.Popen) -> None:
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)  # bwrap's --die-with-parent takes what runs inside along
        child.wait()
    child.stdout.close()
    child.stderr.close()
