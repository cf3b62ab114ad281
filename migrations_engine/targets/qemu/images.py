"""Disk images with qemu-img: look before opening, copy, checksum. Copies that are compared: verified_copy.py."""

import errno
import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analyzer.domain.ova import BadOva, read_ova
from analyzer.domain.printable import printable
from migrations_engine.targets.base import (
    CopyFailed,
    ImageRefused,
    Progress,
    no_progress,
)
from migrations_engine.targets.qemu import sandbox
from migrations_engine.targets.qemu.sandbox import Limits, Sandboxed

FORMATS = frozenset({"raw", "qcow2", "vmdk", "vhdx", "vdi", "vpc"})
MOST_VIRTUAL_BYTES = (
    16 * 2**40
)  # what ext4 and our own arithmetic were tried with; a sparse 60 TB image is no VM
BLOCK = 4 * 2**20
PERCENT = re.compile(r"\(([\d.]+)/100%\)")
COPY_TIMEOUT_S = (
    24 * 3600
)  # a copy is watched and cancelled by its caller; this only ends what nobody watches


Part = tuple[int, int]  # (offset, bytes) of an image inside a file


@dataclass(frozen=True)
class Pair:
    """A disk and what is, or is to become, its copy."""

    source: Path
    source_format: str
    copy: Path
    copy_format: str
    size: int  # virtual, in bytes
    part: Part | None = None  # of the source's file


def member_part(path: Path, member: str) -> Part:
    """Where a disk (a VMDK) stands in an OVA. Raises ImageRefused."""
    try:
        with open(path, "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            found = read_ova(lambda offset, length: os.pread(file.fileno(), max(length, 0), offset), size)
    except (OSError, BadOva) as error:
        raise ImageRefused(f"{path.name} cannot be read: {printable(str(error), 300)}") from error
    part = next(((disk.offset, disk.size) for disk in found.disks if disk.name == member), None)
    if part is None:
        raise ImageRefused(f"{path.name} holds no disk {printable(member)} any more")
    return part


def described(image_format: str, part: Part | None, filename: str = "/source") -> dict[str, Any]:
    """What qemu-img is told to open: with the format named, nothing is guessed from its bytes."""
    file: dict[str, Any] = {"driver": "file", "filename": filename}
    if part is not None:
        file = {"driver": "raw", "offset": part[0], "size": part[1], "file": file}
    if image_format != "qcow2":
        return {"driver": image_format, "file": file}
    # refused by `inspect`; whatever the header says by now, nothing else is opened
    return {"driver": image_format, "file": file, "backing": None}


def named(description: dict[str, Any]) -> str:
    return "json:" + json.dumps(description)


def inspect(path: Path, image_format: str, part: Part | None = None) -> int:
    """Virtual size in bytes of a self-contained image. Raises ImageRefused.

    A hostile qcow2 or VMDK names a file of the host as its backing file or extent, and a plain convert would copy it.
    """
    if image_format not in FORMATS:
        raise ImageRefused(f"{image_format!r} is no format that can be copied ({', '.join(sorted(FORMATS))})")
    if not path.is_file():
        raise ImageRefused(f"{path.name} is no file")
    opened = ("-f", image_format, "/source") if part is None else (named(described(image_format, part)),)
    job = Sandboxed(
        ("qemu-img", "info", "--output=json", "-U", *opened),
        read={"/source": path},
        limits=Limits(cpu_s=20),
    )
    try:
        ended = sandbox.run(job, timeout_s=30)
    except TimeoutError as error:
        raise ImageRefused(f"{path.name} cannot be read as {image_format}: {error}") from error
    if ended.exit_code:
        raise ImageRefused(f"{path.name} cannot be read as {image_format}: {last_line(ended.stderr)}")
    info = json.loads(ended.stdout)
    if part is not None:
        _require_one_extent(path.name, info)
    return _accept(path.name, info)


def _require_one_extent(name: str, info: dict) -> None:
    """Inside an OVA an extent has no name that could be compared; these kinds of VMDK have one, and it is the file."""
    details = info.get("format-specific", {}).get("data", {})
    if (
        details.get("create-type") not in ("monolithicSparse", "streamOptimized")
        or len(details["extents"]) != 1
    ):
        raise ImageRefused(f"{name} refers to another file: only a self-contained image can be copied")
    details["extents"] = []


def _accept(name: str, info: dict) -> int:
    details = info.get("format-specific", {}).get("data", {})
    outside = [info.get("backing-filename"), info.get("full-backing-filename"), details.get("data-file")]
    outside += [
        extent["filename"] for extent in details.get("extents", ()) if extent["filename"] != "/source"
    ]
    if named := next(filter(None, outside), None):
        raise ImageRefused(
            f"{name} refers to another file ({named}): only a self-contained image can be copied"
        )
    if info.get("encrypted"):
        raise ImageRefused(f"{name} is encrypted")
    size = info["virtual-size"]
    if not 0 < size <= MOST_VIRTUAL_BYTES:
        raise ImageRefused(
            f"{name} says that it is {size} bytes large, more than the {MOST_VIRTUAL_BYTES} allowed"
        )
    return size


def convert(pair: Pair, progress: Progress) -> None:
    """Writes the copy anew, sparse; `sync` brings it to the medium. `progress` is told bytes of the size. Raises
    CopyFailed."""
    pair.copy.unlink(missing_ok=True)
    pair.copy.touch(mode=0o600)
    opened = named(described(pair.source_format, pair.part))
    command = ("qemu-img", "convert", "-p", "-W", "-m", "16", "-O", pair.copy_format, opened, "/copy")
    # qcow2 has tables of its own; the limit is there to bound what a hostile image can make us write
    limits = Limits(file_bytes=pair.size + pair.size // 8 + 64 * 2**20)
    job = Sandboxed(command, read={"/source": pair.source}, write={"/copy": pair.copy}, limits=limits)
    ended = watched(job, pair.size, progress)
    if ended.exit_code:
        raise CopyFailed(f"{pair.source.name} could not be copied: {why(ended)}")


def watched(job: Sandboxed, size: int, progress: Progress) -> sandbox.Ended:
    done = 0

    def watch(text: str) -> None:
        nonlocal done
        if percents := PERCENT.findall(text):
            done = int(size * float(percents[-1]) / 100)
        progress(done, size)

    try:
        return sandbox.run(job, COPY_TIMEOUT_S, watch)
    except TimeoutError as error:
        raise CopyFailed(str(error)) from error


def sync(path: Path) -> None:
    with open(path, "rb") as file:
        os.fsync(file.fileno())


@contextmanager
def draft(final: Path) -> Iterator[Path]:
    """A file beside `final` that takes its name when the block ends, and is gone when it does not end well: half a copy
    must not keep a full disk full."""
    part = final.with_name(f"{final.name}.part")
    try:
        yield part
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    rename_durably(part, final)


def rename_durably(part: Path, final: Path) -> None:
    """After this returns, a power failure leaves `final` whole."""
    part.rename(final)
    folder = os.open(final.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def checksum(path: Path, progress: Progress = no_progress) -> str:
    """SHA-256 of the file's bytes. Holes are not read from the disk; their zeros count all the same."""
    digest, zeros, total = hashlib.sha256(), bytes(BLOCK), path.stat().st_size
    with open(path, "rb", buffering=0) as file:
        at = 0
        while at < total:
            data_at = _next_data(file.fileno(), at, total)
            while at < data_at:
                step = min(BLOCK, data_at - at)
                digest.update(memoryview(zeros)[:step])
                at += step
                progress(at, total)
            if at < total:
                data = os.pread(file.fileno(), min(BLOCK, total - at), at)
                if not data:
                    break  # it became shorter under us: the sum differs, which is the answer
                digest.update(data)
                at += len(data)
                progress(at, total)
    return digest.hexdigest()


def _next_data(descriptor: int, at: int, total: int) -> int:
    try:
        return os.lseek(descriptor, at, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:  # nothing but a hole from here to the end
            return total
        if error.errno == errno.EINVAL:  # a file system that knows no holes
            return at
        raise


def why(ended: sandbox.Ended) -> str:
    if ended.signal:
        return f"qemu-img was ended by {ended.signal} (somebody killed it, or this machine ran out of memory)"
    return last_line(ended.stderr)


def last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it gave no reason"
