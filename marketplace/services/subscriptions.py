"""A subscription as its orders and its buyer have it: begun, cancelled, kept, ended. The clock's part is in
renewals.py."""

from django.db import transaction
from django.utils import timezone

from marketplace.domain.orders import PriceKind
from marketplace.domain.subscriptions import GOES_ON, SUBSCRIPTION_TRANSITIONS, SubscriptionState
from marketplace.models import Order, Subscription
from marketplace.services.entitlements import paid_until
from personas.errors import Refused
from personas.models import Persona, Role, RunAllowance
from personas.services.access import require
from personas.services.audit import record
from personas.services.notices import notice_clear, notice_set

NOTICE_SOURCE = "marketplace.subscription"


def subscription_locked(subscription: Subscription) -> Subscription:
    rows = Subscription.objects.select_for_update(of=("self",))
    return rows.select_related("listing__publisher", "department", "entitlement", "terms").get(
        pk=subscription.pk
    )


def subscription_move(
    subscription: Subscription, state: SubscriptionState, *, by, problem: str = "", **columns
) -> None:
    """The one place that writes a state; in the one that it has already, nothing but a new problem is written. Raises
    Refused for a way that the table does not have."""
    before = SubscriptionState(subscription.state)
    if before != state and (before, state) not in SUBSCRIPTION_TRANSITIONS:
        raise Refused(f"The subscription is {before}; it can't become {state}.")
    if (before, subscription.problem) == (state, problem[:300]) and not columns:
        return
    subscription.state, subscription.problem = state, problem[:300]
    for name, value in columns.items():
        setattr(subscription, name, value)
    subscription.save()
    told = {"state": state, "problem": subscription.problem}
    record(by=by, action="subscription.move", obj=subscription, before={"state": before}, after=told)


def subscription_follow(*, order: Order, by) -> None:
    """For the service that has taken the money of `order`: what its buyer said last holds, and a renewal that was paid
    late goes on."""
    if order.kind != PriceKind.SUBSCRIPTION:
        return
    mine = Subscription.objects.select_for_update().filter(entitlement=order.entitlement).first()
    if mine is None:
        if order.renews:
            _begun(order, by)
        return
    tell_personas(mine, "", by=by)
    if order.subscription_id:  # a renewal
        if mine.state == SubscriptionState.GRACE:
            subscription_move(mine, SubscriptionState.RENEWING, by=by)
    elif order.renews:
        kept = {"terms": order, "cancelled_at": None, "cancelled_by": None}
        subscription_move(mine, SubscriptionState.RENEWING, by=by, **kept)
    elif mine.state in GOES_ON:
        subscription_move(mine, SubscriptionState.ENDING, by=by)


def _begun(order: Order, by) -> None:
    owner = {"department": order.department, "listing": order.listing, "entitlement": order.entitlement}
    subscription = Subscription.objects.create(terms=order, **owner)
    record(by=by, action="subscription.begin", obj=subscription, after={"order": order.number})


@transaction.atomic
def subscription_cancel(*, subscription: Subscription, by) -> Subscription:
    """It runs to the end of what is paid. Said again: the same. Raises Refused when it is over."""
    require(by=by, department=subscription.department, role=Role.ADMIN)
    mine = subscription_locked(subscription)
    if mine.state == SubscriptionState.ENDING:
        return mine
    subscription_move(mine, SubscriptionState.ENDING, by=by, cancelled_at=timezone.now(), cancelled_by=by)
    allowance_until(mine, paid_until(mine.entitlement))
    tell_personas(mine, "", by=by)
    return mine


@transaction.atomic
def subscription_keep(*, subscription: Subscription, by) -> Subscription:
    """Takes a cancellation back while what is paid lasts. Raises Refused afterwards: it has to be bought again."""
    require(by=by, department=subscription.department, role=Role.ADMIN)
    mine = subscription_locked(subscription)
    if mine.state in GOES_ON:
        return mine
    until = paid_until(mine.entitlement)
    if mine.state != SubscriptionState.ENDING or until is None or until <= timezone.now():
        raise Refused(f"It is over: buy {mine.listing} again.")
    subscription_move(mine, SubscriptionState.RENEWING, by=by, cancelled_at=None, cancelled_by=None)
    return mine


def subscription_refunded(*, order: Order, by) -> None:
    """For the service that has taken `order` back: who wants the money does not want the next month either."""
    mine = Subscription.objects.select_for_update().filter(entitlement=order.entitlement).first()
    if order.kind != PriceKind.SUBSCRIPTION or mine is None:
        return
    if mine.state not in GOES_ON | {SubscriptionState.ENDING}:
        return
    until = paid_until(mine.entitlement)
    is_over = until is None or until <= timezone.now()
    state = SubscriptionState.ENDED if is_over else SubscriptionState.ENDING
    subscription_move(mine, state, by=by)
    tell_personas(mine, "", by=by)


def allowance_until(subscription: Subscription, until) -> None:
    """What was bought once has no end."""
    if subscription.entitlement.orders.live().filter(kind=PriceKind.ONE_OFF).exists():
        return
    RunAllowance.objects.filter(pk=subscription.entitlement.allowance_id).update(expires_at=until)


def tell_personas(subscription: Subscription, text: str, *, by, action: str = "") -> None:
    """What those who run it read; empty: nothing any more."""
    theirs = {"listing": subscription.listing_id, "department": subscription.department_id}
    installed = {f"installation__{name}": value for name, value in theirs.items()}
    for persona in Persona.objects.filter(**installed):
        if text:
            notice_set(persona=persona, source=NOTICE_SOURCE, text=text, action=action, by=by)
        else:
            notice_clear(persona=persona, source=NOTICE_SOURCE, by=by)
