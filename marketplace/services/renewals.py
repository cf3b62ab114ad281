"""What the clock does for a subscription: tells of the next month, pays for it, gives grace, lets it go.

Safe to say at any moment by any number of clocks: a month is one order, and the database holds one order to a month.
"""

from datetime import datetime, timedelta

import structlog
from django.db import IntegrityError, transaction
from django.utils import timezone

from marketplace.domain.orders import OrderState
from marketplace.domain.subscriptions import (
    GOES_ON,
    GRACE,
    INVOICE_LEAD,
    LEAD,
    NOTICE,
    Due,
    SubscriptionState,
    due,
)
from marketplace.models import Order, Subscription
from marketplace.payments.registry import provider_of
from marketplace.services.entitlements import paid_until
from marketplace.services.ledger import account_locked
from marketplace.services.moderation import require_not_taken_down
from marketplace.services.orders import (
    COPIED,
    order_cancel,
    order_number,
    order_paid,
    payment_begin,
    require_budget,
    wallet_ensure,
)
from marketplace.services.prices import fee_rate, price_of
from marketplace.services.subscriptions import (
    allowance_until,
    subscription_locked,
    subscription_move,
    tell_personas,
)
from personas.errors import Refused
from personas.services.audit import record

log = structlog.get_logger(__name__)
WATCHED = [*GOES_ON, SubscriptionState.ENDING]


def subscriptions_renew(*, now: datetime | None = None) -> int:
    """The number looked at: those whose end is near."""
    now = now or timezone.now()
    near = {"state__in": WATCHED, "entitlement__allowance__expires_at__lte": now + INVOICE_LEAD + NOTICE}
    rows = Subscription.objects.filter(**near).select_related("terms", "entitlement", "listing", "department")
    for subscription in rows:
        _step(subscription, now)
    return len(rows)


def lead_of(subscription: Subscription) -> timedelta:
    return LEAD if provider_of(subscription.terms.provider).refunds_at_once else INVOICE_LEAD


def _step(subscription: Subscription, now: datetime) -> None:
    until = paid_until(subscription.entitlement)
    if until is None:  # the orders are gone another way; nothing is paid for any more
        return
    wanted = due(SubscriptionState(subscription.state), paid_until=until, now=now, lead=lead_of(subscription))
    if wanted == Due.NOTICE:
        _announce(subscription, until)
    elif wanted == Due.PAYMENT:
        _pay(subscription, until, now)
    elif wanted == Due.LAPSE:
        _lapse(subscription, until)
    elif wanted == Due.END:
        _end(subscription)


@transaction.atomic
def _announce(subscription: Subscription, until: datetime) -> None:
    text = f"“{subscription.listing}” renews by {until:%Y-%m-%d}: {subscription.price_words}."
    tell_personas(subscription, text, by=None, action="Cancel it on the marketplace if you don't want it.")


def _pay(subscription: Subscription, until: datetime, now: datetime) -> None:
    try:
        order = _placed(subscription, until)
        if order and order.state == OrderState.PENDING and not order.reference:
            order = payment_begin(order, "")
    except IntegrityError:
        # another clock was first; where it was something else, the next look fails again and is in the log
        log.warning("renewal_was_placed_already", subscription=str(subscription.pk))
        return
    except Refused as error:
        _unpaid(subscription, until, error.message)
        return
    if order and order.state == OrderState.PENDING and until - LEAD <= now:
        _unpaid(subscription, until, f"The invoice {order.number} is not paid.")


@transaction.atomic
def _placed(subscription: Subscription, until: datetime) -> Order | None:
    """The order of the month that begins at `until`, paid where the money is at hand. None where there is none to be.
    Raises NotEnough, NotPaid (the budget), Refused (taken down)."""
    account_locked(wallet_ensure(subscription.department))
    mine = subscription_locked(subscription)
    if mine.state not in GOES_ON or paid_until(mine.entitlement) != until:
        return None
    if there := mine.orders.filter(period_at=until, state=OrderState.PENDING).first():
        return there
    if price_of(mine.listing) is None:
        _freed(mine)
        return None
    require_not_taken_down(mine.listing)
    order = _order(mine, until)
    require_budget(order)
    order.save()
    told = {"period_at": until.isoformat(), "amount": order.amount_words, "subscription": str(mine.pk)}
    record(by=None, action="order.renew", obj=order, after=told)
    if provider_of(order.provider).refunds_at_once:
        return order_paid(order=order, by=None)
    return order


def _order(subscription: Subscription, until: datetime) -> Order:
    terms = subscription.terms
    return Order(
        number=order_number(), listing=subscription.listing, department=subscription.department, quantity=1,
        provider=terms.provider, amount=terms.unit_amount, fee_basis_points=fee_rate(), renews=True,
        ordered_by=terms.ordered_by, subscription=subscription, period_at=until,
        **{name: getattr(terms, name) for name in COPIED},
    )  # fmt: skip


def _freed(subscription: Subscription) -> None:
    """Nothing is asked for it any more: it goes on without an end."""
    subscription_move(subscription, SubscriptionState.ENDED, by=None)
    allowance_until(subscription, None)
    tell_personas(subscription, "", by=None)


@transaction.atomic
def _unpaid(subscription: Subscription, until: datetime, reason: str) -> None:
    mine = subscription_locked(subscription)
    if mine.state not in GOES_ON or paid_until(mine.entitlement) != until:
        return
    last = until + GRACE
    subscription_move(mine, SubscriptionState.GRACE, by=None, problem=reason)
    allowance_until(mine, last)
    text = f"“{mine.listing}” could not be renewed: {reason} It runs until {last:%Y-%m-%d}."
    tell_personas(mine, text, by=None, action="See to the payment; it is tried again by itself.")


@transaction.atomic
def _lapse(subscription: Subscription, until: datetime) -> None:
    mine = subscription_locked(subscription)
    if mine.state != SubscriptionState.GRACE or paid_until(mine.entitlement) != until:
        return
    subscription_move(mine, SubscriptionState.LAPSED, by=None, problem=mine.problem)
    for order in mine.orders.filter(state=OrderState.PENDING):
        order_cancel(order=order, by=None)
    tell_personas(mine, "", by=None)  # why it does not run any more is told by the allowance


@transaction.atomic
def _end(subscription: Subscription) -> None:
    mine = subscription_locked(subscription)
    if mine.state == SubscriptionState.ENDING:
        subscription_move(mine, SubscriptionState.ENDED, by=None)
        tell_personas(mine, "", by=None)
