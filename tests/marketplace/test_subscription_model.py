"""Subscriptions against a model of a few lines: whatever is bought, cancelled, kept, given back and however the clock
goes, the ledger, the entitlements and the states agree with it."""

from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import pytest
from django.db import transaction
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from marketplace.domain.money import fee_of
from marketplace.domain.orders import months_later
from marketplace.domain.subscriptions import GRACE, LEAD, Due
from marketplace.models import Order, Subscription
from marketplace.models.ledger import AccountKind
from marketplace.services import refunds, renewals
from marketplace.services.accounts import credits_withdraw
from marketplace.services.entitlements import PaymentRequired, entitled, entitlement_of
from marketplace.services.ledger import NotEnough
from marketplace.services.publishing import listing_create, publisher_create, release_publish
from marketplace.services.refunds import order_refund
from marketplace.services.renewals import subscriptions_renew
from marketplace.services.subscriptions import subscription_cancel, subscription_keep
from personas.errors import Refused
from tests.factories import make_department, make_member, make_persona
from tests.marketplace.shop import buy, grant, held, ledger_is_balanced, make_price, superuser, take_fee

FEE = 1250  # basis points
DAY = timedelta(days=1)


class Months(RuleBasedStateMachine):
    """One buyer, one publisher, and a clock of their own. The model: `wallet`, `earned`, `fee`, `state` (None before
    the first order that renews), `terms` (what a renewal costs) and `paid`: {order: (begins at, months, amount)}."""

    def __init__(self):
        super().__init__()
        self.now = datetime(2026, 1, 31, 12, tzinfo=UTC)  # a day that February does not have
        self.clock = patch("django.utils.timezone.now", lambda: self.now)
        self.clock.start()
        self.back = transaction.atomic()
        self.back.__enter__()
        self.seller, self.buyer = make_department(), make_department()
        self.admin, self.person = make_member(self.seller), make_member(self.buyer)
        publisher = publisher_create(by=self.admin, department=self.seller, name="Sellers")
        persona = make_persona(department=self.seller, packages=["nginx"])
        words = {"summary": "x", "readme": "y"}
        self.listing = listing_create(by=self.admin, publisher=publisher, persona=persona, **words)
        release_publish(listing=self.listing, by=self.admin, version="1.0.0", licence="MIT")
        self.wallet, self.earned, self.fee = 0, 0, 0
        self.state, self.terms, self.paid = None, 0, {}
        take_fee(FEE)
        self.price_is(amount=10)
        self.granted(amount=35)

    def teardown(self):
        transaction.set_rollback(True)
        self.back.__exit__(None, None, None)
        self.clock.stop()

    # --- the model's own arithmetic

    @property
    def until(self):
        """The end of what is paid: each order begins where the one before ends, or when it was paid."""
        end = None
        for begins, months, _ in sorted(self.paid.values()):
            end = months_later(max(end, begins) if end else begins, months)
        return end

    @property
    def runs_until(self):
        return self.until + GRACE if self.state == "grace" else self.until

    def _earn(self, amount, sign=1):
        self.wallet -= sign * amount
        self.fee += sign * fee_of(amount, FEE)
        self.earned += sign * (amount - fee_of(amount, FEE))

    @property
    def subscription(self):
        return Subscription.objects.get()

    # --- what people do

    @rule(amount=st.integers(1, 40))
    def granted(self, amount):
        grant(self.buyer, amount)
        self.wallet += amount

    @precondition(lambda self: self.wallet)
    @rule()
    def spent_otherwise(self):
        credits_withdraw(department=self.buyer, amount=self.wallet, by=superuser())
        self.wallet = 0

    @rule(amount=st.integers(1, 30))
    def price_is(self, amount):
        self.price = make_price(self.listing, self.admin, kind="subscription", unit_amount=amount)

    @rule(months=st.integers(1, 3), renews=st.booleans())
    def bought(self, months, renews):
        cost = months * self.price.unit_amount
        asked = {"quantity": months, "renews": renews}
        if cost > self.wallet:
            with pytest.raises(NotEnough):
                buy(self.listing, self.buyer, self.person, **asked)
            return
        order = buy(self.listing, self.buyer, self.person, **asked)
        self._earn(cost)
        self.paid[order.pk] = (self.now, months, cost)
        if renews:
            self.state, self.terms = "renewing", self.price.unit_amount
        elif self.state in ("renewing", "grace"):
            self.state = "ending"

    @precondition(lambda self: self.state)
    @rule()
    def cancelled(self):
        if self.state in ("lapsed", "ended"):
            with pytest.raises(Refused):
                subscription_cancel(subscription=self.subscription, by=self.person)
            return
        subscription_cancel(subscription=self.subscription, by=self.person)
        self.state = "ending"

    @precondition(lambda self: self.state)
    @rule()
    def kept(self):
        is_over = self.state in ("lapsed", "ended") or (self.state == "ending" and self.until <= self.now)
        if is_over:
            with pytest.raises(Refused, match="over"):
                subscription_keep(subscription=self.subscription, by=self.person)
            return
        subscription_keep(subscription=self.subscription, by=self.person)
        self.state = "renewing" if self.state == "ending" else self.state

    @precondition(lambda self: self.paid)
    @rule(newest=st.booleans())
    def given_back(self, newest):
        pk = (max if newest else min)(self.paid, key=lambda each: self.paid[each][0])
        order_refund(order=Order.objects.get(pk=pk), by=self.admin)
        self._earn(self.paid.pop(pk)[2], sign=-1)
        if self.state in ("renewing", "grace", "ending"):
            is_over = self.until is None or self.until <= self.now
            self.state = "ended" if is_over else "ending"

    # --- what the clock does

    @rule(days=st.integers(1, 24), looks=st.integers(1, 3))
    def days_pass(self, days, looks):
        """However often it looks, a month is paid for once."""
        self.now += days * DAY
        for _ in range(looks):
            subscriptions_renew(now=self.now)
            self._looked()

    def _looked(self):
        until = self.until
        if self.state == "ending" and until <= self.now:
            self.state = "ended"
        elif self.state == "grace" and until + GRACE <= self.now:
            self.state = "lapsed"
        elif self.state in ("renewing", "grace") and until - LEAD <= self.now:
            self._due(until)

    def _due(self, until):
        if self.wallet < self.terms:
            self.state = "grace"
            return
        self.state = "renewing"
        self._earn(self.terms)
        assert Order.objects.filter(period_at=until).live().count() == 1
        self.paid[Order.objects.live().get(period_at=until).pk] = (until, 1, self.terms)

    # --- what always holds

    @invariant()
    def the_ledger_says_the_same(self):
        kinds = (AccountKind.WALLET, self.buyer), (AccountKind.EARNINGS, self.seller), (AccountKind.FEE, None)
        assert [held(*each) for each in kinds] == [self.wallet, self.earned, self.fee]
        assert held(AccountKind.ESCROW) == 0 and ledger_is_balanced()

    @invariant()
    def the_state_and_the_end_are_the_same(self):
        assert [each.state for each in Subscription.objects.all()] == ([self.state] if self.state else [])
        assert Order.objects.live().count() == len(self.paid)
        if mine := entitlement_of(listing=self.listing, department=self.buyer):
            assert mine.allowance.expires_at == self.runs_until

    @invariant()
    def who_has_paid_may_install_and_nobody_else(self):
        if self.paid and self.runs_until > self.now:
            assert entitled(listing=self.listing, department=self.buyer) is not None
        else:
            with pytest.raises(PaymentRequired):
                entitled(listing=self.listing, department=self.buyer)


@pytest.mark.django_db
@pytest.mark.once  # the services are the same; what the databases do differently is in test_order_races.py
def test_subscriptions_agree_with_the_model():
    few = settings(max_examples=10, stateful_step_count=15, deadline=None)
    run_state_machine_as_test(Months, settings=few)


# --- that it would notice --------------------------------------------------------------------------------------------

WALK = [
    ("bought", {"months": 1, "renews": True}),
    ("price_is", {"amount": 20}),
    ("days_pass", {"days": 27, "looks": 2}),
    ("cancelled", {}),
    ("kept", {}),
    ("given_back", {"newest": True}),
    ("kept", {}),
    ("days_pass", {"days": 1, "looks": 1}),
    ("cancelled", {}),
    ("days_pass", {"days": 28, "looks": 1}),
    ("granted", {"amount": 40}),
    ("bought", {"months": 1, "renews": True}),
    ("spent_otherwise", {}),
    ("days_pass", {"days": 31, "looks": 1}),
    ("granted", {"amount": 40}),
    ("days_pass", {"days": 4, "looks": 1}),
    ("spent_otherwise", {}),
    ("days_pass", {"days": 26, "looks": 1}),
    ("days_pass", {"days": 7, "looks": 1}),
    ("kept", {}),
]
"""Renewed, cancelled, kept, given back; over; bought anew, in grace and paid late; in grace and lapsed."""


def walk():
    machine = Months()
    try:
        for rule_name, said in WALK:
            getattr(machine, rule_name)(**said)
            machine.the_ledger_says_the_same()
            machine.the_state_and_the_end_are_the_same()
            machine.who_has_paid_may_install_and_nobody_else()
    finally:
        machine.teardown()


due, order_of = renewals.due, renewals._order


def nothing(*_, **__):
    return None


def without_end(state, **said):
    wanted = due(state, **said)
    return Due.PAYMENT if wanted == Due.LAPSE else wanted


def at_the_new_price(subscription, until):
    order = order_of(subscription, until)
    order.amount = renewals.price_of(subscription.listing).unit_amount
    return order


def from_today(subscription, until):
    order = order_of(subscription, until)
    order.period_at = renewals.timezone.now()
    return order


BROKEN = {
    "what is cancelled never ends": (renewals, "_end", nothing),
    "grace never ends": (renewals, "due", without_end),
    "there is no grace": (renewals, "_unpaid", nothing),
    "a renewal takes the new price": (renewals, "_order", at_the_new_price),
    "who pays late loses days": (renewals, "_order", from_today),
    "who takes the money back is charged again": (refunds, "subscription_refunded", nothing),
}


@pytest.mark.django_db
@pytest.mark.once
def test_the_walk_finds_nothing_in_the_services_as_they_are():
    walk()


@pytest.mark.django_db
@pytest.mark.once
@pytest.mark.parametrize("broken", BROKEN)
def test_the_invariants_notice_when(broken, monkeypatch):
    monkeypatch.setattr(*BROKEN[broken])
    with pytest.raises((AssertionError, Order.DoesNotExist)):
        walk()
