"""`text/csv` as a request's body: the bytes, for the service to read."""

from rest_framework.parsers import BaseParser

from analyzer.services.usage import MAX_CSV_BYTES


class CsvParser(BaseParser):
    media_type = "text/csv"

    def parse(self, stream, media_type=None, parser_context=None) -> bytes:
        return stream.read(MAX_CSV_BYTES + 1)  # one more than allowed: the service tells that it is too large
