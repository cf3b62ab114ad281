"""JSON that every later step can walk through and store."""

from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.parsers import JSONParser

from personas.domain.nesting import MOST_LEVELS, levels
from personas.domain.storable import unstorable


class ShallowJSONParser(JSONParser):
    """Raises ParseError (400) where mappings and lists are nested deeper than `MOST_LEVELS`, and ValidationError
    where a text holds what no database takes and no answer can repeat."""

    def parse(self, stream, media_type=None, parser_context=None):
        try:
            data = super().parse(stream, media_type, parser_context)
        except RecursionError:
            raise too_deep() from None
        if levels(data) > MOST_LEVELS:
            raise too_deep()
        if pointer := unstorable(data):
            at = pointer.removeprefix("#").removeprefix("/") or "non_field_errors"
            raise ValidationError({at: "Null characters and lone surrogates are not allowed."})
        return data


def too_deep() -> ParseError:
    return ParseError(f"The JSON is nested deeper than {MOST_LEVELS} levels.")
