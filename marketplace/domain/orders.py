"""The states of an order and every way from one to another, what a promise comes to, and how long a month is. What goes
on from month to month is in subscriptions.py."""

import calendar
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum


class OrderState(StrEnum):
    PENDING = "pending"
    HELD = "held"
    PAID = "paid"
    REFUNDING = "refunding"
    REFUNDED = "refunded"
    CANCELLED = "cancelled"


ORDER_TRANSITIONS = frozenset(
    {
        (OrderState.PENDING, OrderState.HELD),  # the money has come; it stays in escrow until a run succeeds
        (OrderState.PENDING, OrderState.PAID),  # the money has come, and the publisher has it
        (OrderState.PENDING, OrderState.CANCELLED),  # the buyer, or the payment page, gave it up
        (OrderState.HELD, OrderState.PAID),  # the first run succeeded, or nobody has run it in time
        (
            OrderState.HELD,
            OrderState.REFUNDING,
        ),  # asked, promise broken, no run succeeded in time: back outside
        (OrderState.HELD, OrderState.REFUNDED),  # the same in credits, which are back at once
        (OrderState.PAID, OrderState.REFUNDING),
        (OrderState.PAID, OrderState.REFUNDED),
        (OrderState.REFUNDING, OrderState.REFUNDED),  # the provider, or a person, sent the money back
        (OrderState.REFUNDED, OrderState.REFUNDING),  # the bank did not take it: it came back
        (OrderState.CANCELLED, OrderState.REFUNDING),  # the money came after all: it goes back
    }
)

ORDER_LIVE = frozenset({OrderState.HELD, OrderState.PAID})
"""What was bought may be used."""

ESCROW_DAYS = 30
"""So long the money waits for a first success, and never shorter than the refund for the asking (docs/adr/0027)."""


class PriceKind(StrEnum):
    FREE = "free"
    ONE_OFF = "one_off"
    PER_RUN = "per_run"
    SUBSCRIPTION = "subscription"


class Verdict(StrEnum):
    WAIT = "wait"
    KEPT = "kept"
    BROKEN = "broken"


def promise_verdict(succeeded: Sequence[bool], *, runs: int, percent: int) -> Verdict:
    """Of the first `runs` ended runs at least `percent` % were to succeed: kept, broken, or too early to say. It is
    said as soon as no further run could change it."""
    needed = -(-runs * percent // 100)  # rounded up
    seen = list(succeeded[:runs])
    if sum(seen) >= needed:
        return Verdict.KEPT
    return Verdict.BROKEN if sum(seen) + runs - len(seen) < needed else Verdict.WAIT


def months_later(start: datetime, months: int) -> datetime:
    """The same day of a later month, or its last day: 31 January and a month is 28 or 29 February."""
    year, month = divmod(start.month - 1 + months, 12)
    year, month = start.year + year, month + 1
    return start.replace(year=year, month=month, day=min(start.day, calendar.monthrange(year, month)[1]))


def subscribed_until(paid: Sequence[tuple[datetime, int]]) -> datetime | None:
    """(when paid, or the period that it was paid for; months) of the orders in force: each begins where the one before
    ends, or then."""
    until: datetime | None = None
    for at, months in sorted(paid):
        until = months_later(max(until, at) if until else at, months)
    return until
