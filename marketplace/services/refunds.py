"""The way back of an order: the entitlement goes, the earning is reversed, the money returns."""

from datetime import timedelta

import structlog
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from marketplace.domain.money import fee_of
from marketplace.domain.orders import ORDER_LIVE, OrderState, PriceKind, Verdict, promise_verdict
from marketplace.models import Order
from marketplace.models.ledger import MovementKind
from marketplace.payments.base import PaymentError, RefundFailed
from marketplace.payments.registry import provider_of
from marketplace.services.entitlements import entitlement_revoke, months_until, runs_unused
from marketplace.services.ledger import balance_of, movement_book
from marketplace.services.orders import accounts_of, order_capture, order_locked, state_set
from marketplace.services.origins import origins_of
from marketplace.services.subscriptions import subscription_refunded
from personas.errors import NotAllowed, Refused
from personas.models import Persona, Role, RunAllowance, RunOutcome
from personas.models.track_record import Outcome
from personas.services.access import allows, require
from personas.services.audit import record

log = structlog.get_logger(__name__)


class NotSettled(Exception):
    """Something that nobody foresaw went wrong with some orders; the others are settled."""


def refund_until(order: Order):
    """When the buyer's own right to the money ends; None while nothing is paid."""
    return order.paid_at + timedelta(days=order.refund_days) if order.paid_at else None


def refund_for_the_asking(order: Order) -> bool:
    """Whether the buyer's own right lasts: what is taken down can't be run, so it has no end then, except that of the
    months that are over."""
    until, now = refund_until(order), timezone.now()
    if until is None or now <= until:
        return True
    if order.listing.takedown is None:
        return False
    return order.kind != PriceKind.SUBSCRIPTION or months_until(order) > now


def order_refund(*, order: Order, by, reason: str = "") -> Order:
    """The buyer within the window, or while it is taken down; the seller and a superuser at any time. Of runs bought
    one by one, those that are left. Asked again: the same answer, and what the bank did not take is sent once more.
    Raises NotAllowed, Refused (window over, nothing left, not paid, disputed)."""
    _require_may(order, by)
    if order.disputed_at and order.state in ORDER_LIVE:
        raise Refused(
            "The payment is disputed: the buyer's bank decides, and sends the money back by itself."
        )
    return _on_its_way(_taken_back(order, by, reason.strip() or "The buyer asked for it."))


def _require_may(order: Order, by) -> None:
    if allows(by=by, department=order.seller, role=Role.ADMIN):
        return
    if not allows(by=by, department=order.department, role=Role.ADMIN):
        raise NotAllowed("Only an admin of the buyer or of the seller gives an order back.")
    if order.state in ORDER_LIVE and not refund_for_the_asking(order):
        raise Refused(f"The time for a refund ended on {refund_until(order):%Y-%m-%d}; ask the publisher.")


def _on_its_way(order: Order) -> Order:
    return refund_send(order=order) if order.state == OrderState.REFUNDING else order


@transaction.atomic
def _taken_back(order: Order, by, reason: str, gone: int | None = None) -> Order:
    """`gone`: so much has left already; else what is the buyer's to have."""
    order = order_locked(order)
    if order.state in (OrderState.REFUNDING, OrderState.REFUNDED):
        if order.refund_problem:
            order.refund_problem = ""
            order.save(update_fields=["refund_problem"])
            record(by=by, action="order.refund_again", obj=order, after={"amount": order.refunded_amount})
        return order
    if order.state not in ORDER_LIVE:
        raise Refused(f"The order is {order.state}: there is nothing to give back.")
    allowance = RunAllowance.objects.select_for_update().get(pk=order.entitlement.allowance_id)
    amount = _amount_back(order, allowance) if gone is None else gone
    told = f"Order {order.number} was refunded on {timezone.now():%Y-%m-%d}: {reason}"
    entitlement_revoke(order=order, reason=told)
    if order.state == OrderState.HELD and amount < order.amount:  # the runs that were used are paid
        order = order_capture(order=order, by=by)
    if order.state == OrderState.PAID:
        _reverse(order, amount, by)
    at_once = provider_of(order.provider).refunds_at_once
    if at_once:
        _send_back(order, amount, by)
    before = order.state
    state_set(
        order, OrderState.REFUNDED if at_once else OrderState.REFUNDING,
        refund_reason=reason[:200], refunded_amount=amount, refunded_at=timezone.now() if at_once else None,
    )  # fmt: skip
    subscription_refunded(order=order, by=by)
    record(by=by, action="order.refund", obj=order, before={"state": before},
           after={"state": order.state, "amount": amount, "reason": reason[:200]})  # fmt: skip
    return order


def _amount_back(order: Order, allowance: RunAllowance) -> int:
    if order.kind != PriceKind.PER_RUN:
        return order.amount
    unused = runs_unused(order=order, allowance=allowance)
    if not unused:
        raise Refused("Every run of it is used.")
    return order.unit_amount * unused


def _reverse(order: Order, amount: int, by) -> None:
    accounts = accounts_of(order)
    fee = fee_of(amount, order.fee_basis_points)
    for kind, source, part in (
        (MovementKind.REVERSAL, "earnings", amount - fee),
        (MovementKind.FEE_REVERSAL, "fee", fee),
    ):
        if part:
            movement_book(
                kind=kind,
                source=accounts[source],
                destination=accounts["escrow"],
                amount=part,
                by=by,
                order=order,
            )


def _send_back(order: Order, amount: int, by) -> None:
    accounts = accounts_of(order)
    movement_book(
        kind=MovementKind.REFUND, source=accounts["escrow"], destination=accounts["payer"], amount=amount, by=by,
        order=order,
    )  # fmt: skip


def _to_send(order: Order) -> int:
    """What is on its way back: less than was given back where the buyer's bank has taken a part of it."""
    return balance_of(accounts_of(order)["escrow"])


def refund_send(*, order: Order) -> Order:
    """Asks the provider, outside of any transaction; what it cannot do now is tried again by `orders_settle`."""
    try:
        sent = provider_of(order.provider).refund(
            key=str(order.pk), reference=order.reference, amount=_to_send(order)
        )
    except RefundFailed as error:
        return refund_failed(order=order, reason=str(error))
    except PaymentError:
        return order  # it stays `refunding`, and is asked again
    return refund_done(order=order, by=None) if sent else order


@transaction.atomic
def refund_done(*, order: Order, by) -> Order:
    """The money has left: booked. Said again: nothing more. By a person only for an invoice, or what was not sent."""
    if by is not None:
        require(by=by, department=None, role=Role.ADMIN)
    order = order_locked(order)
    if order.state == OrderState.REFUNDED:
        return order
    if order.state != OrderState.REFUNDING:
        raise Refused(f"The order is {order.state}: no refund is on its way.")
    if by is not None and order.provider != "invoice" and not order.refund_problem:
        raise Refused("The provider says so by itself.")
    _send_back(order, _to_send(order), by)
    state_set(order, OrderState.REFUNDED, refunded_at=timezone.now(), refund_problem="")
    record(by=by, action="order.refunded", obj=order, after={"state": order.state})
    return order


def order_refunded_outside(*, order: Order) -> Order:
    """The provider gave all the money back by itself (its own pages), of used runs too."""
    _taken_back(order, None, "The payment provider gave the money back.", gone=order.amount)
    return refund_done(order=order, by=None)


@transaction.atomic
def refund_failed(*, order: Order, reason: str) -> Order:
    """The bank did not take the money: it is here still, or again. `order_refund` sends it once more; a superuser who
    has sent it another way says so."""
    order = order_locked(order)
    if order.state not in (OrderState.REFUNDING, OrderState.REFUNDED):
        return order
    if order.state == OrderState.REFUNDED:
        sent = _sent(order)
        if not sent:  # the buyer's bank took it before it left
            record(by=None, action="order.refund_failed", obj=order, after={"reason": reason[:200]})
            return order
        accounts = accounts_of(order)
        movement_book(
            kind=MovementKind.REFUND_FAILED, source=accounts["payer"], destination=accounts["escrow"],
            amount=sent, by=None, order=order,
        )  # fmt: skip
        state_set(order, OrderState.REFUNDING, refunded_at=None)
    order.refund_problem = reason[:200]
    order.save(update_fields=["refund_problem"])
    record(
        by=None, action="order.refund_failed", obj=order, after={"state": order.state, "reason": reason[:200]}
    )
    return order


def _sent(order: Order) -> int:
    """By refunds that have not come back."""
    signs = {MovementKind.REFUND: 1, MovementKind.REFUND_FAILED: -1}
    return sum(signs.get(kind, 0) * amount for kind, amount in order.movements.values_list("kind", "amount"))


@transaction.atomic
def order_disputed(*, order: Order) -> Order:
    """The buyer's bank asks for the payment back. Nothing moves before it has decided."""
    order = order_locked(order)
    order.disputed_at = order.disputed_at or timezone.now()
    order.save(update_fields=["disputed_at"])
    record(by=None, action="order.disputed", obj=order, after={"state": order.state})
    return order


@transaction.atomic
def dispute_end(*, order: Order, lost: int) -> Order:
    """The bank has decided: `lost` has left (0: the payment stands)."""
    order = order_locked(order)
    order.disputed_at = None
    order.save(update_fields=["disputed_at"])
    record(by=None, action="order.dispute_end", obj=order, after={"state": order.state, "lost": lost})
    lost = min(lost, order.amount)
    if lost and order.state in ORDER_LIVE:
        order = _taken_back(order, None, "The buyer's bank took the payment back.", gone=lost)
    if lost and order.state in (OrderState.REFUNDING, OrderState.REFUNDED):
        _charged_back(order, lost)
    return order


def _charged_back(order: Order, lost: int) -> None:
    """Of what was on its way back first, then of what the publisher and the platform have earned by it. What went back
    before, and now once more, is nobody's earning: the platform bears it."""
    accounts = accounts_of(order)
    on_its_way = balance_of(accounts["escrow"])
    rest = max(0, lost - on_its_way)
    of_publisher = min(
        rest - fee_of(rest, order.fee_basis_points), balance_of(accounts["earnings"], order=order)
    )
    parts = {"escrow": lost - rest, "earnings": of_publisher, "fee": rest - of_publisher}
    for source, amount in parts.items():
        if amount:
            movement_book(
                kind=MovementKind.CHARGEBACK, source=accounts[source], destination=accounts["payer"],
                amount=amount, by=None, order=order,
            )  # fmt: skip
    if order.state == OrderState.REFUNDING and lost >= on_its_way:
        state_set(order, OrderState.REFUNDED, refunded_at=timezone.now(), refund_problem="")


def promise_settle(*, order: Order) -> Order:
    """Holds an order against its promise: earned with the first success, given back when the promise is broken."""
    ended = _ended(order)
    if order.state == OrderState.HELD and any(ended):
        order = order_capture(order=order, by=None)
    verdict = promise_verdict(ended, runs=order.promised_runs, percent=order.promised_percent)
    if verdict == Verdict.WAIT:
        return escrow_end(order=order)
    Order.objects.filter(pk=order.pk).update(promise_settled_at=timezone.now())
    if verdict == Verdict.KEPT:
        return order
    succeeded = f"{sum(ended)} of {len(ended)} runs succeeded"
    promised = f"promised were {order.promised_percent} % of {order.promised_runs}"
    return _on_its_way(_broken(order, f"{succeeded}; {promised}."))


def _broken(order: Order, reason: str) -> Order:
    try:
        return _taken_back(order, None, reason)
    except Refused:  # every run that was bought one by one is used
        return order_capture(order=order, by=None)


def escrow_end(*, order: Order) -> Order:
    """At its end the money is the publisher's where nobody has run it, and the buyer's where no run has succeeded, or
    it could not be run. The promise goes on."""
    if not _is_over(order):
        return order
    with transaction.atomic():
        order = order_locked(order)
        if _is_over(order):
            order = _escrow_ended(order)
    return _on_its_way(order)


def _is_over(order: Order) -> bool:
    return order.escrow_until is not None and order.escrow_until <= timezone.now()


def _escrow_ended(order: Order) -> Order:
    ended = _ended(order)
    if any(ended):
        return order_capture(order=order, by=None)
    if reason := _out_of_reach(order):
        return _broken(order, reason)
    if not ended:
        return order_capture(order=order, by=None)
    runs = f"{len(ended)} migration{'s' * (len(ended) > 1)}"
    return _broken(order, f"None of {runs} succeeded in {order.escrow_days} days.")


def _out_of_reach(order: Order) -> str:
    """Why the buyer can't run it, through no fault of theirs; empty: they can."""
    if order.listing.takedown:
        return "It was taken down."
    installed = Persona.objects.filter(department=order.department, origin__in=origins_of(order.listing))
    if order.listing.newest is None and not installed.exists():
        return "Every version was withdrawn before it was installed."
    return ""


def _ended(order: Order) -> list[bool]:
    bought = Q(persona__allowance=order.entitlement.allowance_id)
    theirs = Q(department=order.department, origin__in=origins_of(order.listing))  # gone, or free by now
    spoilt = Q(is_changed=True, outcome=Outcome.FAILED)  # not what was sold has failed
    outcomes = RunOutcome.objects.filter(bought | theirs, ended_at__gte=order.paid_at)
    outcomes = outcomes.exclude(Q(outcome=Outcome.CANCELLED) | spoilt)
    first = outcomes.order_by("ended_at", "pk").values_list("outcome", flat=True)[: order.promised_runs]
    return [outcome == Outcome.SUCCEEDED for outcome in first]


def orders_settle() -> int:
    """What time and runs have brought about: promises, ends of escrows, refunds that a provider has not taken yet. The
    number looked at; safe to say at any moment, by any number of clocks. Raises NotSettled after the last."""
    watched = Order.objects.live().filter(
        promised_runs__gt=0, promise_settled_at__isnull=True, disputed_at__isnull=True
    )
    sending = Order.objects.filter(state=OrderState.REFUNDING, provider="stripe", refund_problem="")
    orders = [*watched.select_related("entitlement"), *sending]
    failed = [order for order in orders if not _is_settled(order)]
    if failed:
        raise NotSettled(f"{len(failed)} of {len(orders)} orders could not be settled; the log says why.")
    return len(orders)


def _is_settled(order: Order) -> bool:
    """Whatever is wrong with one order, the clock goes on to those after it."""
    try:
        refund_send(order=order) if order.state == OrderState.REFUNDING else promise_settle(order=order)
    except Exception:
        log.exception("order_was_not_settled", order=str(order.pk), number=order.number)
        return False
    return True
