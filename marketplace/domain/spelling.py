"""Which word somebody meant."""

import difflib
import re
from collections.abc import Iterable

AT_LEAST = 0.6  # difflib's ratio: two wrong letters of five


def closest_word(word: str, names: Iterable[str]) -> str:
    """The word of these names that is most like `word`; `word` itself where none is."""
    there = {each for name in names for each in re.findall(r"\w+", name.lower())}
    return next(iter(difflib.get_close_matches(word.lower(), sorted(there), n=1, cutoff=AT_LEAST)), word)
