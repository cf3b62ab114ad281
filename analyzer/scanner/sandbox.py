"""Runs a program that parses hostile bytes where it can hurt nobody: bubblewrap and prlimit.

Inside there are one machine's images, read-only, the programs of /usr, this Python, and an empty /tmp in memory; no
network, no other process, no environment, no capability. Without bubblewrap nothing runs at all.
"""

import contextlib
import json
import os
import select
import selectors
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

IMAGE_PATH = "/image/disk"
_SCRATCH = "/tmp"  # noqa: S108 - the sandbox's own, in memory
_PROJECT = Path(__file__).resolve().parents[2]
_ERRORS_KEPT = 64 * 1024  # of what the child writes to its standard error
_CHUNK = 64 * 1024
_GONE_WITHIN_S = 10  # the kernel kills a namespace in milliseconds; a loaded machine may take a second


class SandboxUnavailable(Exception):
    """This machine cannot run the sandbox; the message says what to do. Nothing was read."""


@dataclass(frozen=True)
class Limits:
    memory_mib: int = 1024  # address space of each process; a scan touches some 60 MiB of it
    cpu_s: int = 60  # of each process
    wall_s: int = 120
    output_mib: int = 32
    scratch_mib: int = 512  # the sandbox's /tmp, in memory
    virtual_tib: float = 16  # the largest disk that is looked at: ext4 and most clouds end there


@dataclass(frozen=True)
class Ended:
    """How the child ended: `exceeded` names the limit that stopped it, in words; "" if none did."""

    code: int
    output: bytes
    errors: str
    exceeded: str = ""


def run(arguments: list[str], image: int, limits: Limits, more: Sequence[int] = ()) -> Ended:
    """Runs this Python with `arguments` in the sandbox; the descriptor `image` is its standard input and IMAGE_PATH.

    `more`: descriptors of further images, open in there under the same numbers, and at `image_path(1)` and so on.
    Raises SandboxUnavailable. Every process in the sandbox is gone when this returns.
    """
    told, tell = os.pipe()  # bubblewrap tells through it the process that the sandbox lives and dies with
    try:
        child = _start(arguments, image, tell, limits, more)
        try:
            output, errors, exceeded = _collect(child, limits)
        finally:
            _end(child, told)
    finally:
        os.close(told)
    said = errors.decode("utf-8", "replace")
    if said.startswith(("bwrap:", "prlimit:")) and not output:
        raise SandboxUnavailable(f"the sandbox does not start on this machine: {said.strip()[:300]}")
    return Ended(child.returncode, bytes(output), said, exceeded)


def image_path(index: int) -> str:
    """Where an image stands inside."""
    return f"{IMAGE_PATH}{index or ''}"


def _start(
    arguments: list[str], image: int, tell: int, limits: Limits, more: Sequence[int]
) -> subprocess.Popen:
    """The child; `tell` is closed here, so that its end can be seen on the other side."""
    bound = [os.dup(each) for each in more]  # bubblewrap closes what it binds
    images = (image, *bound)
    try:
        return subprocess.Popen(
            [*_prlimit(limits), *_bubblewrap(images, tell, limits), *_python(), *arguments],
            stdin=image,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=(*images, *more, tell),
            start_new_session=True,
            env={"PATH": os.environ.get("PATH", os.defpath)},
        )
    finally:
        for each in (tell, *bound):
            os.close(each)


def _collect(child: subprocess.Popen, limits: Limits) -> tuple[bytearray, bytearray, str]:
    """Both streams until they end or a limit is reached."""
    deadline, most = time.monotonic() + limits.wall_s, limits.output_mib << 20
    output, errors = bytearray(), bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ, output)
        selector.register(child.stderr, selectors.EVENT_READ, errors)
        while selector.get_map():
            left = deadline - time.monotonic()
            if left <= 0:
                return output, errors, f"it took more than {limits.wall_s} s"
            for key, _ in selector.select(left):
                data = os.read(key.fd, _CHUNK)
                if not data:
                    selector.unregister(key.fileobj)
                elif key.data is output:
                    output += data
                else:
                    errors += data[: max(_ERRORS_KEPT - len(errors), 0)]
            if len(output) > most:
                return output[:most], errors, f"its description is longer than {limits.output_mib} MiB"
    # it closed its streams: give it the time that is left
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(max(deadline - time.monotonic(), 0.1))
        return output, errors, "it used up its CPU time" if child.returncode == -signal.SIGXCPU else ""
    return output, errors, f"it took more than {limits.wall_s} s"


def _end(child: subprocess.Popen, told: int) -> None:
    """Kills bubblewrap, whose death takes the sandbox's own process namespace with it, and sees it gone."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    child.stderr.close()
    info = os.read(told, 4096)
    if not info:
        return  # it ended before there was a sandbox
    try:
        first = os.pidfd_open(json.loads(info)["child-pid"])
    except ProcessLookupError:
        return
    try:
        # readable when the first process of the namespace, and with it every other one, has ended
        ended = select.poll()
        ended.register(first, select.POLLIN)
        ended.poll(_GONE_WITHIN_S * 1000)
    finally:
        os.close(first)


def _prlimit(limits: Limits) -> list[str]:
    return [
        _program("prlimit", "util-linux"),
        f"--as={limits.memory_mib << 20}",
        f"--cpu={limits.cpu_s}",
        f"--fsize={limits.scratch_mib << 20}",
        "--nofile=256",
        "--core=0",
        "--",
    ]


def _bubblewrap(images: Sequence[int], tell: int, limits: Limits) -> list[str]:
    command = [_program("bwrap", "bubblewrap"), "--unshare-all", "--die-with-parent", "--new-session"]
    command += ["--cap-drop", "ALL", "--clearenv", "--hostname", "scanner", "--info-fd", str(tell)]
    command += ["--proc", "/proc", "--dev", "/dev"]
    command += ["--size", str(limits.scratch_mib << 20), "--tmpfs", _SCRATCH, "--chdir", _SCRATCH]
    for path in _visible():
        command += ["--ro-bind", path, path]
    for name in ("bin", "sbin", "lib", "lib64"):
        command += _top_level(Path("/", name))
    for index, image in enumerate(images):
        command += ["--ro-bind-fd", str(image), image_path(index)]
    for name, value in _environment().items():
        command += ["--setenv", name, value]
    # both are tmpfs without a size limit of ours: nothing may be written there
    return [*command, "--remount-ro", "/dev", "--remount-ro", "/", "--"]


def _top_level(path: Path) -> list[str]:
    """A merged /usr has links here, an older system real directories."""
    if path.is_symlink():
        return ["--symlink", os.readlink(path), str(path)]
    return ["--ro-bind", str(path), str(path)] if path.is_dir() else []


def _visible() -> list[str]:
    """/usr, the loader's cache, this Python with its packages, our own package, QEMU's programs: no data of anyone."""
    base = Path(sys.base_prefix).resolve()
    wanted = ["/usr", "/etc/ld.so.cache", str(base), str(_PROJECT / "analyzer"), *_site_packages()]
    wanted += [_installed(each) for each in map(shutil.which, ("qemu-img", "qemu-nbd")) if each]
    return [each for each in dict.fromkeys(wanted) if Path(each).exists() and not _below(each, wanted)]


def _installed(program: str) -> str:
    """A QEMU unpacked somewhere as `usr/bin/…` needs its own `usr`; any other place shows the program alone."""
    path = Path(program).resolve()
    return str(path.parents[1]) if path.parents[1].name == "usr" else str(path)


def _below(path: str, others: list[str]) -> bool:
    return any(path != other and Path(path).is_relative_to(other) for other in others)


def _site_packages() -> list[str]:
    return [
        path for path in dict.fromkeys((sysconfig.get_path("platlib"), sysconfig.get_path("purelib"))) if path
    ]


def _environment() -> dict[str, str]:
    values = {
        "PATH": "/usr/bin:/bin:/usr/sbin:/sbin",
        "PYTHONPATH": os.pathsep.join([str(_PROJECT), *_site_packages()]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
    }
    libraries = os.environ.get("LD_LIBRARY_PATH")  # a QEMU unpacked into the application's folder needs it
    return {**values, "LD_LIBRARY_PATH": libraries} if libraries else values


def _python() -> list[str]:
    """The interpreter itself, not the venv's link to it. -S: no site hooks, what is needed is on PYTHONPATH."""
    return [str(Path(sys.executable).resolve()), "-S", "-s", "-m"]


def _program(name: str, package: str) -> str:
    found = shutil.which(name)
    if not found:
        raise SandboxUnavailable(
            f"disks are only read in a sandbox, and {name} is missing (apt-get install {package})"
        )
    return found
