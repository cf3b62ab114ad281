"""A copy read once more beside its source, on all cores (qemu-img alone uses one), while the medium takes it in."""

import os
import struct
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from itertools import pairwise
from pathlib import Path
from typing import Any

from migrations_engine.targets.base import CopyFailed, CopyMismatch, Progress
from migrations_engine.targets.qemu.images import (
    Pair,
    Part,
    convert,
    described,
    last_line,
    named,
    sync,
    watched,
    why,
)
from migrations_engine.targets.qemu.sandbox import Sandboxed

COMPARE_SHARE = 4  # of five parts of a copy's progress four are the copy and one its comparison
SIZES_DIFFER = "Image size mismatch"
SLICES_PER_CORE = 2  # data lie unevenly: whoever is done with an empty slice helps with the others
SLICE_BYTES = 256 * 2**20  # at least: a sandbox takes as long to start as this much to compare
TELL_S = 0.5


def copy_compared(pair: Pair, progress: Progress) -> None:
    """As `convert`, then both are read once more and compared; what was compared is on the medium. Raises CopyFailed,
    CopyMismatch."""
    convert(pair, _first_part(progress))
    with ThreadPoolExecutor(1) as pool:  # while the medium takes it in, the cores would be idle
        written = pool.submit(sync, pair.copy)
        compare(pair, _last_part(progress))
        _follow([written], lambda: progress(pair.size, pair.size))
    if _virtual_bytes(pair) != pair.size:
        raise _changed(pair.source)


def compare(pair: Pair, progress: Progress) -> None:
    """Both hold the same bytes. Raises CopyFailed, CopyMismatch."""
    slices, stopped = _slices(pair.size), threading.Event()
    done = [0] * len(slices)

    def told(number: int) -> Progress:
        """What it is told in a thread is told on by this one: who watches may use the database."""

        def tell(count: int, _: int) -> None:
            if stopped.is_set():
                raise CopyFailed("the comparison was stopped")
            done[number] = count

        return tell

    with ThreadPoolExecutor(_cores()) as pool:
        looks = [pool.submit(_compare, pair, each, told(number)) for number, each in enumerate(slices)]
        try:
            _follow(looks, lambda: progress(sum(done), pair.size))
        finally:
            stopped.set()
            pool.shutdown(cancel_futures=True)


def _follow(looks: list[Future], tell: Callable[[], None]) -> None:
    """Raises what the first of them that failed has raised, or what `tell` raises."""
    waiting = set(looks)
    while waiting:
        ended, waiting = wait(waiting, TELL_S, FIRST_EXCEPTION)
        for look in ended:
            look.result()
        tell()


def _slices(size: int) -> list[Part]:
    """(offset, bytes) of each; together they are the whole."""
    count = max(1, min(SLICES_PER_CORE * _cores(), size // SLICE_BYTES))
    bounds = [size * number // count // 2**20 * 2**20 for number in range(count)] + [size]
    return [(start, end - start) for start, end in pairwise(bounds)]


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _compare(pair: Pair, each: Part, progress: Progress) -> None:
    source = _slice(described(pair.source_format, pair.part), each, pair.size)
    copy = _slice(described(pair.copy_format, None, "/copy"), each, pair.size)
    command = ("qemu-img", "compare", "-p", named(source), named(copy))
    ended = watched(Sandboxed(command, read={"/source": pair.source, "/copy": pair.copy}), each[1], progress)
    if ended.signal:
        raise CopyFailed(f"the copy of {pair.source.name} could not be compared: {why(ended)}")
    if ended.exit_code:
        raise CopyMismatch(
            f"the copy of {pair.source.name} differs: {last_line(ended.stderr or ended.stdout)}"
        )
    if SIZES_DIFFER in ended.stdout:  # no failure for qemu-img where the longer one ends in zeros
        raise _changed(pair.source)
    progress(each[1], each[1])


def _slice(image: dict[str, Any], each: Part, size: int) -> dict[str, Any]:
    """The last one goes to wherever the image ends, so that a size that has changed is seen."""
    start, length = each
    bounded = {} if start + length == size else {"size": length}
    return {"driver": "raw", "offset": start, "file": image, **bounded}


def _virtual_bytes(pair: Pair) -> int:
    """Of a copy that we made; of a source see `inspect`."""
    if pair.copy_format == "raw":
        return pair.copy.stat().st_size
    with open(pair.copy, "rb") as file:
        return struct.unpack_from(">Q", file.read(32), 24)[0]  # docs/interop/qcow2.txt: `size` of the header


def _changed(source: Path) -> CopyMismatch:
    return CopyMismatch(
        f"{source.name} changed its size while it was copied: stop what writes to it, then try again"
    )


def _first_part(progress: Progress) -> Progress:
    return lambda done, total: progress(done * COMPARE_SHARE // (COMPARE_SHARE + 1), total)


def _last_part(progress: Progress) -> Progress:
    return lambda done, total: progress((total * COMPARE_SHARE + done) // (COMPARE_SHARE + 1), total)
