"""Any other image format as a disk: `qemu-nbd`, in this same sandbox, with the format named.

libqcow fails on compressed qcow2, and what boots these images elsewhere is QEMU: its reading is the one that
counts. What an image may refer to (backing file, data file, other extents) is refused before it is opened.
"""

import json
import subprocess

from analyzer.scanner.child.disk import Unreadable
from analyzer.scanner.nbd import NbdDisk

_INFO_TIMEOUT_S = 20  # a header is read in 20 ms
_OPEN_TIMEOUT_S = 60


def node(path: str, image_format: str, part: tuple[int, int] | None) -> dict:
    """QEMU's description of the image; `part` (offset, size) of the file it stands in, for an OVA."""
    file = {"driver": "file", "filename": path, "locking": "off"}
    if part:
        file = {"driver": "raw", "offset": part[0], "size": part[1], "file": file}
    described = {"driver": image_format, "file": file}
    return {**described, "backing": None} if image_format == "qcow2" else described


def inspect(qemu_img: str, described: dict) -> dict:
    """What `qemu-img info` says. Raises Unreadable, also for an image that needs any other file."""
    done = _run([qemu_img, "info", "--output=json", "json:" + json.dumps(described)], _INFO_TIMEOUT_S)
    info = json.loads(done)
    special = (info.get("format-specific") or {}).get("data") or {}
    if info.get("backing-filename") or info.get("full-backing-filename"):
        raise Unreadable("it has a backing file: give the scan a complete image (qemu-img convert)")
    if special.get("data-file"):
        raise Unreadable("it keeps its data in another file: give the scan a complete image")
    if info.get("encrypted"):
        raise Unreadable("the image itself is encrypted")
    kind = special.get("create-type")
    if kind not in (None, "monolithicSparse", "streamOptimized") or len(special.get("extents") or [1]) != 1:
        raise Unreadable(f"a VMDK of type {kind} keeps its data in other files")
    return info


def open_exported(qemu_nbd: str, described: dict, number: int) -> NbdDisk:
    """`number` tells this export from the others of the machine."""
    socket_path = f"/tmp/disk{number}.nbd"  # noqa: S108 - the sandbox's own /tmp, gone with it
    command = [qemu_nbd, "--read-only", "--persistent", "--fork", f"--socket={socket_path}"]
    _run([*command, "json:" + json.dumps(described)], _OPEN_TIMEOUT_S)
    return NbdDisk(socket_path)


def _run(command: list[str], timeout_s: int) -> str:
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired:
        raise Unreadable(f"opening it took more than {timeout_s} s") from None
    if done.returncode:
        raise Unreadable(_reason(done.stderr.decode("utf-8", "replace"), done.returncode))
    return done.stdout.decode("utf-8", "replace")


def _reason(stderr: str, code: int) -> str:
    """QEMU's last line without the description that we gave it."""
    last = stderr.strip().splitlines()[-1:] or [f"qemu ended with {code}"]
    return last[0].rpartition("': ")[2].rpartition("}: ")[2] or last[0]
