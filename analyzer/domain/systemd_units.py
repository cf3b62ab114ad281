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
    """A unit's file in the directory that decides: the `text` that stands for it, or an `alias` of another unit."""

    directory: str
    text: str = ""
    alias: bool = False
    masked: bool = False


def installable(text: str) -> bool:
    """Whether `systemctl enable` would have something to do."""
    return any(_INSTALLS.search(section) for section in _INSTALL.findall(text))


def unit_states(files: dict[str, UnitFile], linked: set[str]) -> list[dict]:
    """Units {name, enabled, kind, state}, by name; an instance that is switched on has a row beside its template.

    `linked`: names of the symlinks in `*.wants` and `*.requires`, and what the aliases name, under
    /etc/systemd/system.
    """
    found = []
    instances = {name for name in linked if _template(name) in files}
    switched_on = linked | {_template(name) for name in instances}
    for name in sorted(set(files) | instances):
        kind, state = (
            name.rpartition(".")[2],
            _state(files.get(name) or files[_template(name)], name in switched_on),
        )
        if kind in KINDS and state:
            found.append({"name": name, "enabled": state == "enabled", "kind": kind, "state": state})
    return found


def _template(name: str) -> str:
    """ "getty@.service" of "getty@tty1.service"."""
    stem, _, suffix = name.rpartition(".")
    return f"{stem.partition('@')[0]}@.{suffix}" if "@" in stem else name


def _state(unit: UnitFile, switched_on: bool) -> str | None:
    if unit.masked:
        return "masked"
    if unit.alias:
        return None  # the unit it names has a row of its own
    if switched_on:
        return "enabled"
    return "disabled" if installable(unit.text) else None


def listens(text: str) -> list[tuple[str, str]]:
    """("tcp" | "udp", "address:port" or "port") of a .socket unit's Listen lines that are network ports."""
    found = []
    for kind, value in re.findall(r"^Listen(Stream|Datagram)\s*=\s*(\S+)\s*$", text, re.MULTILINE):
        if not value.startswith(("/", "@", "%")):
            found.append(("tcp" if kind == "Stream" else "udp", value))
    return found
