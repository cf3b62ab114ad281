"""Installed packages, from whichever databases the disk holds."""

import sqlite3
from pathlib import Path

from analyzer.domain import apk, dpkg, pacman, rpm
from analyzer.scanner.child.notes import Notes
from analyzer.scanner.child.tree import Tree

MOST_PACKAGES = 50_000
_STATUS_LIMIT = 32 << 20  # 3,000 packages take 4 MB
_RPM_LIMIT = 192 << 20  # must fit the sandbox's /tmp; a desktop's rpmdb.sqlite takes 150 MB
_LONGEST_HEADER = 16 << 20  # an rpm header of a package with 100,000 files
_SQL_STEPS = 200_000_000  # then the query is stopped: a hostile schema can loop for ever


def read(tree: Tree, facts: dict, notes: Notes) -> None:
    found = [*_dpkg(tree), *_rpm(tree, notes), *_apk(tree), *_pacman(tree)]
    facts["packages"] = found[:MOST_PACKAGES]
    if len(found) > MOST_PACKAGES:
        notes.partial("packages", f"the first {MOST_PACKAGES} of {len(found)} packages")
    for path in ("/var/lib/dpkg/status", "/lib/apk/db/installed"):
        if path in tree.cut:
            notes.partial("packages", f"{path} is too long: only its beginning was read")
    if found:
        notes.full("packages")
    else:
        notes.partial("packages", "no package database was found")


def _dpkg(tree: Tree) -> list[dict]:
    texts = [tree.text("/var/lib/dpkg/status", _STATUS_LIMIT) or ""]
    texts += [
        tree.text(path) or ""
        for path in tree.glob("/var/lib/dpkg/status.d/*", most=5000)
        if "." not in path[22:]
    ]
    packages = [package for text in texts for package in dpkg.parse_status(text)]
    automatic = dpkg.parse_auto_installed(tree.text("/var/lib/apt/extended_states", _STATUS_LIMIT) or "")
    native = next((each["architecture"] for each in packages if each["name"] in ("dpkg", "base-files")), "")
    return [{**package, "manager": "dpkg"} for package in dpkg.mark_manual(packages, automatic, native)]


def _rpm(tree: Tree, notes: Notes) -> list[dict]:
    for folder in ("/var/lib/rpm", "/usr/lib/sysimage/rpm"):
        if tree.is_file(f"{folder}/rpmdb.sqlite"):
            return [{**package, "manager": "rpm"} for package in _rpm_sqlite(tree, folder, notes)]
        for name in ("Packages", "Packages.db"):
            if tree.is_file(f"{folder}/{name}"):
                notes.partial(
                    "packages", f"{folder}/{name} is an older rpm database, which has no reader here"
                )
    return []


def _rpm_sqlite(tree: Tree, folder: str, notes: Notes) -> list[dict]:
    """Reads a copy in the sandbox's memory. The write-ahead log goes with it: a running guest's last changes."""
    copy = Path("/tmp/rpmdb.sqlite")  # noqa: S108 - the sandbox's own /tmp
    if tree.size(f"{folder}/rpmdb.sqlite") > _RPM_LIMIT:
        notes.partial("packages", "the rpm database is too large to be read")
        return []
    for suffix in ("", "-wal"):
        data = tree.read(f"{folder}/rpmdb.sqlite{suffix}", _RPM_LIMIT)
        if data:
            copy.with_name(copy.name + suffix).write_bytes(data)
    try:
        return _rpm_rows(copy, notes)
    except sqlite3.Error as error:
        notes.partial("packages", f"the rpm database is damaged: {error}")
        return []


def _rpm_rows(database: Path, notes: Notes) -> list[dict]:
    packages, steps = [], [0]

    def stop() -> bool:
        steps[0] += 100_000
        return steps[0] > _SQL_STEPS

    connection = sqlite3.connect(database)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_HEADER)
    connection.set_progress_handler(stop, 100_000)
    connection.execute("PRAGMA trusted_schema = OFF")
    if not _is_plain_table(connection):
        raise sqlite3.DatabaseError("it has no table Packages as rpm makes it")
    for (blob,) in connection.execute("SELECT blob FROM Packages LIMIT ?", (MOST_PACKAGES,)):
        try:
            package = rpm.parse_header(blob) if isinstance(blob, bytes) else None
        except ValueError as error:
            notes.partial("packages", f"a damaged row in the rpm database: {error}")
            continue
        if package:
            packages.append(package)
    connection.close()
    return packages


def _is_plain_table(connection: sqlite3.Connection) -> bool:
    """Neither a view nor computed columns: their expressions would be somebody else's program."""
    kind = connection.execute("SELECT type FROM sqlite_schema WHERE name = 'Packages'").fetchone()
    columns = connection.execute("SELECT name, hidden FROM pragma_table_xinfo('Packages')").fetchall()
    return kind == ("table",) and sorted(columns) == [("blob", 0), ("hnum", 0)]


def _apk(tree: Tree) -> list[dict]:
    installed = tree.text("/lib/apk/db/installed", _STATUS_LIMIT) or ""
    world = tree.text("/etc/apk/world") or ""
    return [{**package, "manager": "apk"} for package in apk.parse_installed(installed, world)]


def _pacman(tree: Tree) -> list[dict]:
    paths = tree.glob("/var/lib/pacman/local/*/desc", most=10_000)
    packages = (pacman.parse_desc(tree.text(path) or "") for path in paths)
    return [{**package, "manager": "pacman"} for package in packages if package]
