"""Which kernels a guest gets: two of the cloud flavour, whatever the archive has today."""

import re

from config.quickstart.guests.apt import Apt, GuestBuildError

META = "linux-image-cloud-amd64"


def newest_two(apt: Apt) -> tuple[str, str]:
    """(newest, the one before) as `uname -r` says them, both of the series that the archive's own choice is of."""
    current = next((name for name in apt.depends(META) if name.startswith("linux-image-")), None)
    if current is None:
        raise GuestBuildError(f"apt has no {META}: a sample guest needs Debian's cloud kernel for amd64")
    newest = current.removeprefix("linux-image-")
    series = re.match(r"\d+\.\d+\.", newest)
    candidates = [name.removeprefix("linux-image-") for name in apt.names(f"linux-image-{series[0]}")]
    for version in older_than(newest, candidates):
        if apt.has(f"linux-image-{version}"):
            return newest, version
    raise GuestBuildError(f"apt has only one cloud kernel ({newest}); a guest with a choice needs two")


def older_than(newest: str, versions: list[str]) -> list[str]:
    """Those of the same flavour (no -dbg, no -unsigned) before `newest`, highest first."""
    return sorted(
        (each for each in versions if each.endswith("-cloud-amd64") and _numbers(each) < _numbers(newest)),
        key=_numbers,
        reverse=True,
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(digits) for digits in re.findall(r"\d+", version.removesuffix("-cloud-amd64")))
