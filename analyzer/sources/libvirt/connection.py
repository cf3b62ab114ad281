"""A hypervisor that libvirt knows, asked by libvirt's own program `virsh`: every question has a time limit.

    with connected(parse_libvirt_address("qemu+unix:///system?socket=/run/…"), login=None, door=None) as hypervisor:
        hypervisor.ask("domstate", uuid)                # its standard output, stripped
        hypervisor.xml("dumpxml", uuid)                 # an Element, read with limits
        hypervisor.ask("define", "/dev/stdin", stdin=document)
        hypervisor.socket_here("/run/x.sock")           # a Unix socket of that machine, as one of ours

Why a program: docs/adr/0018. Name domains by UUID: a name may begin with a dash. Nothing secret goes on its command
line; a remote hypervisor is reached through our own SSH connection (pinned host key, no configuration read).
"""

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element

from analyzer.domain.libvirt_address import LibvirtAddress
from analyzer.domain.printable import printable
from analyzer.sources.base import Refused
from analyzer.sources.libvirt.xml import read_xml
from analyzer.sources.ssh import Door, Login
from analyzer.sources.ssh_tunnel import Tunnel, tunnel

ASK_S = 30.0  # libvirtd answers in milliseconds, unless a guest's monitor hangs
MOST_BYTES = 32 << 20
_KINDS = (  # what virsh says → what a caller may want to catch
    (re.compile(r"failed to get domain|Domain not found|no domain with matching|no nwfilter", re.I), "gone"),
    (re.compile(r"no storage (pool|vol)|Storage (pool|volume) not found|network not found|failed to get (pool|vol)|"
                r"No such file or directory: '?/", re.I), "gone"),
    (re.compile(r"already exists|exists already", re.I), "exists"),
    (re.compile(r"is not running|domain is not active", re.I), "not_running"),
    (re.compile(r"is already (active|running)", re.I), "running"),
    (re.compile(r"agent is not (connected|responding|configured|available)|Guest agent", re.I), "agent"),
    (re.compile(r"cannot acquire state change lock|Timed out during operation", re.I), "busy"),
    (re.compile(r"failed to connect to the hypervisor|Failed to connect socket|Cannot recv data|"
                r"End of file while reading|client socket is closed|Disconnected from", re.I), "unreachable"),
    (re.compile(r"not supported|unsupported", re.I), "unsupported"),
)  # fmt: skip


class Failed(Refused):
    """libvirt said no. `kind`: gone, exists, not_running, running, agent, busy, unreachable, unsupported, timeout,
    or other; the message is one sentence with libvirt's own words."""

    def __init__(self, message: str, kind: str):
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True)
class Said:
    stdout: str
    stderr: str

    def failed(self, verb: str) -> Failed:
        return failed(verb, self.stderr)


@dataclass
class Hypervisor:
    uri: str
    _folder: Path  # private; the home of the program, so that it reads nobody's settings
    _tunnel: Tunnel | None = None

    @property
    def is_remote(self) -> bool:
        return self._tunnel is not None

    def ask(self, *words: str, stdin: str | None = None, timeout_s: float = ASK_S) -> str:
        """What `virsh WORDS` prints. Raises Failed; after a timeout the question may still be at work over there."""
        try:
            ended = subprocess.run(
                self.command(*words),
                input=stdin,
                stdin=subprocess.DEVNULL if stdin is None else None,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=timeout_s,
                env=self.environment(),
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise Failed(
                f"The hypervisor gave no answer to {words[0]} within {timeout_s:.0f} s.", "timeout"
            ) from None
        except OSError as error:
            raise Failed(f"virsh cannot be started: {error.strerror}.", "other") from None
        if ended.returncode:
            raise failed(words[0], ended.stderr)
        if len(ended.stdout) > MOST_BYTES:
            raise Failed(
                f"The hypervisor's answer to {words[0]} has more than {MOST_BYTES >> 20} MiB.", "other"
            )
        return ended.stdout.strip()

    def ask_all(self, script: str, timeout_s: float) -> "Said":
        """Several questions by one process, each asked whatever became of the one before. Raises Failed (timeout)."""
        try:
            ended = subprocess.run(
                ["virsh", "--connect", self.uri, script],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=timeout_s,
                env=self.environment(),
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise Failed(f"The hypervisor gave no answer within {timeout_s:.0f} s.", "timeout") from None
        return Said(ended.stdout, ended.stderr)

    @contextmanager
    def file(self, text: str) -> Iterator[Path]:
        """A file of the caller's own, for a question that wants one."""
        with tempfile.NamedTemporaryFile("w", dir=self._folder, suffix=".xml") as file:
            file.write(text)
            file.flush()
            yield Path(file.name)

    def xml(self, *words: str, timeout_s: float = ASK_S) -> Element:
        """The answer as a document. Raises Failed, also for what is no sane XML."""
        try:
            return read_xml(self.ask(*words, timeout_s=timeout_s))
        except ValueError as error:
            raise Failed(f"The hypervisor's answer to {words[0]} cannot be read: {error}.", "other") from None

    def socket_here(self, path: str) -> Path:
        """A Unix socket of the hypervisor's machine as a path of this one. Raises Refused."""
        return self._tunnel.open(path) if self._tunnel else Path(path)

    def command(self, *words: str) -> list[str]:
        return ["virsh", "--quiet", "--connect", self.uri, *words]

    def environment(self) -> dict[str, str]:
        """Of that program: nobody's settings."""
        folder = str(self._folder)
        homes = {
            "HOME": folder,
            "XDG_CONFIG_HOME": folder,
            "XDG_CACHE_HOME": folder,
            "XDG_RUNTIME_DIR": folder,
        }
        return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", **homes}


@contextmanager
def connected(
    address: LibvirtAddress, *, login: Login | None = None, door: Door | None = None
) -> Iterator[Hypervisor]:
    """A remote address needs its machine's door (host, port, pinned key) and a login. Connects to a local one only
    when it is asked something. Raises Refused."""
    if not shutil.which("virsh"):
        raise Refused("This machine has no virsh: install the Debian package libvirt-clients.")
    with tempfile.TemporaryDirectory(prefix="virsh-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        if not address.is_remote:
            yield Hypervisor(str(address), folder)
            return
        if login is None or door is None:
            raise Refused("Nobody has said yet how to log in to the hypervisor's machine.")
        way = stack.enter_context(tunnel(door, login, folder))
        yield Hypervisor(address.through(str(way.open(address.socket))), folder, way)


def failed(verb: str, said: str) -> Failed:
    lines = [line.strip().removeprefix("error: ").strip() for line in said.splitlines() if line.strip()]
    told = printable(": ".join(line.rstrip(":") for line in lines[-3:]), 400) or "it gave no reason"
    kind = next((name for pattern, name in _KINDS if pattern.search(said)), "other")
    return Failed(f"The hypervisor refused {verb}: {told}.", kind)
