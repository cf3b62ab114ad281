"""Paths in a guest: links, mounts and limits, on a file system made of a dictionary."""

import pytest

from analyzer.scanner.child.areas import system
from analyzer.scanner.child.disk import Unreadable
from analyzer.scanner.child.filesystems import Child
from analyzer.scanner.child.notes import Notes
from analyzer.scanner.child.tree import Tree


class Dictionary:
    """A file system: nested dictionaries are directories, "-> x" a link, other values a file's bytes."""

    root = lost = 0

    def __init__(self, content: dict):
        self._nodes = [content]

    def children(self, inode):
        found = {}
        for name, value in self._nodes[inode].items():
            self._nodes.append(value)
            kind = "dir" if isinstance(value, dict) else "link" if str(value).startswith("-> ") else "file"
            found[name] = Child(len(self._nodes) - 1, kind)
        return found

    def size(self, inode):
        return len(self._nodes[inode])

    def read(self, inode, limit):
        return self._nodes[inode][:limit]

    def link(self, inode):
        return self._nodes[inode][3:]


GUEST = {
    "etc": {
        "name": b"guest",
        "up": "-> ../../../etc/name",
        "abs": "-> /etc/name",
        "loop": "-> loop",
        "dead": "-> no",
    },
    "lib": "-> usr/lib",
    "usr": {"lib": {"unit": b"text"}, "here": "-> ."},
    "var": {"old": b"hidden"},
}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/etc/name", "guest"),
        ("etc//./name", "guest"),
        ("/etc/up", "guest"),
        ("/etc/abs", "guest"),
        ("/lib/unit", "text"),
        ("/usr/here/here/here/lib/unit", "text"),
        ("/../../etc/name", "guest"),
        ("/etc/loop", None),
        ("/etc/dead", None),
        ("/etc", None),
        ("/etc/name/x", None),
        ("", None),
    ],
)
def test_paths_lead_where_the_guest_would_go(path, text):
    assert Tree(Dictionary(GUEST)).text(path) == text


def test_a_link_is_told_as_it_is_written():
    tree = Tree(Dictionary(GUEST))
    assert tree.link("/etc/loop") == "loop"
    assert tree.link("/lib/unit") is None
    assert tree.link("/nowhere") is None


def test_forty_links_are_followed_and_no_more():
    chain = {f"l{number}": f"-> l{number + 1}" for number in range(60)} | {"l60": b"end"}
    tree = Tree(Dictionary(chain))
    assert tree.text("/l20") == "end"
    assert tree.text("/l19") is None


def test_a_path_that_doubles_with_every_link_ends():
    bomb = {f"l{number}": f"-> l{number + 1}/../l{number + 1}" for number in range(39)} | {"l39": "-> ."}
    assert Tree(Dictionary(bomb)).find("/l0") is None


def test_a_mounted_file_system_hides_what_stood_there():
    tree = Tree(Dictionary(GUEST))
    tree.mount("/var", Dictionary({"new": b"seen", "up": "-> ../etc/name"}))
    assert tree.text("/var/old") is None
    assert tree.text("/var/new") == "seen"
    assert tree.text("/var/up") == "guest"
    with pytest.raises(Unreadable):
        tree.mount("/etc/name", Dictionary({}))


def test_a_long_file_is_cut_and_noted():
    tree = Tree(Dictionary({"f": b"12345"}))
    assert tree.read("/f", 3) == b"123"
    assert tree.cut == {"/f"}
    assert tree.read("/f", 5) == b"12345"


def test_a_pattern_finds_what_exists():
    tree = Tree(Dictionary({"a": {"x": {"c": b""}, "y": {}}, "b": {"x": {"c": b""}}}))
    assert list(tree.glob("/*/x/c")) == ["/a/x/c", "/b/x/c"]
    assert list(tree.glob("/a/*/c")) == ["/a/x/c"]
    assert list(tree.glob("/nowhere/*")) == []


@pytest.mark.parametrize(
    ("files", "init"),
    [
        ({"sbin": {"init": "-> /lib/systemd/systemd"}, "lib": {"systemd": {"systemd": b""}}}, "systemd"),
        (
            {
                "sbin": {"init": "-> /bin/busybox", "openrc": b""},
                "bin": {"busybox": b""},
                "etc": {"runlevels": {}},
            },
            "openrc",
        ),
        ({"sbin": {"init": "-> /bin/busybox"}, "bin": {"busybox": b""}}, "busybox"),
        ({"init": b"#!/bin/sh", "bin": {"busybox": b""}}, "busybox"),
        ({"sbin": {"init": b"\x7fELF"}, "etc": {"inittab": b""}}, "sysvinit"),
        ({"sbin": {"init": "-> runit-init", "runit-init": b""}}, "runit"),
        ({}, "unknown"),
    ],
)
def test_init_systems(files, init):
    facts = {}
    system.read(Tree(Dictionary(files)), facts, Notes())
    assert facts["init_system"] == init


def test_windows_is_told_and_its_version_left_open():
    facts, notes = {}, Notes()
    system.read(Tree(Dictionary({"Windows": {"System32": {}}})), facts, notes)
    assert facts["os"]["family"] == "windows"
    assert next(row for row in notes.coverage() if row["area"] == "os")["state"] == "partial"


def test_a_system_from_before_os_release_is_known_by_its_line():
    facts = {}
    release = {
        "etc": {
            "redhat-release": b"CentOS release 6.10 (Final)\n",
            "sysconfig": {"network": b"HOSTNAME=old\n"},
        }
    }
    system.read(Tree(Dictionary(release)), facts, Notes())
    assert (facts["os"]["family"], facts["os"]["version"], facts["hostname"]) == ("rhel", "6.10", "old")
