"""JSON that every later step can walk through."""

from typing import Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

MOST_LEVELS = 32  # the vocabulary has five; what unfolds deeper than Python's stack would end as a 500


class ShallowJSONParser(JSONParser):
    """Raises ParseError (400) where mappings and lists are nested deeper than `MOST_LEVELS`."""

    def parse(self, stream, media_type=None, parser_context=None):
        try:
            data = super().parse(stream, media_type, parser_context)
        except RecursionError:
            raise too_deep() from None
        if levels(data) > MOST_LEVELS:
            raise too_deep()
        return data


def too_deep() -> ParseError:
    return ParseError(f"The JSON is nested deeper than {MOST_LEVELS} levels.")


def levels(data: Any) -> int:
    """How many mappings and lists stand inside each other, the outermost included."""
    count, level = 0, [data]
    while level := [each for each in level if isinstance(each, (dict, list))]:
        count += 1
        level = [child for each in level for child in (each.values() if isinstance(each, dict) else each)]
    return count
