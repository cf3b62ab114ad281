"""Disks of a hypervisor as files here, sparse, for a scan or a run to read."""

import re
import selectors
import subprocess
from collections.abc import Callable
from pathlib import Path

from analyzer.domain.printable import printable
from analyzer.sources.base import Refused
from analyzer.sources.libvirt.connection import Hypervisor

Watch = Callable[[float], None]  # percent; what it raises stops the copying and is raised again
BEAT_S = 0.5
_PERCENT = re.compile(rb"\((\d+\.\d+)/100%\)")


def copy_export(url: str, file: Path, watch: Watch) -> None:
    """A disk that an NBD server shows, as a raw file with holes; there whole, or not at all. Raises Refused."""
    part = file.with_suffix(".part")
    command = ["qemu-img", "convert", "-p", "-f", "raw", "-O", "raw", "-W", "-S", "64k", url, str(part)]
    _run(command, watch)
    part.replace(file)


def download(hypervisor: Hypervisor, path: str, file: Path, watch: Watch) -> None:
    """The file of a machine that is off, through the hypervisor; in the format that it has there. Raises Refused."""
    part = file.with_suffix(".part")
    part.unlink(missing_ok=True)
    _run(hypervisor.command("vol-download", path, str(part), "--sparse"), watch, hypervisor.environment())
    part.replace(file)


def _run(command: list[str], watch: Watch, environment: dict[str, str] | None = None) -> None:
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        bufsize=0,
    ) as process:
        try:
            said = _followed(process, watch)
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise Refused(f"The disk could not be fetched: {printable(said.strip()[-300:])}.")


def _followed(process: subprocess.Popen, watch: Watch) -> str:
    said, percent = b"", 0.0
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if selector.select(BEAT_S):
                chunk = process.stdout.read(4096)
                if not chunk:
                    return said.decode("utf-8", "replace")
                said = (said + chunk)[-4096:]
                if found := _PERCENT.findall(chunk):
                    percent = float(found[-1])
            watch(percent)
