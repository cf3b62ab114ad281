"""What a staged disk holds: a SHA-256 for each 4 MiB, kept beside it. A round of changes renews only what it wrote.

    sums.take(file)                     # of the whole file
    sums.renew(file, pieces)            # of what the pieces touch
    sums.total(file)                    # one sum over all: equal for equal contents, however they came to be there
"""

import errno
import os
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path

from analyzer.domain.extents import Changed, chunks_of
from analyzer.sources.libvirt.copying import Watch

CHUNK = 4 << 20
_SIZE = 32
_ZEROS = bytes(CHUNK)


def take(file: Path, watch: Watch) -> None:
    with open(file, "rb", buffering=0) as disk:
        count = _count(disk)
        found = bytearray()
        for number, holds_data in _chunks(disk, count):
            found += _sum(disk, number) if holds_data else _sum_of_zeros(disk, number)
            watch(100 * (number + 1) / count)
    _write(file, bytes(found))


def renew(file: Path, pieces: Iterable[Changed]) -> None:
    kept = bytearray(_beside(file).read_bytes())
    with open(file, "rb", buffering=0) as disk:
        for number in chunks_of(pieces, CHUNK):
            kept[number * _SIZE : (number + 1) * _SIZE] = _sum(disk, number)
    _write(file, bytes(kept))


def total(file: Path) -> str:
    """Raises OSError where nothing was taken."""
    return sha256(_beside(file).read_bytes()).hexdigest()


def _beside(file: Path) -> Path:
    return file.with_name(f"{file.name}.sums")


def _write(file: Path, found: bytes) -> None:
    part = _beside(file).with_suffix(".part")
    with open(part, "wb") as written:
        written.write(found)
        written.flush()
        os.fsync(written.fileno())
    part.replace(_beside(file))


def _count(disk) -> int:
    return -(-os.fstat(disk.fileno()).st_size // CHUNK)


def _sum(disk, number: int) -> bytes:
    return sha256(os.pread(disk.fileno(), CHUNK, number * CHUNK)).digest()


def _sum_of_zeros(disk, number: int) -> bytes:
    length = min(CHUNK, os.fstat(disk.fileno()).st_size - number * CHUNK)
    return _ALL_ZEROS if length == CHUNK else sha256(_ZEROS[:length]).digest()


_ALL_ZEROS = sha256(_ZEROS).digest()


def _chunks(disk, count: int) -> Iterator[tuple[int, bool]]:
    """(number, whether there may be anything but a hole)"""
    data_at = -1
    for number in range(count):
        if data_at < number * CHUNK:
            data_at = _next_data(disk, number * CHUNK)
        yield number, data_at < (number + 1) * CHUNK


def _next_data(disk, at: int) -> int:
    try:
        return os.lseek(disk.fileno(), at, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:  # nothing but a hole from here to the end
            return 1 << 62
        if error.errno == errno.EINVAL:  # a file system that knows no holes
            return at
        raise
