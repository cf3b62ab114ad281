"""LVM2 metadata (`lib/format_text/layout.h`, the text that vgcfgbackup(8) writes): where a volume's bytes lie.

Our own, because libvslvm cannot open a group of several physical volumes. Linear and striped volumes, which is what
installers make; of thin, mirrored, RAID and cached ones only name and type are told.
"""

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

Read = Callable[[int, int], bytes]  # (offset, length) -> bytes, shorter at the end

SECTOR = 512
LONGEST_TEXT = 4 << 20
DEEPEST = 12  # sections within sections; LVM writes five
MOST_ROWS = 100_000
_MAGIC = b" LVM2 x[5A%r0N*>"
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[^\s"{}\[\]=,#]+|[{}\[\]=,]|#[^\n]*')


class BadLvm(ValueError):
    """The metadata is damaged; the message is for the user."""


class Piece(NamedTuple):
    """Bytes of a logical volume that lie on physical volumes: one stripe is a linear piece."""

    start: int
    length: int
    stripes: tuple[tuple[str, int], ...]  # (identity of the physical volume, offset on it)
    stripe_bytes: int


@dataclass(frozen=True)
class LogicalVolume:
    """`pieces` is empty for a `kind` that has no reader here."""

    name: str
    kind: str
    size: int
    pieces: tuple[Piece, ...]


@dataclass(frozen=True)
class Group:
    """`physical` are identities as `physical_identity` gives them."""

    name: str
    physical: tuple[str, ...]
    logical: tuple[LogicalVolume, ...]


def physical_identity(head: bytes) -> str | None:
    """32 characters behind a physical volume's label in its first 2 KiB; None where there is no label."""
    at = _label(head)
    return None if at is None else head[at + 32 : at + 64].decode("ascii", "replace")


def read_group(read: Read) -> Group | None:
    """The group that a physical volume says it is of; None for one that is of no group yet. Raises BadLvm."""
    try:
        text = _metadata_text(read)
        return _group(_parsed(text)) if text else None
    except BadLvm:
        raise
    except (struct.error, KeyError, TypeError, IndexError, ValueError, StopIteration) as error:
        raise BadLvm(f"its LVM metadata is damaged ({type(error).__name__}: {error})") from None


def _label(head: bytes) -> int | None:
    found = (at for at in range(0, 2048, SECTOR) if head[at : at + 8] == b"LABELONE")
    return next((at for at in found if head[at + 24 : at + 32] == b"LVM2 001"), None)


def _metadata_text(read: Read) -> str:
    head = read(0, 4096)
    at = _label(head)
    if at is None:
        raise BadLvm("its LVM label is gone")
    at += 32 + 32 + 8  # label header, identity, size of the device
    for areas in ("data", "metadata"):
        while (place := struct.unpack_from("<QQ", head, at)) != (0, 0):
            at += 16
            if areas == "metadata" and (text := _area_text(read, *place)):
                return text
        at += 16
    return ""


def _area_text(read: Read, start: int, size: int) -> str:
    """The newest text of a metadata area; it is a ring behind a header of one sector."""
    header = read(start, SECTOR)
    if header[4:20] != _MAGIC:
        raise BadLvm("its LVM metadata area is damaged")
    offset, length, _, flags = struct.unpack_from("<QQII", header, 40)
    if not offset or flags & 1 or length > min(size, LONGEST_TEXT) or not SECTOR <= offset < size:
        return ""
    straight = min(length, size - offset)
    data = read(start + offset, straight) + read(start + SECTOR, length - straight)
    return data.split(b"\0")[0].decode("utf-8", "replace")


def _parsed(text: str) -> dict:
    """Sections as dictionaries, `[…]` as lists, numbers as int."""
    stack: list[dict] = [{}]
    tokens = [token for token in _TOKEN.findall(text) if not token.startswith("#")]
    at = 0
    while at < len(tokens):
        if tokens[at] == "}":
            stack.pop()
            at += 1
        elif tokens[at + 1] == "{":
            inner: dict = {}
            stack[-1][tokens[at]] = inner
            stack.append(inner)
            at += 2
        else:
            stack[-1][tokens[at]], at = _value(tokens, at + 2)
        if not 0 < len(stack) <= DEEPEST:
            raise BadLvm("its LVM metadata is damaged: brackets do not match")
    return stack[0]


def _value(tokens: list[str], at: int) -> tuple[object, int]:
    """The value behind an equals sign, and where the next row begins."""
    if tokens[at] != "[":
        return _plain(tokens[at]), at + 1
    end = tokens.index("]", at, at + MOST_ROWS)
    return [_plain(each) for each in tokens[at + 1 : end] if each != ","], end + 1


def _plain(word: str) -> str | int:
    if word.startswith('"'):
        return word[1:-1]
    return int(word) if word.isdecimal() and len(word) < 20 else word


def _group(document: dict) -> Group:
    name, body = next((name, each) for name, each in document.items() if isinstance(each, dict))
    extent = int(body["extent_size"]) * SECTOR
    rows = body["physical_volumes"]
    places = {key: (row["id"].replace("-", ""), int(row["pe_start"]) * SECTOR) for key, row in rows.items()}
    volumes = [
        _logical(key, row, extent, places)
        for key, row in body.get("logical_volumes", {}).items()
        if "VISIBLE" in row["status"]
    ]
    return Group(name, tuple(identity for identity, _ in places.values()), tuple(volumes))


def _logical(name: str, row: dict, extent: int, places: dict[str, tuple[str, int]]) -> LogicalVolume:
    segments = [row[f"segment{number}"] for number in range(1, int(row["segment_count"]) + 1)]
    size = sum(int(segment["extent_count"]) for segment in segments) * extent
    other = next((segment["type"] for segment in segments if segment["type"] != "striped"), "")
    pieces = () if other else tuple(_piece(segment, extent, places) for segment in segments)
    return LogicalVolume(name, other or "striped", size, pieces)


def _piece(segment: dict, extent: int, places: dict[str, tuple[str, int]]) -> Piece:
    pairs = zip(segment["stripes"][::2], segment["stripes"][1::2], strict=True)
    stripes = tuple((places[key][0], places[key][1] + first * extent) for key, first in pairs)
    length = int(segment["extent_count"]) * extent
    chunk = int(segment.get("stripe_size", 0)) * SECTOR if len(stripes) > 1 else length
    if not stripes or chunk <= 0:
        raise BadLvm("its LVM metadata is damaged: a segment without place")
    return Piece(int(segment["start_extent"]) * extent, length, stripes, chunk)


def located(pieces: tuple[Piece, ...], offset: int, length: int) -> list[tuple[str, int, int]]:
    """(identity of the physical volume, offset on it, bytes) in the order in which they make up the range."""
    found = []
    while length > 0:
        piece = next((each for each in pieces if each.start <= offset < each.start + each.length), None)
        if piece is None:
            break  # behind the end
        within = offset - piece.start
        chunk, rest = divmod(within, piece.stripe_bytes)
        row, stripe = divmod(chunk, len(piece.stripes))
        identity, start = piece.stripes[stripe]
        step = min(length, piece.stripe_bytes - rest, piece.length - within)
        found.append((identity, start + row * piece.stripe_bytes + rest, step))
        offset, length = offset + step, length - step
    return found
