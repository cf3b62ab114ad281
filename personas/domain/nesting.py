"""How deeply data are nested: what unfolds deeper than Python's stack would end as an internal error."""

from typing import Any

MOST_LEVELS = 32  # the vocabulary has five


def levels(data: Any) -> int:
    """How many mappings and lists stand inside each other, the outermost included."""
    count, level = 0, [data]
    while level := [each for each in level if isinstance(each, (dict, list))]:
        count += 1
        level = [child for each in level for child in (each.values() if isinstance(each, dict) else each)]
    return count
