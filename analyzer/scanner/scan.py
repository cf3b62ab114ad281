"""`scan_disks`: what disk images say about the machine on them, read in the sandbox."""

import itertools
import json
import os
import shutil
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from analyzer.domain.facts import Facts
from analyzer.domain.image_format import FORMATS, HEAD_BYTES, TAIL_BYTES, sniff
from analyzer.domain.ova import BadOva, read_ova
from analyzer.domain.printable import printable
from analyzer.scanner import sandbox
from analyzer.scanner.sandbox import Limits, SandboxUnavailable

__all__ = [
    "DiskImage",
    "Limits",
    "SandboxUnavailable",
    "UnreadableImage",
    "disk_images",
    "disks_of",
    "image_format",
    "scan_disks",
    "scan_image",
    "scan_report",
]

MOST_DISKS = 32  # a QEMU exporter for each that is not raw; hypervisors stop at 60


class UnreadableImage(Exception):
    """The image tells nothing; `reason` is for the user, in words, and safe to show."""

    def __init__(self, reason: str):
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class DiskImage:
    """One disk: a file, its format (one of FORMATS), and of an OVA the disk's name in it ("": its first)."""

    path: Path
    format: str
    member: str = ""


def scan_image(path: Path, image_format: str, *, limits: Limits | None = None) -> Facts:
    """Facts of the machine on the disk at `path`; of an OVA, of all the disks it holds. Raises as `scan_disks`."""
    return scan_disks(disks_of(path, image_format), limits=limits)


def disks_of(path: Path, image_format: str) -> list[DiskImage]:
    """The disks that one file holds. Raises UnreadableImage."""
    if image_format != "ova":
        return [DiskImage(path, image_format)]
    image = _open(path)
    try:
        size = os.fstat(image).st_size
        found = read_ova(lambda offset, length: os.pread(image, length, offset) if length > 0 else b"", size)
    except (OSError, BadOva) as error:
        raise UnreadableImage(printable(str(error), 1024)) from None
    finally:
        os.close(image)
    return [DiskImage(path, "ova", disk.name) for disk in found.disks]


def disk_images(rows: Sequence[tuple[str, str]]) -> list[DiskImage]:
    """From (path, format) of each disk of a machine; the disks of an OVA share its path and come in its order.

    Raises UnreadableImage, also where the OVA has other disks by now.
    """
    found: list[DiskImage] = []
    for (path, image_format), same in itertools.groupby(rows):
        count = len(list(same))
        inside = disks_of(Path(path), image_format)
        if image_format == "ova" and len(inside) != count:
            text = f"{Path(path).name} holds {len(inside)} disks, not {count}: discover its source again"
            raise UnreadableImage(printable(text, 1024))
        found += inside * (1 if image_format == "ova" else count)
    return found


def scan_disks(disks: Sequence[DiskImage], *, limits: Limits | None = None) -> Facts:
    """Facts of the machine on these disks, the one that boots first, all read in one sandbox.

    Raises UnreadableImage(reason) for what is broken, hostile, not complete or beyond the limits, and
    SandboxUnavailable where this machine cannot isolate the reader. The images are opened read-only.
    """
    limits = limits or Limits()
    if len(disks) > MOST_DISKS:
        raise UnreadableImage(f"it has {len(disks)} disks, more than the {MOST_DISKS} that are read")
    for disk in disks:
        if disk.format not in FORMATS:
            raise UnreadableImage(
                f"{printable(disk.format)} is not a format that is read here ({', '.join(FORMATS)})"
            )
    opened: list[int] = []
    try:
        for disk in disks:
            opened.append(_opened(disk, several=len(disks) > 1))
        ended = sandbox.run(
            ["analyzer.scanner.child", _request(disks, opened, limits)], opened[0], limits, opened[1:]
        )
    finally:
        for image in opened:
            os.close(image)
    return _facts(ended)


def _opened(disk: DiskImage, several: bool) -> int:
    try:
        return _open(disk.path)
    except UnreadableImage as error:
        raise UnreadableImage(f"{printable(disk.path.name)}: {error.reason}") if several else error from None


def scan_report(path: Path, *, limits: Limits | None = None) -> dict:
    """The facts as a JSON document; the format is told by the image's content. Raises as `scan_image`."""
    return scan_image(path, image_format(path), limits=limits).model_dump(mode="json")


def image_format(path: Path) -> str:
    """One of image_format.FORMATS. Raises UnreadableImage if the file is no disk image or cannot be opened."""
    image = _open(path)
    try:
        size = os.fstat(image).st_size
        head, tail = os.pread(image, HEAD_BYTES, 0), os.pread(image, TAIL_BYTES, max(size - TAIL_BYTES, 0))
    except OSError as error:
        raise UnreadableImage(f"it cannot be read: {error.strerror}") from None
    finally:
        os.close(image)
    found = sniff(head, tail)
    if found is None:
        raise UnreadableImage("the file is empty" if not size else "it is not a disk image of a known format")
    return found


def _open(path: Path) -> int:
    try:
        image = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # NONBLOCK: a FIFO must not hang us
    except FileNotFoundError:
        raise UnreadableImage("there is no such file") from None
    except OSError as error:
        raise UnreadableImage(f"it cannot be opened: {error.strerror}") from None
    if not stat.S_ISREG(os.fstat(image).st_mode):
        os.close(image)
        raise UnreadableImage("it is not a regular file")
    return image


def _request(disks: Sequence[DiskImage], opened: Sequence[int], limits: Limits) -> str:
    # by their real paths: the sandbox shows these, not the links that lead to them
    raw = all(disk.format == "raw" for disk in disks)
    programs = {} if raw else {"qemu_img": _program("qemu-img"), "qemu_nbd": _program("qemu-nbd")}
    images = [
        {
            "format": disk.format,
            "member": disk.member,
            "descriptor": descriptor if index else 0,
            "path": sandbox.image_path(index),
            "name": printable(disk.member or disk.path.name) if len(disks) > 1 else "",
        }
        for index, (disk, descriptor) in enumerate(zip(disks, opened, strict=True))
    ]
    limit = int(limits.virtual_tib * 2**40)
    return json.dumps({"disks": images, "virtual_limit_bytes": limit, **programs})


def _program(name: str) -> str:
    found = shutil.which(name)
    if not found:
        raise SandboxUnavailable(f"only raw images can be read without {name} (apt-get install qemu-utils)")
    return str(Path(found).resolve())


def _facts(ended: sandbox.Ended) -> Facts:
    if ended.exceeded:
        raise UnreadableImage(f"reading it was stopped: {ended.exceeded}")
    if ended.code:
        raise UnreadableImage(f"the reader failed: {_last_words(ended)}")
    try:
        answer = json.loads(ended.output)
        if "unreadable" in answer:
            raise UnreadableImage(printable(str(answer["unreadable"]), 1024))
        return Facts.model_validate(answer["facts"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:  # pydantic's error is a ValueError
        detail = error.errors()[0]["loc"] if isinstance(error, ValidationError) else error
        raise UnreadableImage(f"the reader's answer breaks the contract: {printable(str(detail))}") from error


def _last_words(ended: sandbox.Ended) -> str:
    """Of a traceback the last line; a crash in a C library has none, only its signal."""
    code = ended.code if ended.code < 128 else 128 - ended.code  # bubblewrap passes a signal on as 128 + n
    lines = ended.errors.strip().splitlines()
    return (
        printable(lines[-1], 300)
        if lines
        else f"it ended with signal {-code}"
        if code < 0
        else f"code {code}"
    )
