"""A subscription from month to month: its states, when it is told, paid for, and let go."""

from datetime import datetime, timedelta
from enum import StrEnum

NOTICE = timedelta(days=7)  # before it is paid for, the buyer reads what it will cost
LEAD = timedelta(days=1)  # so long before the end it is paid for, so that no run falls into a gap
INVOICE_LEAD = timedelta(days=14)  # a person has to send the money, another one to see it
GRACE = timedelta(days=7)  # it goes on for so long without being paid for


class SubscriptionState(StrEnum):
    RENEWING = "renewing"
    ENDING = "ending"
    GRACE = "grace"
    LAPSED = "lapsed"
    ENDED = "ended"


SUBSCRIPTION_TRANSITIONS = frozenset(
    {
        (
            SubscriptionState.RENEWING,
            SubscriptionState.ENDING,
        ),  # cancelled: it runs to the end of what is paid
        (SubscriptionState.RENEWING, SubscriptionState.GRACE),  # the next month is due and could not be paid
        (
            SubscriptionState.RENEWING,
            SubscriptionState.ENDED,
        ),  # refunded, or nothing is asked for it any more
        (SubscriptionState.ENDING, SubscriptionState.RENEWING),  # kept after all, or bought anew
        (SubscriptionState.ENDING, SubscriptionState.ENDED),  # what was paid is over, or refunded
        (SubscriptionState.GRACE, SubscriptionState.RENEWING),  # paid late
        (SubscriptionState.GRACE, SubscriptionState.ENDING),  # cancelled before it was paid
        (SubscriptionState.GRACE, SubscriptionState.LAPSED),  # the grace is over
        (SubscriptionState.GRACE, SubscriptionState.ENDED),
        (SubscriptionState.LAPSED, SubscriptionState.RENEWING),  # bought anew
        (SubscriptionState.ENDED, SubscriptionState.RENEWING),
    }
)

GOES_ON = frozenset({SubscriptionState.RENEWING, SubscriptionState.GRACE})
"""It is paid for again at the end of what is paid."""


class Due(StrEnum):
    NOTHING = "nothing"
    NOTICE = "notice"
    PAYMENT = "payment"
    LAPSE = "lapse"
    END = "end"


def due(state: SubscriptionState, *, paid_until: datetime, now: datetime, lead: timedelta) -> Due:
    """What the clock has to do with it."""
    if state == SubscriptionState.ENDING:
        return Due.END if paid_until <= now else Due.NOTHING
    if state not in GOES_ON:
        return Due.NOTHING
    if paid_until + GRACE <= now and state == SubscriptionState.GRACE:
        return Due.LAPSE
    if paid_until - lead <= now:
        return Due.PAYMENT
    return Due.NOTICE if paid_until - lead - NOTICE <= now else Due.NOTHING
