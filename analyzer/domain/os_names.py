"""Systems as inventories write them, in the words of os-release: `Red Hat Enterprise Linux 8 (64-bit)` → rhel 8."""

import re

_NAMES = (  # first match wins: the longer name stands before the shorter one that it contains
    ("windows", r"windows"),
    ("rhel", r"red ?hat|\brhel\b"),
    ("centos", r"centos"),
    ("rocky", r"rocky"),
    ("almalinux", r"alma ?linux"),
    ("ol", r"oracle (?:enterprise )?linux"),
    ("amzn", r"amazon linux|\bamzn\b"),
    ("fedora", r"fedora"),
    ("sles", r"suse linux enterprise|\bsles\b"),
    ("opensuse", r"opensuse"),
    ("ubuntu", r"ubuntu"),
    ("debian", r"debian"),
    ("alpine", r"alpine"),
    ("arch", r"arch linux|\barchlinux\b"),
    ("photon", r"photon"),
    ("freebsd", r"freebsd"),
    ("linux", r"linux"),
)
_PATTERNS = tuple((os_id, re.compile(pattern)) for os_id, pattern in _NAMES)
_BITS = re.compile(r"\(?\b(?:32|64)-?bit\b\)?")
_VERSION = re.compile(r"\b(\d+(?:\.\d+)*)(?:\s+r2\b)?")


def os_of(name: object, version: object = "") -> tuple[str, str]:
    """(id, version) of a system's name, each "" where it is not told; an explicit `version` counts more."""
    text = _BITS.sub(" ", str(name or "")[:200].lower()).strip()
    told = str(version or "").strip()[:64]
    for os_id, pattern in _PATTERNS:
        if match := pattern.search(text):
            found = _VERSION.search(text, match.end())
            return os_id, told or (found[0] if found else "")
    return "", told
