"""The full guest as it would be if nobody had installed the guest agent: taken out of a copy of its disk, offline."""

import re
from pathlib import Path

from config.quickstart.guests.apt import GuestBuildError, run
from config.quickstart.guests.disk import ROOT_START, sbin_path

TAKEN_OUT = ("qemu-guest-agent", "liburing2")  # the agent, and a library that only the agent needs
INFO = "/var/lib/dpkg/info"
STATUS = "/var/lib/dpkg/status"


def write_without_agent(full: Path, image: Path, scratch: Path) -> None:
    """Writes a raw image. Raises GuestBuildError."""
    run(["cp", "--sparse=always", str(full), str(image)])
    status = scratch / "status"
    status.write_text(_without(_debugfs(image, f"cat {STATUS}")))
    requests = [f"rm {path}" for path in _files(image)]
    requests += [f"rm {STATUS}", f"write {status} {STATUS}"]
    script = scratch / "requests"
    script.write_text("\n".join(requests) + "\n")
    run(["debugfs", "-w", "-f", str(script), _inside(image)], env=sbin_path())
    run(["e2fsck", "-fn", _inside(image)], env=sbin_path())
    if "Type: " in _debugfs(image, "stat /usr/sbin/qemu-ga"):
        raise GuestBuildError("the guest agent is still on the disk")


def _without(status: str) -> str:
    """dpkg's status without the paragraphs of what is taken out."""
    paragraphs = re.split(r"\n\n(?=Package: )", status.strip())
    kept = (each for each in paragraphs if each.split("\n", 1)[0].removeprefix("Package: ") not in TAKEN_OUT)
    return "\n\n".join(kept) + "\n"


def _files(image: Path) -> list[str]:
    """What the packages brought, dpkg's own files about them, and the links that their scripts made."""
    own = [f"{INFO}/{name}" for name in _names(image, INFO) if name.split(".")[0].split(":")[0] in TAKEN_OUT]
    paths = [
        line for path in own if path.endswith(".list") for line in _debugfs(image, f"cat {path}").split()
    ]
    links = [
        f"/etc/rc{level}.d/{name}"
        for level in "0123456S"
        for name in _names(image, f"/etc/rc{level}.d")
        if name.endswith(TAKEN_OUT)
    ]
    return [*links, *(path for path in paths if not _is_folder(image, path, paths)), *own]


def _is_folder(image: Path, path: str, paths: list[str]) -> bool:
    """Also /lib, which a package calls a folder and which is a link to one."""
    holds_others = any(other.startswith(f"{path.rstrip('/.')}/") for other in paths)
    return holds_others or "Type: directory" in _debugfs(image, f"stat {path}")


def _names(image: Path, folder: str) -> list[str]:
    rows = _debugfs(image, f"ls -p {folder}").splitlines()
    return [row.split("/")[5] for row in rows if row.count("/") >= 6]


def _debugfs(image: Path, request: str) -> str:
    return run(["debugfs", "-R", request, _inside(image)], env=sbin_path())


def _inside(image: Path) -> str:
    return f"{image}?offset={ROOT_START}"
