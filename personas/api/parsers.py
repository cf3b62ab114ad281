"""JSON that every later step can walk through."""

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

from personas.domain.nesting import MOST_LEVELS, levels


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
