"""JSON of a bounded size."""

from rest_framework import status
from rest_framework.exceptions import APIException

from personas.api.parsers import ShallowJSONParser

MOST_BYTES = 256 * 1024  # twenty personas of the richest kind take a tenth of it


class TooLarge(APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = f"The body may hold {MOST_BYTES // 1024} KiB."


class BoundedJSONParser(ShallowJSONParser):
    def parse(self, stream, media_type=None, parser_context=None):
        length = parser_context["request"].META.get("CONTENT_LENGTH") or 0
        if int(length) > MOST_BYTES:
            raise TooLarge()
        return super().parse(stream, media_type, parser_context)
