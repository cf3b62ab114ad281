"""Tables with a header row, whatever their columns are called in this release of the tool that wrote them."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from analyzer.domain.inventory import Unreadable

MAX_ROWS = 200_000  # rows with something in them, of one sheet
MAX_COLUMNS = 2_000
_NOISE = re.compile(r"[^a-z0-9#]+")
_DANGEROUS = ("=", "+", "-", "@", "\t", "\r")


def column_key(header: object) -> str:
    """`*Memory (In MB)` → `memoryinmb`"""
    return _NOISE.sub("", str(header).lower())


class Record:
    """One row. `row` counts as a spreadsheet does."""

    def __init__(self, row: int, columns: dict[str, int], headers: Sequence[str], cells: Sequence[Any]):
        self.row, self._columns, self._headers, self._cells = row, columns, headers, cells

    def __getitem__(self, key: str) -> Any:
        """The cell, "" where there is no such column or it is empty."""
        index = self._columns.get(key)
        if index is None or index >= len(self._cells):
            return ""
        value = self._cells[index]
        return plain(value) if isinstance(value, str) else "" if value is None else value

    def first(self, *keys: str) -> Any:
        """The first of these that is not empty."""
        return next((value for key in keys if (value := self[key]) != ""), "")

    def items(self) -> Iterator[tuple[str, Any]]:
        """(header as written, cell)"""
        for index, header in enumerate(self._headers):
            yield header, self[column_key(header)] if index < len(self._cells) else ""


def plain(cell: str) -> str:
    """Takes off the apostrophe that `safe` puts on."""
    text = cell.strip()
    return text[1:] if text[:1] == "'" and text[1:2] in _DANGEROUS else text


def safe(cell: object) -> str:
    """A cell that no spreadsheet takes for a formula; `plain` gives it back as it was."""
    text = "" if cell is None else str(cell)
    return f"'{text}" if text.startswith(_DANGEROUS) else text


def records(rows: Iterable[Sequence[Any]]) -> Iterator[Record]:
    """The rows below the first one that is not empty. Raises Unreadable beyond MAX_ROWS or MAX_COLUMNS."""
    headers: list[str] = []
    columns: dict[str, int] = {}
    seen = 0
    for number, cells in enumerate(rows, start=1):
        if not any(cell not in ("", None) for cell in cells):
            continue
        seen += 1
        if seen > MAX_ROWS or len(cells) > MAX_COLUMNS:
            raise Unreadable(f"it has more than {MAX_ROWS:,} rows or {MAX_COLUMNS:,} columns")
        if not headers:
            headers = [str(cell) for cell in cells]
            for index, header in enumerate(headers):
                columns.setdefault(column_key(header), index)
        else:
            yield Record(number, columns, headers, cells)


def csv_rows(data: bytes) -> Iterator[list[str]]:
    """Cells of a CSV of whatever encoding and separator a spreadsheet writes. Raises Unreadable."""
    text = _decoded(data)
    head = text.lstrip("\r\n").partition("\n")[0]
    separator = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        yield from reader
    except csv.Error as error:
        raise Unreadable(f"line {reader.line_num} is not CSV: {error}") from None


def _decoded(data: bytes) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")  # what spreadsheets on Windows write
