"""Names that a reader takes for another one: letters of other alphabets, digits for letters, a letter more or less."""

import re
import unicodedata
from collections.abc import Iterable

from confusable_homoglyphs import confusables

# What looks the same in a usual font, after other alphabets have been brought to Latin letters
SAME = (("rn", "m"), ("vv", "w"), ("cl", "d"), ("0", "o"), ("1", "l"), ("i", "l"), ("5", "s"), ("3", "e"))
LEAST_LETTERS = 5  # shorter names are one letter apart by chance


def looks_like(name: str, others: Iterable[str]) -> str | None:
    """The first of the others that it could be taken for."""
    mine = skeleton(name)
    return next((other for other in others if _too_close(mine, skeleton(other))), None)


def skeleton(name: str) -> str:
    """The name as a hasty reader sees it."""
    plain = unicodedata.normalize("NFKD", _latin(name)).casefold()
    plain = re.sub(r"[\W_]", "", plain)
    for seen, meant in SAME:
        plain = plain.replace(seen, meant)
    return plain


def _latin(name: str) -> str:
    found = confusables.is_confusable(name, greedy=True, preferred_aliases=["latin"]) or []
    latin = {
        each["character"]: glyph["c"]
        for each in found
        for glyph in reversed(each["homoglyphs"])
        if glyph["n"].startswith("LATIN") and glyph["c"].isascii()
    }
    return "".join(latin.get(letter, letter) if not letter.isascii() else letter for letter in name)


def _too_close(mine: str, other: str) -> bool:
    if mine == other:
        return True
    return min(len(mine), len(other)) >= LEAST_LETTERS and distance_at_most_one(mine, other)


def distance_at_most_one(one: str, other: str) -> bool:
    """Whether one letter added, left out or exchanged, or two neighbours swapped, makes the one the other."""
    shorter, longer = sorted((one, other), key=len)
    if len(longer) - len(shorter) > 1:
        return False
    at = next((n for n, (a, b) in enumerate(zip(shorter, longer, strict=False)) if a != b), len(shorter))
    if len(shorter) < len(longer):
        return shorter[at:] == longer[at + 1 :]
    swapped = shorter[at : at + 2] == longer[at : at + 2][::-1] and shorter[at + 2 :] == longer[at + 2 :]
    return shorter[at + 1 :] == longer[at + 1 :] or swapped
