"""A partition as a file of its own and back again, for a program that cannot work inside an image."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CHUNK = 1 << 20


@contextmanager
def taken_apart(image: Path, start: int, size: int) -> Iterator[Path]:
    """A sparse copy of these bytes of `image`. What was changed in it is written back when the block ends well."""
    copy = image.with_name(f"{image.name}.partition")
    try:
        _copy_out(image, start, size, copy)
        yield copy
        _copy_changes(copy, image, start, size)
    finally:
        copy.unlink(missing_ok=True)


def _copy_out(image: Path, start: int, size: int, copy: Path) -> None:
    with open(image, "rb") as source, open(copy, "wb") as file:
        file.truncate(size)
        for at, length in _data(source.fileno(), start, start + size):
            while length:
                data = os.pread(source.fileno(), min(CHUNK, length), at)
                if not data:
                    return
                os.pwrite(file.fileno(), data, at - start)
                at, length = at + len(data), length - len(data)


def _data(descriptor: int, at: int, end: int) -> Iterator[tuple[int, int]]:
    """(offset, length) of what is no hole."""
    while at < end:
        try:
            begin = os.lseek(descriptor, at, os.SEEK_DATA)
        except OSError:
            return  # ENXIO: nothing but a hole is left
        if begin >= end:
            return
        at = min(end, os.lseek(descriptor, begin, os.SEEK_HOLE))
        yield begin, at - begin


def _copy_changes(copy: Path, image: Path, start: int, size: int) -> None:
    with open(copy, "rb") as source, open(image, "r+b") as file:
        for at in range(0, size, CHUNK):
            length = min(CHUNK, size - at)
            data = os.pread(source.fileno(), length, at)
            if data != os.pread(file.fileno(), length, start + at):
                os.pwrite(file.fileno(), data, start + at)
        os.fsync(file.fileno())
