"""A month of an account, as a page and a file show it."""

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime

from django.utils import timezone

from marketplace.domain.orders import months_later
from marketplace.services.ledger import Statement

YEARS = range(1970, 2200)  # a statement names the month before and the one after: the calendar ends at both ends


def month_of(words: str) -> datetime:
    """The first moment of `2026-11`; of the current month where the words are no month of these times."""
    try:
        start = datetime.strptime(words, "%Y-%m").replace(tzinfo=UTC)
    except ValueError:
        start = None
    if start and start.year in YEARS:
        return start
    return timezone.now().replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def month_end(start: datetime) -> datetime:
    return months_later(start, 1)


def statement_rows(told: Statement) -> Iterator[str]:
    """CSV, line by line. Amounts in the smallest unit, so that a spreadsheet rounds nothing."""
    unit = told.account.unit
    yield _csv(["at", "kind", "order", "memo", "amount", "balance", "unit"])
    yield _csv([told.start.isoformat(), "opening", "", "", "", told.opening, unit])
    for movement, amount, balance in told.lines:
        number = movement.order.number if movement.order else ""
        memo = _harmless(movement.memo)
        yield _csv([movement.at.isoformat(), movement.kind, number, memo, amount, balance, unit])
    yield _csv([told.end.isoformat(), "closing", "", "", "", told.closing, unit])


def _csv(row: list) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(row)
    return line.getvalue()


def _harmless(text: str) -> str:
    """A spreadsheet would take these for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
