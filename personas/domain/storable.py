"""Text that can be stored and told: a database takes no NUL, and half a surrogate pair is no UTF-8."""

import re
from typing import Any

HOLDS_TEXT = (str, dict, list)
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def unstorable(data: Any) -> str | None:
    """Where in JSON data the first such text is, as a pointer (`#/tags/cost`); None when there is none."""
    left = [("#", data)]
    while left:
        pointer, value = left.pop()
        if isinstance(value, str):
            if UNSTORABLE.search(value):
                return pointer
        elif isinstance(value, dict):
            for key in value:
                if UNSTORABLE.search(key):
                    return f"{pointer}/{UNSTORABLE.sub(escaped, key)}"
            left += [
                (f"{pointer}/{key}", each) for key, each in value.items() if isinstance(each, HOLDS_TEXT)
            ]
        elif isinstance(value, list):
            left += [
                (f"{pointer}/{at}", each) for at, each in enumerate(value) if isinstance(each, HOLDS_TEXT)
            ]
    return None


def escaped(found: re.Match) -> str:
    return f"\\u{ord(found[0]):04x}"
