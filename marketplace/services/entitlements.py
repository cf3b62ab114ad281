"""Who may install and run what is sold, and who may read what is in it."""

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from marketplace.domain.orders import PriceKind, subscribed_until
from marketplace.models import Entitlement, Listing, Order
from marketplace.models.order import price_words
from marketplace.services.moderation import require_not_taken_down
from marketplace.services.prices import price_of
from personas.errors import Refused
from personas.models import Department, Role, RunAllowance
from personas.services.access import require
from personas.services.audit import record


class PaymentRequired(Refused):
    """It has to be bought first; `price` and `order_url` say how."""

    status = 402


def entitlement_of(*, listing: Listing, department: Department) -> Entitlement | None:
    """The one in force, or None."""
    mine = Entitlement.objects.in_force(timezone.now()).filter(listing=listing, department=department)
    return mine.select_related("allowance").first()


def entitled(*, listing: Listing, department: Department) -> RunAllowance | None:
    """What the department's persona has to carry; None where it runs freely (free, or one's own).

    Raises PaymentRequired with what to do.
    """
    price = price_of(listing)
    if price is None or listing.department == department:
        return None
    if mine := entitlement_of(listing=listing, department=department):
        return mine.allowance
    had = Entitlement.objects.filter(listing=listing, department=department)
    trial = f", or try {price.trial_runs} run(s) before" if price.trial_runs and not had.exists() else ""
    lacks = "'s trial is used up, and it" if had.tried().exists() else ""
    raise PaymentRequired(
        f"{department}{lacks} has not bought {listing} ({price_words(price)}): order it on its page{trial}.",
        price={"unit_amount": price.unit_amount, "unit": price.unit, "kind": price.kind, "id": str(price.pk)},
        order_url="/api/v1/orders/",
        listing=str(listing.pk),
    )


def may_read(*, listing: Listing, user) -> bool:
    """Whether the values and the script of its releases may be shown to `user`: of a free one to all who see it, of a
    priced one to its publisher's members and to those of a department that is entitled."""
    if user.is_authenticated and user.is_superuser:
        return True
    if price_of(listing) is None:
        return True
    mine = Department.objects.visible_to(user)
    if listing.department is not None and mine.filter(pk=listing.department.pk).exists():
        return True
    return Entitlement.objects.in_force(timezone.now()).filter(listing=listing, department__in=mine).exists()


def require_readable(*, listing: Listing, user) -> None:
    """Raises PaymentRequired unless `may_read`."""
    if not may_read(listing=listing, user=user):
        price = price_of(listing)
        raise PaymentRequired(
            f"What is in {listing} can be read when it is bought ({price_words(price)}).",
            order_url="/api/v1/orders/", listing=str(listing.pk),
        )  # fmt: skip


def require_on_sale(listing: Listing) -> None:
    """Raises Refused with why nothing of it could be installed: then nothing is paid for it either."""
    require_not_taken_down(listing)
    if listing.newest is None:
        raise Refused(f"{listing} has no version to install: wait until its publisher brings one out.")


@transaction.atomic
def trial_start(*, listing: Listing, department: Department, by) -> Entitlement:
    """The runs that a department may try before it buys, once. Raises Refused where there is none, or not any more."""
    require(by=by, department=department, role=Role.ADMIN)
    price = price_of(listing)
    if price is None or not price.trial_runs:
        raise Refused("There is no trial of it.")
    require_on_sale(listing)
    allowance = RunAllowance.objects.create(runs_left=price.trial_runs)
    trial = {"allowance": allowance, "is_trial": True, "trial_at": timezone.now()}
    mine, is_new = Entitlement.objects.get_or_create(department=department, listing=listing, defaults=trial)
    if not is_new:
        raise Refused(f"{department} has had its trial, or has bought it already.")
    record(by=by, action="trial.start", obj=mine, after={"runs": price.trial_runs})
    return mine


def entitlement_grant(*, order: Order) -> Entitlement:
    """What a paid order gives; for the service that has taken the money."""
    mine = Entitlement.objects.filter(department=order.department, listing=order.listing).first()
    if mine is None:
        allowance = RunAllowance.objects.create(runs_left=0)
        mine = Entitlement.objects.create(
            department=order.department, listing=order.listing, allowance=allowance
        )
    allowance = RunAllowance.objects.select_for_update().get(pk=mine.allowance_id)
    _extend(allowance, order, mine)
    allowance.refusal = ""
    allowance.save()
    mine.is_trial = False
    mine.save(update_fields=["is_trial"])
    return mine


def _extend(allowance: RunAllowance, order: Order, mine: Entitlement) -> None:
    live = _live(mine)
    unlimited = _unlimited_by(live)
    if unlimited and order.kind == PriceKind.PER_RUN:
        order.replaced_runs = order.quantity  # paid late: they wait, as those that were left
        return
    if unlimited and unlimited.kind == PriceKind.ONE_OFF:
        return
    allowance.seats = order.seats
    if order.kind == PriceKind.PER_RUN:
        allowance.expires_at = None
        allowance.runs_left = _counted(allowance, live) + order.quantity
        _wait(live, 0)
        return
    order.replaced_runs = allowance.runs_left or 0
    allowance.runs_left = None
    allowance.expires_at = None
    if order.kind == PriceKind.SUBSCRIPTION:
        allowance.expires_at = _subscribed_until([*live, order])


def entitlement_revoke(*, order: Order, reason: str) -> None:
    """Takes back what the refunded `order` gave and was not used; what other orders in force give stays."""
    mine = order.entitlement
    allowance = RunAllowance.objects.select_for_update().get(pk=mine.allowance_id)
    live = _live(mine)
    others = [each for each in live if each != order]
    runs = _counted(allowance, live) - runs_unused(order=order, allowance=allowance)
    unlimited = _unlimited_by(others)
    _wait(others, runs if unlimited else 0)
    if unlimited:
        is_once = unlimited.kind == PriceKind.ONE_OFF
        allowance.runs_left, allowance.expires_at = None, None if is_once else _subscribed_until(others)
    else:
        allowance.runs_left, allowance.expires_at = runs, None
        is_counted = any(each.kind == PriceKind.PER_RUN for each in others)
        allowance.refusal = "" if is_counted else reason[:300]
    if others:
        holds = unlimited or max(others, key=lambda each: each.paid_at)
        allowance.seats = holds.seats
    allowance.save()


def runs_unused(*, order: Order, allowance: RunAllowance) -> int:
    """Of the runs bought one by one that `order` gave: those that were bought first are used first."""
    if order.kind != PriceKind.PER_RUN:
        return 0
    live = _live(order.entitlement)
    runs = [each for each in live if each.kind == PriceKind.PER_RUN and each != order]
    later = sum(each.quantity for each in runs if each.paid_at > order.paid_at)
    return min(order.quantity, max(0, _counted(allowance, live) - later))


def _counted(allowance: RunAllowance, live: list[Order]) -> int:
    """The runs bought one by one that are left, or wait in the rows of `live` orders while runs are not counted."""
    if allowance.runs_left is None:
        return sum(each.replaced_runs for each in live)
    return allowance.runs_left


def _wait(orders: list[Order], runs: int) -> None:
    """So many runs wait, in the row of the first."""
    for each, here in zip(orders, [runs, *[0] * len(orders)], strict=False):
        if each.replaced_runs != here:
            Order.objects.filter(pk=each.pk).update(replaced_runs=here)


def paid_until(mine: Entitlement) -> datetime | None:
    """The end of what is paid for by the month; None where nothing is."""
    return _subscribed_until(_live(mine))


def _unlimited_by(orders: list[Order]) -> Order | None:
    """The one of them by which runs are not counted now."""
    until = _subscribed_until(orders)
    kinds = {PriceKind.ONE_OFF} | ({PriceKind.SUBSCRIPTION} if until and until > timezone.now() else set())
    giving = [each for each in orders if each.kind in kinds]
    return max(giving, key=lambda each: (each.kind == PriceKind.ONE_OFF, each.paid_at), default=None)


def months_until(order: Order) -> datetime | None:
    """The end of what `order` itself pays for by the month."""
    earlier = [each for each in _live(order.entitlement) if each.begins_at <= order.begins_at]
    return _subscribed_until(earlier)


def _live(mine: Entitlement) -> list[Order]:
    return list(mine.orders.live())


def _subscribed_until(orders: list[Order]) -> datetime | None:
    return subscribed_until(
        [(each.begins_at, each.quantity) for each in orders if each.kind == PriceKind.SUBSCRIPTION]
    )
