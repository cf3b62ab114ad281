"""Packages from this machine's own apt: what it offers and the files themselves. Nothing is installed here."""

import os
import platform
import re
import subprocess
import tempfile
import time
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from analyzer.domain.facts import Facts
from migrations_engine.domain.debian import Package, packages
from migrations_engine.targets.base import KeepAlive, TargetError
from migrations_engine.targets.qemu import images

LISTS = Path("/var/lib/apt/lists")
ASK_S = 60
FETCH_S = 600  # a kernel, on a slow line
IMPATIENT = (
    "-o",
    "Acquire::Retries=1",
    "-o",
    "Acquire::http::Timeout=15",
    "-o",
    "Acquire::https::Timeout=15",
)


class NotOffered(TargetError):
    """This machine's apt cannot give a package; the message is a clause for a person."""


def foreign_to(facts: Facts) -> bool:
    """Whether the guest has another system than this machine, or another release of it."""
    ours = platform.freedesktop_os_release()
    ids = (facts.os.id, facts.os.version.split(".")[0])
    return ids != (ours["ID"], ours.get("VERSION_ID", "").split(".")[0])


def system() -> str:
    """This machine's, as it calls itself."""
    return platform.freedesktop_os_release()["PRETTY_NAME"]


def offered(*names: str) -> Mapping[str, Package]:
    """What of `names` there is, and all that they may need, each in the version that apt would install.

    Asked once, until apt has new lists. Raises NotOffered where there is no apt.
    """
    return _offered(names, LISTS.stat().st_mtime_ns if LISTS.is_dir() else 0)


@lru_cache(maxsize=32)
def _offered(names: tuple[str, ...], as_of: int) -> Mapping[str, Package]:
    """`as_of` changes with every `apt-get update`: what was asked before that is asked again."""
    own, providers = _closure(names)
    further = _closure(tuple(providers - own))[0] if providers - own else set()
    everything = sorted(own | providers | further)
    return packages(_ask("show", "--no-all-versions", *everything)) if everything else {}


def _closure(names: tuple[str, ...]) -> tuple[set[str], set[str]]:
    """(all that `names` may need, and they; who provides what is no package of its own: apt indents these)."""
    rows = re.findall(
        r"^( *)([a-z0-9][a-z0-9+.-]+)$", _ask("depends", "--recurse", "--important", *names), re.MULTILINE
    )
    return {name for indent, name in rows if not indent}, {name for indent, name in rows if indent}


def _ask(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["apt-cache", *arguments],
            capture_output=True,
            text=True,
            check=False,  # a name without a package among many makes it fail, with an answer for the others
            timeout=ASK_S,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )
    except FileNotFoundError as error:
        raise NotOffered("this machine has no apt to fetch packages with") from error
    except subprocess.TimeoutExpired as error:
        raise NotOffered("this machine's apt does not answer") from error
    return done.stdout


def fetch(name: str, version: str, shelf: Path, keep_alive: KeepAlive, timeout_s: float = FETCH_S) -> Path:
    """The package's file on `shelf`, where it stays; apt has compared it with the archive's checksum.

    Raises NotOffered.
    """
    kept = shelf / f"{name}_{version.replace(':', '%3a')}.deb"
    if not kept.exists():
        shelf.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=shelf) as scratch:
            images.rename_durably(download(f"{name}={version}", Path(scratch), keep_alive, timeout_s), kept)
    return kept


def files(packages: tuple[str, ...], shelf: Path, keep_alive: KeepAlive) -> dict[str, Path]:
    """Name in the guest → file here, of packages as `Access` and `Software` name them. Raises NotOffered."""
    pairs = (package.split("=", 1) for package in packages)
    return {f"{name}.deb": fetch(name, version, shelf, keep_alive) for name, version in pairs}


def download(package: str, into: Path, keep_alive: KeepAlive, timeout_s: float = FETCH_S) -> Path:
    """`package` may say a version ("name=version"). Raises NotOffered, and what `keep_alive` raises."""
    # apt's own user may not enter our private folder, and what is fetched is verified anyway
    sandbox = ("-o", "APT::Sandbox::User=root") if os.geteuid() == 0 else ()
    code = _watched(["apt-get", *sandbox, *IMPATIENT, "-q", "download", package], into, keep_alive, timeout_s)
    files = list(into.glob("*.deb"))
    if code or not files:
        raise NotOffered(f"this machine's apt offers no {package}, or cannot reach its archive")
    return files[0]


def _watched(command: list[str], cwd: Path, keep_alive: KeepAlive, timeout_s: float) -> int:
    try:
        child = subprocess.Popen(command, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except FileNotFoundError as error:
        raise NotOffered("this machine has no apt to fetch packages with") from error
    deadline = time.monotonic() + timeout_s
    with child:
        try:
            while time.monotonic() < deadline:
                try:
                    return child.wait(1)
                except subprocess.TimeoutExpired:
                    keep_alive()
            raise NotOffered("this machine's apt did not end")
        finally:
            child.kill()
