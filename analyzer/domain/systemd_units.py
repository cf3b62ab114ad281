"""Which units a person has switched on, by the rules of systemctl(1) `is-enabled`, read from unit files.

Only `enabled`, `disabled` and `masked` are told: a unit with nothing to install ("static") is nobody's choice.
"""

import re
from typing import NamedTuple

KINDS = ("service", "socket", "timer", "path", "mount", "target")
# highest first; the first directory that has a file of a unit's name decides
DIRECTORIES = (
    "/etc/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)
_INSTALL = re.compile(r"^\[Install\]\s*$(.*?)(?=^\[|\Z)", re.MULTILINE | re.DOTALL)
_INSTALLS = re.compile(r"^(?:WantedBy|RequiredBy|UpheldBy|Alias)\s*=\s*(\S.*)$", re.MULTILINE)


class UnitFile(NamedTuple):
    """A unit's file in the directory that decides: a symlink's `target`, or its `text`."""

    directory: str
    target: str | None = None
    text: str = ""


def installable(text: str) -> bool:
    """Whether `systemctl enable` would have something to do."""
    return any(_INSTALLS.search(section) for section in _INSTALL.findall(text))


def unit_states(files: dict[str, UnitFile], linked: set[str]) -> list[dict]:
    """Units {name, enabled, kind, state}, by name.

    `linked`: names of the symlinks in `*.wants`, `*.requires` and of the aliases under /etc/systemd/system.
    """
    found = []
    for name in sorted(set(files) | {each for each in linked if _template(each) in files}):
        kind, state = name.rpartition(".")[2], _state(name, files, linked)
        if kind in KINDS and state:
            found.append({"name": name, "enabled": state == "enabled", "kind": kind, "state": state})
    return found


def _template(name: str) -> str:
    """ "getty@.service" of "getty@tty1.service"."""
    stem, _, suffix = name.rpartition(".")
    return f"{stem.partition('@')[0]}@.{suffix}" if "@" in stem else name


def _state(name: str, files: dict[str, UnitFile], linked: set[str]) -> str | None:
    unit = files.get(name) or files[_template(name)]
    empty = unit.target is None and not unit.text
    if unit.target == "/dev/null" or (empty and unit.directory == DIRECTORIES[0]):
        return "masked"
    if unit.target is not None and unit.directory != DIRECTORIES[0]:
        return None  # an alias that a package ships: its real name has a row of its own
    if name in linked:
        return "enabled"
    return "disabled" if unit.target is None and installable(unit.text) else None


def listens(text: str) -> list[tuple[str, str]]:
    """("tcp" | "udp", "address:port" or "port") of a .socket unit's Listen lines that are network ports."""
    found = []
    for kind, value in re.findall(r"^Listen(Stream|Datagram)\s*=\s*(\S+)\s*$", text, re.MULTILINE):
        if not value.startswith(("/", "@", "%")):
            found.append(("tcp" if kind == "Stream" else "udp", value))
    return found
