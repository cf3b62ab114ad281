"""pip, which a bare Python may lack: its wheel runs as it is, so finding or fetching one file is enough."""

import importlib.util
import shutil
import sys
from pathlib import Path

from config.bootstrap.progress import VAR, private_dir, run_logged, say

DEBIAN_PACKAGE = "python3-pip-whl"  # holds pip as a wheel, in DEBIAN_FOLDER
DEBIAN_FOLDER = Path("usr/share/python-wheels")
BY_HAND = f"sudo sh -c 'apt-get update && apt-get install -y {DEBIAN_PACKAGE}'"
CACHE = VAR / "cache" / "pip-wheel"


def find_or_fetch() -> Path:
    """The path of a pip wheel: this Python's own, Debian's or the one fetched before; else fetched from Debian."""
    return find(folders()) or fetch()


def folders() -> list[Path]:
    spec = importlib.util.find_spec("ensurepip")
    own = [Path(spec.origin).parent / "_bundled"] if spec else []
    return [*own, "/" / DEBIAN_FOLDER, CACHE / "tree" / DEBIAN_FOLDER]


def find(places: list[Path]) -> Path | None:
    return next((wheel for place in places for wheel in sorted(place.glob("pip-*.whl"))), None)


def fetch() -> Path:
    """Download and unpack Debian's package into `var/cache`: needs no privilege, changes nothing in the system."""
    if not shutil.which("apt-get"):
        sys.exit(
            f"{sys.executable} comes without pip: install your system's package of it, then run this again."
        )
    say("This Python comes without pip: fetching Debian's copy of it into var/cache.")
    shutil.rmtree(CACHE, ignore_errors=True)
    for folder in ("lists/partial", "archives/partial"):
        private_dir(CACHE / folder)
    if (
        download([]) != 0
    ):  # the machine's package lists are absent or old, and not ours to write: take our own
        own = ["-o", f"Dir::State::Lists={CACHE}/lists", "-o", f"Dir::Cache={CACHE}"]
        code, _ = run_logged(["apt-get", *own, "-q", "update"], log="bootstrap")
        if code or download(own):
            sys.exit(f"pip could not be fetched (see {VAR}/log/bootstrap.log). Run: {BY_HAND}")
    (package,) = CACHE.glob(f"{DEBIAN_PACKAGE}_*.deb")
    run_logged(["dpkg-deb", "-x", package, CACHE / "tree"], log="bootstrap")
    for apt_state in (*CACHE.glob("*.bin"), package):
        apt_state.unlink()
    for folder in ("lists", "archives"):
        shutil.rmtree(CACHE / folder)
    if wheel := find(folders()):
        return wheel
    sys.exit(f"{package} holds no pip. Run: {BY_HAND}")


def download(options: list[str]) -> int:
    # apt-get has no option for the folder of a download: it writes to the current one
    script = 'cd "$1" && shift && apt-get "$@"'
    command = ["sh", "-c", script, "sh", CACHE, *options, "-q", "download", DEBIAN_PACKAGE]
    return run_logged(command, log="bootstrap")[0]
