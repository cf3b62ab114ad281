"""The way to a hypervisor's libvirt: opened when something is asked, kept, opened again after it broke."""

import contextlib
import subprocess
import threading
import time
import weakref
from collections.abc import Callable
from xml.etree.ElementTree import Element

from analyzer.sources.base import Refused
from analyzer.sources.libvirt.connection import Failed, Hypervisor, connected, failed
from migrations_engine.targets.base import TargetError
from migrations_engine.targets.libvirt.place import Place

ASK_S = 60.0
PATIENCE_S = 60  # a libvirtd that was killed is started again by its service manager within seconds
HURRY_S = 3  # somebody waits for a page
PAUSE_S = 0.5


class LibvirtFailed(TargetError):
    """libvirt said no, or nothing. `kind` as in analyzer.sources.libvirt.connection.Failed."""

    def __init__(self, message: str, kind: str):
        super().__init__(message)
        self.kind = kind


class Link:
    """Its verbs may be called from any thread. Raises LibvirtFailed."""

    def __init__(self, place: Place):
        self.place = place
        self._lock = threading.Lock()
        self._hypervisor: Hypervisor | None = None
        self._open = contextlib.ExitStack()
        weakref.finalize(self, self._open.close)

    def ask(self, *words: str, stdin: str | None = None, timeout_s: float = ASK_S, patient: bool = True) -> str:
        """What virsh prints. `patient`: a libvirt that is away just now is asked again, as every question may be."""
        return self._asked(lambda libvirt: libvirt.ask(*words, stdin=stdin, timeout_s=timeout_s), patient)

    def xml(self, *words: str, patient: bool = True) -> Element:
        return self._asked(lambda libvirt: libvirt.xml(*words), patient)

    def type(self, line: str, timeout_s: float = ASK_S) -> str:
        """The same for a line on virsh's standard input: its words stand in no list of processes, and have no limit.

        virsh then ends with 0 whatever happens, so what it complains of is its failure.
        """
        return self._asked(lambda libvirt: _typed(libvirt, line, timeout_s), patient=True)

    def started(self, *words: str, **options) -> subprocess.Popen:
        """virsh at work, for who watches it."""
        libvirt = self._connected()
        command = ["virsh", "--quiet", "--connect", libvirt.uri, *words]
        return subprocess.Popen(command, env=libvirt.environment(), stderr=subprocess.PIPE, **options)

    def _asked(self, question: Callable, patient: bool):
        deadline = time.monotonic() + (PATIENCE_S if patient else HURRY_S)
        while True:
            try:
                return question(self._connected())
            except Refused as error:
                kind = error.kind if isinstance(error, Failed) else "unreachable"
                if kind != "unreachable":
                    raise LibvirtFailed(str(error), kind) from error
                self._lost()
                if time.monotonic() > deadline:
                    raise LibvirtFailed(str(error), kind) from error
            time.sleep(PAUSE_S)

    def _connected(self) -> Hypervisor:
        if self.place.problem or self.place.address is None:
            raise Failed(self.place.problem or "Nobody has said yet where this hypervisor is.", "unconfigured")
        with self._lock:
            if self._hypervisor is None:
                way = connected(self.place.address, login=self.place.login, door=self.place.door)
                self._hypervisor = self._open.enter_context(way)
            return self._hypervisor

    def _lost(self) -> None:
        """A local libvirt is asked anew at every question; a broken SSH connection has to be made again."""
        with self._lock:
            self._hypervisor = None
            self._open.close()


def _typed(libvirt: Hypervisor, line: str, timeout_s: float) -> str:
    if "\n" in line:
        raise ValueError("one line")
    try:
        ended = subprocess.run(
            ["virsh", "--quiet", "--connect", libvirt.uri],
            input=f"{line}\n".encode(),
            capture_output=True,
            timeout=timeout_s,
            env=libvirt.environment(),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"The hypervisor gave no answer within {timeout_s:.0f} s.", "timeout") from None
    complaint = ended.stderr.decode("utf-8", "replace")
    if "error:" in complaint:
        raise failed(line.split()[0], complaint)
    _, *lines = ended.stdout.decode("utf-8", "replace").split("\n")  # the first is the echo of what was typed
    return "\n".join(each for each in lines if not each.startswith("virsh #")).strip()
