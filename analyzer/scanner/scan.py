"""`scan_image`: what a disk image says about the machine on it, read in the sandbox."""

import json
import os
import shutil
import stat
from pathlib import Path

from pydantic import ValidationError

from analyzer.domain.facts import Facts
from analyzer.domain.image_format import FORMATS, HEAD_BYTES, TAIL_BYTES, sniff
from analyzer.domain.printable import printable
from analyzer.scanner import sandbox
from analyzer.scanner.sandbox import Limits, SandboxUnavailable

__all__ = ["Limits", "SandboxUnavailable", "UnreadableImage", "image_format", "scan_image", "scan_report"]


class UnreadableImage(Exception):
    """The image tells nothing; `reason` is for the user, in words, and safe to show."""

    def __init__(self, reason: str):
        super().__init__(reason)
        self.reason = reason


def scan_image(path: Path, image_format: str, *, limits: Limits | None = None) -> Facts:
    """Facts of the machine on the disk at `path`, whose format is one of image_format.FORMATS.

    Raises UnreadableImage(reason) for what is broken, hostile, not complete or beyond the limits, and
    SandboxUnavailable where this machine cannot isolate the reader. The image is opened read-only.
    """
    limits = limits or Limits()
    if image_format not in FORMATS:
        raise UnreadableImage(
            f"{printable(image_format)} is not a format that is read here ({', '.join(FORMATS)})"
        )
    image = _open(path)
    try:
        ended = sandbox.run(["analyzer.scanner.child", _request(image_format, limits)], image, limits)
    finally:
        os.close(image)
    return _facts(ended)


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


def _request(image_format: str, limits: Limits) -> str:
    # by their real paths: the sandbox shows these, not the links that lead to them
    programs = (
        {} if image_format == "raw" else {"qemu_img": _program("qemu-img"), "qemu_nbd": _program("qemu-nbd")}
    )
    limit = int(limits.virtual_tib * 2**40)
    return json.dumps(
        {"format": image_format, "path": sandbox.IMAGE_PATH, "virtual_limit_bytes": limit, **programs}
    )


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
