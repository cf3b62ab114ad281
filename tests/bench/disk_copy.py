"""Copying a disk through the engine beside plain `qemu-img convert`, both until the bytes are on the medium."""

import itertools
import subprocess
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from config.quickstart.guests import build_guest
from migrations_engine.domain.machine import SourceDisk
from migrations_engine.targets.base import no_progress
from migrations_engine.targets.qemu import images
from migrations_engine.targets.registry import open_target
from tests.bench.frame import Benchmark, Figure, Side, race

PEER = "qemu-img convert"
BEST_OPTIONS = ("-W", "-m", "16")  # the fastest of eight that were tried on raw and on qcow2


def measure(scratch: Path, rounds: int) -> Iterator[Figure]:
    guest = build_guest("full", settings.CACHE_DIR / "guests")
    small = scratch / "disk.qcow2"
    plain(guest.path, "raw", small, "qcow2")
    for path, source_format in ((guest.path, "raw"), (small, "qcow2")):
        yield copied(scratch, path, source_format, rounds)
        yield copied_and_verified(scratch, path, source_format, rounds)


def copied(scratch: Path, path: Path, source_format: str, rounds: int) -> Figure:
    size = images.inspect(path, source_format)
    out = scratch / "ours.raw"

    def work():
        images.convert(images.Pair(path, source_format, out, "raw", size), no_progress)
        images.sync(out)

    ours = Side("engine", work, gone(out))
    return race(
        f"copy from {source_format}", ours, peer(scratch, path, source_format), rounds=rounds, at_least=0.95
    )


def copied_and_verified(scratch: Path, path: Path, source_format: str, rounds: int) -> Figure:
    """All that a run does to have a disk of its own: look, copy, compare, record."""
    target = open_target("qemu", root=scratch / "machines")
    keys = (f"round-{number}" for number in itertools.count())
    made: list[str] = []

    def work():
        made.append(next(keys))
        target.copy(made[-1], SourceDisk(str(path), source_format))

    def before():
        while made:
            target.destroy(made.pop())

    ours = Side("engine", work, before)
    name = f"copy and verify from {source_format}"
    figure = race(name, ours, peer(scratch, path, source_format), rounds=rounds, at_least=0.75)
    before()
    return figure


def peer(scratch: Path, path: Path, source_format: str) -> Side:
    out = scratch / "peer.raw"
    return Side(PEER, lambda: plain(path, source_format, out, "raw"), gone(out))


def plain(path: Path, source_format: str, out: Path, out_format: str) -> None:
    command = ["qemu-img", "convert", *BEST_OPTIONS, "-f", source_format, "-O", out_format, path, out]
    subprocess.run(command, check=True)
    subprocess.run(["sync", out], check=True)


def gone(path: Path):
    return lambda: path.unlink(missing_ok=True)


BENCHMARK = Benchmark("disk-copy", "Is a disk copied as fast as by qemu-img alone?", measure)
