"""An order: placed, paid, given up. Page, API and provider's event call the same services."""

import secrets
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, Sum
from django.utils import timezone

from marketplace.domain.money import fee_of, money_words
from marketplace.domain.orders import ORDER_TRANSITIONS, OrderState, PriceKind
from marketplace.models import Account, Budget, Entitlement, Listing, Order, Price
from marketplace.models.ledger import AccountKind, MovementKind
from marketplace.models.order import Terms
from marketplace.payments.base import Bill, PaymentError
from marketplace.payments.registry import provider_of, providers_for
from marketplace.services.entitlements import entitlement_grant, require_on_sale
from marketplace.services.ledger import account_ensure, account_locked, movement_book
from marketplace.services.prices import fee_rate, price_of
from marketplace.services.subscriptions import subscription_cancel, subscription_follow
from personas.domain.canonical import sha256_of
from personas.errors import BadInput, Missing, Refused, Stale
from personas.models import Department, Role
from personas.services.access import require
from personas.services.audit import record

COPIED = [field.name for field in Terms._meta.get_fields()]
MOST_RUNS = 10_000


class KeyReused(Refused):
    """The Idempotency-Key came with another order before."""

    status = 422


class NotPaid(Refused):
    """The payment could not be begun, or the budget is used up."""

    status = 402


def order_create(
    *,
    listing: Listing,
    department: Department,
    by,
    quantity: int = 1,
    provider: str = "",
    price: Price | None = None,
    renews: bool | None = None,
    idempotency_key: str = "",
    return_url: str = "",
) -> Order:
    """Placed, and paid where the money is at hand (credits). With an `idempotency_key` that `by` has used: that order.

    `price`: the one that the buyer saw. `renews`: what is paid by the month is paid again each month until it is
    cancelled; unless said it is, where the provider can.

    Raises NotAllowed, Missing, BadInput, Stale (the price is another by now), KeyReused, NotPaid, NotEnough, Refused
    (nothing to buy, has it already).
    """
    if not Listing.objects.visible_to(by).filter(pk=listing.pk).exists():
        raise Missing("No such listing.")
    require(by=by, department=department, role=Role.ADMIN)
    asked = {"listing": listing, "department": department, "quantity": quantity, "provider": provider}
    asked["renews"] = renews
    body = sha256_of(
        [str(listing.pk), str(department.pk), quantity, provider, str(price.pk) if price else "", renews]
    )
    order = _replayed(by, idempotency_key, body)
    if order is None:
        try:
            order = _placed(**asked, seen=price, by=by, key=idempotency_key, body=body)
        except (
            IntegrityError
        ):  # two requests with one key, or two for what is bought once: the other was first
            order = _replayed(by, idempotency_key, body)
            if order is None:
                raise Refused(f"{department} has ordered {listing} already.") from None
    if order.state == OrderState.PENDING and not order.reference:
        order = payment_begin(order, return_url)
    return order


def _replayed(by, key: str, body: str) -> Order | None:
    earlier = Order.objects.filter(ordered_by=by, idempotency_key=key).first() if key else None
    if earlier and earlier.request_sha256 != body:
        raise KeyReused(
            "This Idempotency-Key was used for another order; take a new one.", order=str(earlier.pk)
        )
    return earlier


@transaction.atomic
def _placed(*, listing, department, quantity, provider, renews, seen, by, key, body) -> Order:
    account_locked(wallet_ensure(department))  # one order of a department after the other
    if earlier := _replayed(by, key, body):
        return earlier
    price = _price(listing, department, seen)
    provider = _provider(provider, price)
    _require_sensible(price, listing, department, quantity)
    order = Order(
        number=order_number(), listing=listing, department=department, quantity=quantity, provider=provider,
        amount=price.unit_amount * quantity, fee_basis_points=fee_rate(), idempotency_key=key,
        request_sha256=body if key else "", ordered_by=by, renews=_renews(renews, price, provider),
        **{name: getattr(price, name) for name in COPIED},
    )  # fmt: skip
    require_budget(order)
    order.save()
    told = {"amount": money_words(order.amount, order.unit), "provider": provider, "quantity": quantity}
    record(by=by, action="order.create", obj=order, after={**told, "listing": str(listing.pk)})
    if provider_of(provider).refunds_at_once:
        order_paid(order=order, by=by)
    return order


def wallet_ensure(department: Department) -> Account:
    return account_ensure(kind=AccountKind.WALLET, unit="credits", department=department)


def _price(listing: Listing, department: Department, seen: Price | None) -> Price:
    price = price_of(listing)
    if price is None:
        raise Refused(f"{listing} is free: install it.")
    if listing.department == department:
        raise Refused(f"{listing} is {department}'s own: nothing is to be paid.")
    if seen is not None and seen.pk != price.pk:
        raise Stale(f"The price has changed since you saw it: {price}.", price=str(price.pk))
    require_on_sale(listing)
    return price


def _provider(name: str, price: Price) -> str:
    possible = providers_for(price.unit)
    if not name and possible:
        return possible[0]
    if name not in possible:
        raise BadInput(
            {"provider": [f"{price.unit} can be paid by {' or '.join(possible) or 'nobody yet'}."]}
        )
    return name


def _renews(asked: bool | None, price: Price, provider: str) -> bool:
    possible = price.kind == PriceKind.SUBSCRIPTION and provider_of(provider).renews
    if asked and not possible:
        raise BadInput({"renews": ["This is not paid again by itself: leave it out, and buy again in time."]})
    return possible if asked is None else asked


def _require_sensible(price: Price, listing: Listing, department: Department, quantity: int) -> None:
    most = 1 if price.kind == PriceKind.ONE_OFF else MOST_RUNS
    if not 1 <= quantity <= most:
        raise BadInput({"quantity": [f"From 1 to {most}."]})
    orders = Order.objects.filter(department=department, listing=listing)
    if orders.live().filter(kind=PriceKind.ONE_OFF).exists():
        raise Refused(f"{department} has bought {listing} already: install it.")
    mine = Entitlement.objects.in_force(timezone.now()).filter(department=department, listing=listing).first()
    if price.kind == PriceKind.PER_RUN and mine and mine.allowance.runs_left is None:
        raise Refused(f"{department} may run {listing} as often as it likes; more runs would add nothing.")


def require_budget(order: Order) -> None:
    budget = Budget.objects.filter(department=order.department, unit=order.unit).first()
    if budget is None:
        return
    spent = spent_this_month(order.department, order.unit)
    if spent + order.amount > budget.monthly_amount:
        told = [money_words(n, order.unit) for n in (budget.monthly_amount, spent, order.amount)]
        raise NotPaid(
            f"The budget of {order.department} is {told[0]} a month; {told[1]} are spent, this costs {told[2]}.",
            budget=budget.monthly_amount, spent=spent,
        )  # fmt: skip


def spent_this_month(department: Department, unit: str) -> int:
    """What was ordered and is not given back: of runs, those that are used stay spent."""
    start = timezone.now().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    orders = Order.objects.filter(department=department, unit=unit, ordered_at__gte=start)
    kept = orders.exclude(state=OrderState.CANCELLED).aggregate(n=Sum(F("amount") - F("refunded_amount")))
    return kept["n"] or 0


def order_number() -> str:
    """Readable on an invoice, and no count of what others buy."""
    return f"{timezone.now():%y%m}-{secrets.token_hex(4).upper()}"


def payment_begin(order: Order, return_url: str) -> Order:
    """Outside of any transaction: it asks somebody else. Said twice, the provider gives the same payment."""
    title = f"{order.listing} ({order.get_kind_display().lower()})"
    bill = Bill(str(order.pk), order.number, title, order.amount, order.unit, return_url)
    try:
        begun = provider_of(order.provider).begin(bill)
    except PaymentError as error:
        raise NotPaid(f"{error} The order is kept: try again.", order=str(order.pk)) from error
    Order.objects.filter(pk=order.pk).update(reference=begun.reference, pay_url=begun.pay_url)
    order.refresh_from_db()
    return order


def order_locked(order: Order) -> Order:
    related = ("listing__publisher", "entitlement", "subscription")
    rows = Order.objects.select_for_update(of=("self",)).select_related(*related)
    return rows.get(pk=order.pk)


def state_set(order: Order, state: OrderState, **columns: Any) -> None:
    """The one place that writes a state. Raises Refused for a way that the table does not have."""
    before = OrderState(order.state)
    if (before, state) not in ORDER_TRANSITIONS:
        raise Refused(f"The order is {before}; it can't become {state}.")
    order.state = state
    for name, value in columns.items():
        setattr(order, name, value)
    order.save()


def accounts_of(order: Order) -> dict[str, Account]:
    """payer, escrow, earnings, fee."""
    outside = account_ensure(kind=AccountKind.EXTERNAL, unit=order.unit)
    return {
        "payer": wallet_ensure(order.department) if order.provider == "credits" else outside,
        "escrow": account_ensure(kind=AccountKind.ESCROW, unit=order.unit, order=order),
        "earnings": account_ensure(kind=AccountKind.EARNINGS, unit=order.unit, department=order.seller),
        "fee": account_ensure(kind=AccountKind.FEE, unit=order.unit),
    }


@transaction.atomic
def order_paid(*, order: Order, by, reference: str = "") -> Order:
    """The money is here: the entitlement is. Said again: nothing more. What was given up before is to go back."""
    order = order_locked(order)
    if order.state not in (OrderState.PENDING, OrderState.CANCELLED):
        return order
    accounts = accounts_of(order)
    movement_book(
        kind=MovementKind.PAYMENT, source=accounts["payer"], destination=accounts["escrow"],
        amount=order.amount, by=by, order=order, memo=_memo(order),
    )  # fmt: skip
    order.paid_at = timezone.now()
    order.reference = reference or order.reference
    if order.state == OrderState.CANCELLED:
        state_set(order, OrderState.REFUNDING, refund_reason="Paid after it was given up.",
                  refunded_amount=order.amount)  # fmt: skip
        record(by=by, action="order.paid_late", obj=order, after={"state": order.state})
        return order
    order.entitlement = entitlement_grant(order=order)
    state_set(order, OrderState.HELD)
    record(by=by, action="order.paid", obj=order, after={"state": order.state, "reference": order.reference})
    subscription_follow(order=order, by=by)
    return order if order.promised_runs else order_capture(order=order, by=by)


def _memo(order: Order) -> str:
    return f"Renewal, the month from {order.period_at:%Y-%m-%d}" if order.period_at else ""


@transaction.atomic
def order_capture(*, order: Order, by) -> Order:
    """From the escrow to the publisher, less the fee. Said again: nothing more."""
    order = order_locked(order)
    if order.state != OrderState.HELD:
        return order
    accounts = accounts_of(order)
    fee = fee_of(order.amount, order.fee_basis_points)
    for kind, to, amount in (
        (MovementKind.CAPTURE, "earnings", order.amount - fee),
        (MovementKind.FEE, "fee", fee),
    ):
        if amount:
            movement_book(
                kind=kind,
                source=accounts["escrow"],
                destination=accounts[to],
                amount=amount,
                by=by,
                order=order,
            )
    state_set(order, OrderState.PAID)
    record(by=by, action="order.capture", obj=order, after={"state": order.state, "fee": fee})
    return order


@transaction.atomic
def order_cancel(*, order: Order, by) -> Order:
    """Gives up what is not paid (`by` None: the provider says so). Said again: the same. Raises Refused when paid."""
    if by is not None:
        require(by=by, department=order.department, role=Role.ADMIN)
    order = order_locked(order)
    if order.state == OrderState.CANCELLED:
        return order
    state_set(order, OrderState.CANCELLED)
    record(by=by, action="order.cancel", obj=order, after={"state": order.state})
    if order.subscription and by is not None and order.subscription.renews:
        subscription_cancel(subscription=order.subscription, by=by)
    return order


def order_confirm(*, order: Order, by, reference: str = "") -> Order:
    """A superuser has seen the money of an invoice."""
    require(by=by, department=None, role=Role.ADMIN)
    if order.provider != "invoice":
        raise Refused("Only an invoice is confirmed by hand.")
    return order_paid(order=order, by=by, reference=reference)
