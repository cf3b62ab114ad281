"""The header of an installed rpm, as the rpm database stores it (rpm `docs/manual/format_header.md`), and dnf's record
of why it is there."""

import struct

_TAGS = {1000: "name", 1001: "version", 1002: "release", 1003: "epoch", 1016: "group", 1022: "arch"}
_INT32, _STRING, _I18NSTRING = 4, 6, 9
MOST_ENTRIES = 4096  # a header has some 70 entries; one package with more is a trap
AUTOMATIC = frozenset({"dependency", "weak dependency", "clean"})  # of dnf's reasons; a group was asked for


def parse_reasons(text: str) -> dict[str, bool]:
    """Name → whether somebody asked for it, of `name|reason` lines as dnf 4 ("weak-dependency", a blank line after
    each) and dnf 5 ("Weak Dependency") write them. Empty where nothing came along: then dnf did not see these
    installed, and its word for that ("unknown", "External User") says nothing."""
    found: dict[str, bool] = {}
    for line in text.splitlines():
        name, bar, reason = line.strip().partition("|")
        if name and bar:
            asked_for = reason.strip().lower().replace("-", " ") not in AUTOMATIC
            found[name] = found.get(name, False) or asked_for  # of two architectures one is enough
    return {} if all(found.values()) else found


def parse_header(blob: bytes) -> dict | None:
    """{name, version ("epoch:version-release"), architecture, section}; None for what is no package (gpg-pubkey).

    Raises ValueError for a blob that is no header.
    """
    values = _values(blob)
    if values.get("name") in (None, "gpg-pubkey"):
        return None
    version = f"{values.get('version', '')}-{values.get('release', '')}"
    if values.get("epoch"):
        version = f"{values['epoch']}:{version}"
    return {
        "name": values["name"],
        "version": version,
        "architecture": values.get("arch", ""),
        "section": values.get("group"),
    }


def _values(blob: bytes) -> dict:
    if len(blob) < 8:
        raise ValueError("an rpm header of less than 8 bytes")
    entries, data_size = struct.unpack_from(">II", blob)
    if entries > MOST_ENTRIES or 8 + 16 * entries + data_size > len(blob):
        raise ValueError("an rpm header that is longer than its row")
    data, values = 8 + 16 * entries, {}
    for index in range(entries):
        tag, kind, offset, _count = struct.unpack_from(">IIiI", blob, 8 + 16 * index)
        if tag in _TAGS and 0 <= offset < data_size:
            values[_TAGS[tag]] = _value(blob, kind, data + offset)
    return values


def _value(blob: bytes, kind: int, at: int) -> str | int | None:
    if kind in (_STRING, _I18NSTRING):
        end = blob.find(b"\0", at)
        return blob[at : end if end >= 0 else None].decode("utf-8", "backslashreplace")
    if kind == _INT32 and at + 4 <= len(blob):
        return struct.unpack_from(">I", blob, at)[0]
    return None
