"""Which files of a folder are the disks of one machine, told by their names alone (docs/adr/0008)."""

import re
from collections.abc import Iterable
from pathlib import PurePath

UNFINISHED = (".part", ".tmp", ".partial", ".crdownload")  # what tools call a copy that is under way


class Ambiguous(ValueError):
    """Two files claim to be the same disk; the message names them."""


def disks_of_folder(folder: str, names: Iterable[str]) -> list[str]:
    """Those of `names` that are the disks of the machine `folder`, the first one first; [] for a folder of machines.

    "disk", "disk0", "disk-1", "db-01-disk2" are disks in any case; "db-01_1" and "db-01-2" are where "db-01" itself is
    beside them, as hypervisors name the further disks of a machine. Raises Ambiguous.
    """
    numbered: dict[int, list[str]] = {}
    further: dict[int, list[str]] = {}
    for name in names:
        stem = _stem(name)
        if match := _disk(folder).fullmatch(stem):
            numbered.setdefault(int(match["number"] or -1), []).append(name)
        elif match := _further(folder).fullmatch(stem):
            further.setdefault(int(match["number"] or -1), []).append(name)
    if -1 in further:
        numbered = _joined(numbered, further)
    for same in numbered.values():
        if len(same) > 1:
            raise Ambiguous(f"{' and '.join(sorted(same))} claim to be the same disk of one machine")
    return [numbered[number][0] for number in sorted(numbered)]


def _stem(name: str) -> str:
    path = PurePath(name)
    return PurePath(path.stem).stem if path.suffix.lower() in UNFINISHED else path.stem


def _joined(numbered: dict[int, list[str]], further: dict[int, list[str]]) -> dict[int, list[str]]:
    return {number: numbered.get(number, []) + further.get(number, []) for number in {*numbered, *further}}


def _disk(folder: str) -> re.Pattern:
    return re.compile(rf"(?:{re.escape(folder)}[-_. ])?disk[-_. ]?(?P<number>\d{{0,3}})", re.IGNORECASE)


def _further(folder: str) -> re.Pattern:
    return re.compile(rf"{re.escape(folder)}(?:[-_](?P<number>\d{{1,3}}))?", re.IGNORECASE)
