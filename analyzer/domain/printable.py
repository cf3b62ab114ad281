"""Texts from a disk made safe to store and show: nothing invisible, nothing endless."""

import unicodedata


def printable(text: str | bytes, limit: int = 256) -> str:
    r"""`text` with every unprintable character written out (`\n`, `\u202e`, `\xff`), at most `limit` long.

    Control characters, bidi overrides and lone surrogates are Unicode category C; PostgreSQL cannot store
    NUL and a page would show `gpj.exe` as something else.
    """
    if isinstance(text, bytes):
        text = text[: limit * 4].decode("utf-8", "backslashreplace")
    text = text[:limit]
    if not text.isprintable():  # quick path: str.isprintable is C and true for almost everything
        text = "".join(_escaped(character) for character in text)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _escaped(character: str) -> str:
    if unicodedata.category(character)[0] != "C":
        return character
    return character.encode("unicode_escape").decode("ascii")
