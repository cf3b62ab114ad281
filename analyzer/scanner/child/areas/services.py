"""Services that start by themselves, or could: systemd units, System V scripts, OpenRC runlevels."""

import re

from analyzer.domain.systemd_units import DIRECTORIES, KINDS, UnitFile, unit_states
from analyzer.scanner.child.notes import Notes
from analyzer.scanner.child.tree import Tree

MOST_UNITS = 5_000
_UNIT_LIMIT = 64 * 1024
_SUFFIXES = tuple(f".{kind}" for kind in KINDS)


def read(tree: Tree, facts: dict, notes: Notes) -> None:
    units = unit_files(tree)
    found = unit_states(units, _linked(tree))
    # a script that a unit of its name replaces; systemd-sysv-generator drops the .sh as well
    by_systemd = facts.get("init_system", "unknown") in ("systemd", "unknown")
    native = {name.removesuffix(".service") for name in units} if by_systemd else set()
    found += [each for each in _openrc(tree) + _sysv(tree) if each["name"].removesuffix(".sh") not in native]
    facts["services"] = found[:MOST_UNITS]
    if len(found) > MOST_UNITS:
        notes.partial("services", f"the first {MOST_UNITS} of {len(found)} units")
    if not found:
        notes.partial("services", "no service manager that is known here has anything to start")
    notes.full("services")


def unit_files(tree: Tree) -> dict[str, UnitFile]:
    """Each unit's deciding file; a merged /usr shows the same directory twice, which changes nothing."""
    found: dict[str, UnitFile] = {}
    for directory in DIRECTORIES:
        for name, kind in tree.listing(directory).items():
            if name.endswith(_SUFFIXES) and name not in found and len(found) < 2 * MOST_UNITS:
                found[name] = _unit_file(tree, directory, name, kind)
    return found


def _unit_file(tree: Tree, directory: str, name: str, kind: str) -> UnitFile:
    path = f"{directory}/{name}"
    target = tree.link(path) or "" if kind == "link" else ""
    if target == "/dev/null":
        return UnitFile(directory, masked=True)
    if target and target.rsplit("/", 1)[-1] != name:
        return UnitFile(directory, alias=True)
    text = tree.text(path, _UNIT_LIMIT) or ""
    return UnitFile(directory, text, masked=not text and directory == DIRECTORIES[0])


def _linked(tree: Tree) -> set[str]:
    found = set()
    for name, kind in tree.listing(DIRECTORIES[0]).items():
        if kind == "dir" and name.endswith((".wants", ".requires", ".upholds")):
            listing = tree.listing(f"{DIRECTORIES[0]}/{name}")
            found |= {unit for unit, unit_kind in listing.items() if unit_kind == "link"}
        elif kind == "link" and name.endswith(_SUFFIXES):
            target = (tree.link(f"{DIRECTORIES[0]}/{name}") or "").rsplit("/", 1)[-1]
            found |= {target} - {
                name
            }  # an alias switches on what it names; a link of the same name only adds it
    return found


def _openrc(tree: Tree) -> list[dict]:
    enabled = set()
    for level, kind in tree.listing("/etc/runlevels").items():
        if kind == "dir":
            enabled |= set(tree.listing(f"/etc/runlevels/{level}"))
    if not enabled:
        return []
    names = set(tree.listing("/etc/init.d")) - {"functions.sh"}
    return [_row(name, name in enabled, "openrc") for name in sorted(names | enabled)]


def _sysv(tree: Tree) -> list[dict]:
    if tree.is_dir("/etc/runlevels"):
        return []
    scripts = {name for name, kind in tree.listing("/etc/init.d").items() if kind == "file"}
    scripts -= {
        "README",
        "rc",
        "rcS",
        "rc.local",
        "functions",
        "skeleton",
        "single",
        "halt",
        "reboot",
        "killall",
    }
    enabled = set()
    for level in ("S", "2", "3", "5"):
        for folder in (f"/etc/rc{level}.d", f"/etc/rc.d/rc{level}.d"):
            enabled |= {name[3:] for name in tree.listing(folder) if re.match(r"S\d\d.", name)}
    return [_row(name, name in enabled, "sysv") for name in sorted(scripts)]


def _row(name: str, enabled: bool, kind: str) -> dict:
    return {"name": name, "enabled": enabled, "kind": kind, "state": "enabled" if enabled else "disabled"}
