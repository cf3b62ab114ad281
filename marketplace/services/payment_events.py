"""What a provider tells: checked, taken once, in whatever order it comes."""

import uuid
from collections.abc import Mapping

from django.db import IntegrityError, transaction

from marketplace.domain.orders import ORDER_LIVE, OrderState
from marketplace.models import Order, PaymentEvent
from marketplace.payments.base import Event, EventKind, PaymentError, WrongSignature
from marketplace.payments.registry import PROVIDERS, provider_of
from marketplace.services.orders import order_cancel, order_paid
from marketplace.services.refunds import (
    dispute_end,
    order_disputed,
    order_refunded_outside,
    refund_failed,
    refund_send,
)
from personas.errors import BadInput, Missing, Refused
from personas.services.audit import record

DISPUTE = {EventKind.DISPUTED, EventKind.DISPUTE_WON, EventKind.DISPUTE_LOST}


class TooEarly(Refused):
    """What has to come before has not come; the provider sends it again."""


def event_take(*, provider: str, body: bytes, headers: Mapping[str, str]) -> bool:
    """True where it was new. Raises BadInput (not the provider's), Missing (no such order), TooEarly."""
    if provider not in PROVIDERS:
        raise Missing("No such provider.")
    try:
        event = provider_of(provider).event(body, headers)
    except (WrongSignature, PaymentError) as error:
        raise BadInput({"body": [str(error)]}) from error
    if event.kind == EventKind.OTHER:
        return False
    order = _order(event, provider)
    try:
        is_new = _taken(event, order, provider)
    except IntegrityError:
        if not PaymentEvent.objects.filter(provider=provider, event_id=event.id).exists():
            raise
        return False  # the same event twice at once: the other one was first
    order.refresh_from_db()
    if order.state == OrderState.REFUNDING and not order.refund_problem:
        refund_send(
            order=order
        )  # paid after it had been given up, or on its way: the provider knows how far it is
    return is_new


def _order(event: Event, provider: str) -> Order:
    try:
        return Order.objects.select_related("listing__publisher").get(
            pk=uuid.UUID(event.key), provider=provider
        )
    except (ValueError, Order.DoesNotExist):
        raise Missing("No such order.") from None


@transaction.atomic
def _taken(event: Event, order: Order, provider: str) -> bool:
    if PaymentEvent.objects.filter(provider=provider, event_id=event.id).exists():
        return False
    PaymentEvent.objects.create(provider=provider, event_id=event.id, kind=event.words, order=order)
    if event.kind == EventKind.PAID:
        _require_same(event, order)
        order_paid(order=order, by=None, reference=event.reference)
    elif event.kind == EventKind.GIVEN_UP:
        if order.state == OrderState.PENDING:  # else it was paid before this came
            order_cancel(order=order, by=None)
    elif event.kind == EventKind.REFUNDED:
        _refunded(event, order)
    elif event.kind == EventKind.REFUND_FAILED:
        refund_failed(order=order, reason=event.reason)
    elif event.kind in DISPUTE:
        _disputed(event, order)
    return True


def _require_same(event: Event, order: Order) -> None:
    if (event.amount, event.unit) != (order.amount, order.unit):
        raise BadInput(
            {"amount": [f"Paid were {event.amount} {event.unit}, due are {order.amount} {order.unit}."]}
        )


def _refunded(event: Event, order: Order) -> None:
    if order.state == OrderState.PENDING:
        raise TooEarly("The payment has not come yet; send this again.")
    if order.state not in ORDER_LIVE:
        return  # one of ours
    if event.amount != order.amount:
        record(by=None, action="order.partly_refunded", obj=order, after={"amount": event.amount})
        return  # a person gave a part back at the provider's: what it means for the entitlement is theirs to say
    order_refunded_outside(order=order)


def _disputed(event: Event, order: Order) -> None:
    if order.state == OrderState.PENDING:
        raise TooEarly("The payment has not come yet; send this again.")
    if event.kind == EventKind.DISPUTED:
        ended = [f"{event.reference}:{kind}" for kind in DISPUTE - {EventKind.DISPUTED}]
        if not PaymentEvent.objects.filter(provider=order.provider, event_id__in=ended).exists():
            order_disputed(order=order)  # else its end was told first
        return
    lost = (event.amount or 0) if event.unit == order.unit else order.amount
    dispute_end(order=order, lost=lost if event.kind == EventKind.DISPUTE_LOST else 0)
