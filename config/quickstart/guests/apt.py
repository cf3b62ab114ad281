"""Debian packages through the machine's own apt configuration; nothing is installed on this machine."""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path


class GuestBuildError(RuntimeError):
    """A guest cannot be built here; the message says what is missing, with the tool's own words."""


def run(command: list[str], **options) -> str:
    """Its standard output. Raises GuestBuildError with the last lines it wrote."""
    try:
        done = subprocess.run(command, text=True, capture_output=True, check=False, **options)
    except FileNotFoundError as error:
        raise GuestBuildError(f"{command[0]} is not installed") from error
    if done.returncode:
        last_words = "\n".join((done.stderr or done.stdout).strip().splitlines()[-12:])
        raise GuestBuildError(f"{command[0]} ended with {done.returncode}: {last_words}")
    return done.stdout


@dataclass(frozen=True)
class Apt:
    options: tuple[str, ...] = ()

    @classmethod
    def open(cls, scratch: Path) -> "Apt":
        """Apt with package lists: the machine's, else private ones fetched into `scratch` (needs no root)."""
        # the sandbox user _apt may not enter our private directories, and what is fetched is verified anyway
        options = ("-o", "APT::Sandbox::User=root") if os.geteuid() == 0 else ()
        apt = cls(options)
        if apt.has("base-files"):
            return apt
        lists, archives = scratch / "lists", scratch / "archives"
        for folder in (lists / "partial", archives / "partial"):
            folder.mkdir(parents=True, exist_ok=True)
        private = cls(
            (
                *options,
                "-o",
                f"Dir::State::lists={lists}",
                "-o",
                f"Dir::Cache={scratch}",
                "-o",
                f"Dir::Cache::archives={archives}",
            )
        )
        run(["apt-get", *private.options, "-q", "update"])
        if not private.has("base-files"):
            raise GuestBuildError("apt knows no packages here: the sample guests are built from Debian's")
        return private

    def has(self, package: str) -> bool:
        policy = run(["apt-cache", *self.options, "policy", package], env=_plain())
        found = re.search(r"Candidate: (\S+)", policy)
        return found is not None and found[1] != "(none)"

    def names(self, prefix: str) -> list[str]:
        return run(["apt-cache", *self.options, "pkgnames", prefix], env=_plain()).split()

    def depends(self, package: str) -> list[str]:
        text = run(["apt-cache", *self.options, "depends", package], env=_plain())
        return re.findall(r"^\s*(?:Pre)?Depends: (\S+)", text, re.MULTILINE)

    def closure(self, packages: list[str]) -> list[str]:
        """The packages and everything they depend on, as if nothing were installed."""
        options = (*self.options, "-o", "Dir::State::status=/dev/null", "-o", "Debug::NoLocking=1")
        text = run(["apt-get", *options, "-s", "install", "--no-install-recommends", *packages], env=_plain())
        return sorted(set(re.findall(r"^Inst (\S+)", text, re.MULTILINE)))

    def download(self, packages: list[str], into: Path) -> list[Path]:
        """The packages' files in `into`; those already there are not fetched again."""
        into.mkdir(parents=True, exist_ok=True)
        run(["apt-get", *self.options, "-q", "download", *packages], cwd=into, env=_plain())
        return [_newest(into, package) for package in packages]


def _newest(folder: Path, package: str) -> Path:
    found = sorted(folder.glob(f"{package}_*.deb"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise GuestBuildError(f"apt-get download left no file for {package}")
    return found[-1]


def _plain() -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}


def unpack(package: Path, tree: Path) -> None:
    tree.mkdir(parents=True, exist_ok=True)
    run(["dpkg-deb", "--extract", str(package), str(tree)])


def control(package: Path) -> str:
    """The package's control paragraph, ending with a line end."""
    return run(["dpkg-deb", "--field", str(package)])
