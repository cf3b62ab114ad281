"""The estate of the sample company: small machines with real disks, each built from Debian's packages."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from config.quickstart.guests import build_guest
from config.quickstart.guests.guest import GuestName, Progress


@dataclass(frozen=True)
class Plot:
    """A machine to be: its disk is a copy of the sample guest `guest`, in the source of `department`."""

    name: str
    description: str
    department: str
    source: str
    guest: GuestName
    template: str = "debian-server"
    persona: str = ""

    def overrides(self, cache: Path) -> dict:
        """The demo also changes the kernel: the other one that the guest has is installed as default, and booted."""
        return {"kernel": {"version": build_guest(self.guest, cache).other_kernel, "intent": "install"}}


ESTATE = (
    Plot("shop-web-01", "nginx", "marketing", "Marketing images", "tiny-web", persona="web-dev"),
    Plot("session-cache-01", "Redis", "platform", "Platform images", "tiny-cache"),
    Plot("ledger-archive-01", "a plain Debian", "finance", "Finance images", "tiny-archive"),
)
"""The first one is migrated; the others wait to be looked at."""


def image_ensure(plot: Plot, image: Path, cache: Path, progress: Progress) -> None:
    """A sparse copy of the cached guest at `image`, whole or not there at all. Raises GuestBuildError."""
    guest = build_guest(plot.guest, cache, progress)
    part = image.with_suffix(".part")
    with guest.path.open("rb") as source, part.open("wb") as copy:
        _copy_data(source, copy)
    shutil.copystat(guest.path, part)
    part.rename(image)


def _copy_data(source, copy) -> None:
    size = os.fstat(source.fileno()).st_size
    copy.truncate(size)
    at = 0
    while at < size:
        try:
            at = os.lseek(source.fileno(), at, os.SEEK_DATA)
        except OSError:  # ENXIO: nothing but a hole up to the end
            break
        end = os.lseek(source.fileno(), at, os.SEEK_HOLE)
        while at < end:
            at += os.copy_file_range(source.fileno(), copy.fileno(), end - at, at, at)
    os.fsync(copy.fileno())
