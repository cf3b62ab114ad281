"""Buying: from a price to a persona that may be run, and the way back."""

from datetime import UTC, datetime, timedelta

import pytest
import structlog
from django.utils import timezone

from marketplace.domain.orders import (
    ORDER_TRANSITIONS,
    OrderState,
    Verdict,
    months_later,
    promise_verdict,
    subscribed_until,
)
from marketplace.models import Entitlement, Listing, Order, Subscription
from marketplace.services import refunds
from marketplace.services.accounts import budget_set
from marketplace.services.entitlements import PaymentRequired, may_read, trial_start
from marketplace.services.installing import installation_remove, installation_update
from marketplace.services.ledger import NotEnough
from marketplace.services.moderation import takedown_create
from marketplace.services.orders import KeyReused, NotPaid, order_cancel, order_confirm, state_set
from marketplace.services.prices import price_of
from marketplace.services.publishing import listing_create, publisher_create, release_publish, release_yank
from marketplace.services.refunds import NotSettled, order_refund, orders_settle, refund_done
from marketplace.services.subscriptions import subscription_cancel
from marketplace.tasks import settle
from personas.errors import BadInput, Missing, NotAllowed, Refused, Stale
from personas.models import AuditEntry, Persona, RunAllowance, RunOutcome
from personas.services.allowances import refusal_of
from personas.services.personas import persona_clone
from tests.factories import make_department, make_member
from tests.marketplace.shop import (
    APPROVED,
    buy,
    escrow_of,
    grant,
    held,
    install,
    ledger_is_balanced,
    make_price,
    run_ended,
    superuser,
    take_fee,
    total_moved,
)
from tests.personas.test_api import client_of

# what has no release is not sold
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("release")]


def at(day, month=1, year=2026):
    return datetime(year, month, day, 12, tzinfo=UTC)


def test_a_month_ends_with_the_month():
    assert months_later(at(31), 1) == at(28, 2)
    assert months_later(at(31, 12, 2027), 2) == at(29, 2, 2028)
    assert months_later(at(15), 12) == at(15, 1, 2027)


def test_a_subscription_goes_on_where_it_ended_or_begins_anew():
    assert subscribed_until([]) is None
    assert subscribed_until([(at(10), 1), (at(1), 1)]) == at(1, 3)
    assert subscribed_until([(at(1), 1), (at(1, 6), 2)]) == at(1, 8)


@pytest.mark.parametrize(
    ("ended", "verdict"),
    [
        ([], Verdict.WAIT),
        ([True], Verdict.WAIT),
        ([False], Verdict.WAIT),
        ([False, False], Verdict.BROKEN),
        ([True, True, True], Verdict.KEPT),
        ([True, False, True, False, False], Verdict.BROKEN),
        ([False, True, True, True, False], Verdict.KEPT),
    ],
)
def test_a_promise_is_judged_as_soon_as_nothing_can_change_it(ended, verdict):
    assert promise_verdict(ended, runs=4, percent=75) == verdict


def test_states_that_the_table_does_not_join_are_refused(listing, buyer, bob, alice):
    make_price(listing, alice)
    grant(buyer)
    order = buy(listing, buyer, bob)
    for state in OrderState:
        if (OrderState.PAID, state) not in ORDER_TRANSITIONS:
            with pytest.raises(Refused, match="can't become"):
                state_set(order, state)


# --- prices ----------------------------------------------------------------------------------------------------------


def test_a_price_holds_for_new_orders_only(listing, buyer, bob, alice):
    first = make_price(listing, alice, kind="per_run", unit_amount=10)
    grant(buyer)
    order = buy(listing, buyer, bob, quantity=3)
    make_price(listing, alice, kind="per_run", unit_amount=99)
    order.refresh_from_db()
    assert (order.amount, order.unit_amount, price_of(listing).unit_amount) == (30, 10, 99)
    with pytest.raises(Stale, match="changed"):
        buy(listing, buyer, bob, price=first)
    assert AuditEntry.objects.filter(action="price.set").count() == 2


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"kind": "one_off", "unit_amount": 0}, "unit_amount"),
        ({"kind": "one_off", "unit_amount": 5, "promised_runs": 3}, "promised_percent"),
        (
            {"kind": "one_off", "unit_amount": 5, "promised_runs": 3, "promised_percent": 101},
            "promised_percent",
        ),
        ({"kind": "one_off", "unit_amount": 5, "seats": 0}, "seats"),
        *[
            ({"kind": "one_off", "unit_amount": 5} | {field: 9 * 10**17}, field)
            for field in ("unit_amount", "seats", "trial_runs", "refund_days")
        ],
    ],
)
def test_a_price_that_says_nothing_is_told_by_field(listing, alice, terms, field):
    with pytest.raises(BadInput) as refused:
        make_price(listing, alice, **terms)
    assert set(refused.value.errors) == {field}


def test_only_the_publisher_sets_the_price(listing, bob):
    with pytest.raises(NotAllowed):
        make_price(listing, bob)


# --- buying ----------------------------------------------------------------------------------------------------------


def test_without_an_entitlement_nothing_is_installed_and_it_is_told_what_to_do(
    release, listing, buyer, bob, alice
):
    price = make_price(listing, alice)
    with pytest.raises(PaymentRequired, match="has not bought") as refused:
        install(release, buyer, bob)
    assert (refused.value.status, refused.value.extra["price"]["id"]) == (402, str(price.pk))
    assert not Persona.objects.filter(department=buyer).exists()


def test_bought_with_credits_it_is_installed_and_the_money_is_where_it_belongs(
    release, listing, buyer, bob, seller, alice
):
    make_price(listing, alice, unit_amount=100)
    take_fee(250)
    grant(buyer, 150)
    order = buy(listing, buyer, bob)
    assert order.state == "paid"
    assert (held("wallet", buyer), held("earnings", seller), held("fee")) == (50, 98, 2)
    assert escrow_of(order) == 0
    own = install(release, buyer, bob).persona
    assert own.origin == str(release.pk)
    assert own.allowance == order.entitlement.allowance
    assert ledger_is_balanced()
    other = make_department()
    other.memberships.create(user=bob, role="admin")
    with pytest.raises(BadInput, match="bought for"):
        persona_clone(persona=own, by=bob, department=other)
    assert persona_clone(persona=own, by=bob, department=buyer).allowance == own.allowance


def test_the_own_department_pays_nothing(release, listing, seller, alice):
    make_price(listing, alice)
    assert install(release, seller, alice).persona.allowance is None
    with pytest.raises(Refused, match="own"):
        buy(listing, seller, alice)


def test_an_empty_wallet_buys_nothing(listing, buyer, bob, alice):
    make_price(listing, alice, unit_amount=100)
    grant(buyer, 99)
    with pytest.raises(NotEnough, match="99 credits"):
        buy(listing, buyer, bob)
    assert not Order.objects.exists()
    assert not Entitlement.objects.exists()
    assert held("wallet", buyer) == 99


def test_a_budget_holds_though_there_are_credits(listing, buyer, bob, alice):
    make_price(listing, alice, kind="per_run", unit_amount=10)
    grant(buyer)
    with pytest.raises(NotAllowed):
        budget_set(department=buyer, unit="credits", monthly_amount=10, by=bob)
    budget_set(department=buyer, unit="credits", monthly_amount=25, by=superuser())
    first = buy(listing, buyer, bob, quantity=2)
    with pytest.raises(NotPaid, match="budget"):
        buy(listing, buyer, bob)
    order_refund(order=first, by=bob)
    buy(listing, buyer, bob)
    budget_set(department=buyer, unit="credits", monthly_amount=None, by=superuser())
    buy(listing, buyer, bob, quantity=50)


def test_used_runs_stay_spent_when_the_others_are_given_back(listing, buyer, bob, alice):
    make_price(listing, alice, kind="per_run", unit_amount=10)
    grant(buyer)
    budget_set(department=buyer, unit="credits", monthly_amount=50, by=superuser())
    order = buy(listing, buyer, bob, quantity=5)
    RunAllowance.objects.update(runs_left=1)
    assert order_refund(order=order, by=bob).refunded_amount == 10
    with pytest.raises(NotPaid, match="40 credits are spent"):
        buy(listing, buyer, bob, quantity=2)
    buy(listing, buyer, bob)


def test_a_key_gives_the_order_of_that_time_or_is_refused_for_another(listing, buyer, bob, alice):
    make_price(listing, alice, kind="per_run", unit_amount=10)
    grant(buyer)
    order = buy(listing, buyer, bob, idempotency_key="k1")
    assert buy(listing, buyer, bob, idempotency_key="k1") == order
    with pytest.raises(KeyReused):
        buy(listing, buyer, bob, idempotency_key="k1", quantity=2)
    assert total_moved("payment") == 10


def test_what_is_bought_once_is_not_bought_again(listing, buyer, bob, alice):
    make_price(listing, alice)
    grant(buyer)
    buy(listing, buyer, bob)
    with pytest.raises(Refused, match="already"):
        buy(listing, buyer, bob)
    make_price(listing, alice, kind="per_run", unit_amount=1)
    with pytest.raises(Refused):
        buy(listing, buyer, bob)
    assert total_moved("payment") == 100


@pytest.mark.parametrize(
    ("asked", "field"),
    [({"quantity": 0}, "quantity"), ({"quantity": 2}, "quantity"), ({"provider": "invoice"}, "provider"),
     ({"provider": "gold"}, "provider")],
)  # fmt: skip
def test_a_wrong_order_is_told_by_field(listing, buyer, bob, alice, asked, field):
    make_price(listing, alice)
    grant(buyer)
    with pytest.raises(BadInput) as refused:
        buy(listing, buyer, bob, **asked)
    assert set(refused.value.errors) == {field}


@pytest.mark.parametrize(
    ("taken_down", "told"), [(True, "taken down: It opens a back door"), (False, "no version to install")]
)
def test_what_can_not_be_installed_is_not_paid_for(release, listing, buyer, bob, alice, taken_down, told):
    make_price(listing, alice, trial_runs=1)
    grant(buyer)
    if taken_down:
        takedown_create(listing=listing, by=superuser(), reason="It opens a back door")
    else:
        release_yank(release=release, by=alice, reason="Broken")
    listing = Listing.objects.get(pk=listing.pk)
    with pytest.raises(Refused, match=told):
        buy(listing, buyer, bob)
    with pytest.raises(Refused, match=told):
        trial_start(listing=listing, department=buyer, by=bob)
    assert not Order.objects.exists() and not Entitlement.objects.exists()
    assert held("wallet", buyer) == 1000


def test_who_may_not_buy_does_not(listing, buyer, alice):
    make_price(listing, alice)
    with pytest.raises(NotAllowed):
        buy(listing, buyer, make_member(buyer, "operator"))
    listing.visibility = "department"
    listing.save()
    with pytest.raises(Missing):
        buy(listing, buyer, make_member(buyer))


def test_an_invoice_is_paid_when_a_superuser_has_seen_the_money(release, listing, buyer, bob, seller, alice):
    make_price(listing, alice, unit="EUR", unit_amount=1250)
    order = buy(listing, buyer, bob)
    assert (order.state, order.provider, order.reference) == ("pending", "invoice", order.number)
    with pytest.raises(PaymentRequired):
        install(release, buyer, bob)
    with pytest.raises(NotAllowed):
        order_confirm(order=order, by=bob)
    for _ in range(2):
        order_confirm(order=order, by=superuser(), reference="bank 7")
    assert (held("earnings", seller, "EUR"), held("external", unit="EUR")) == (1250, -1250)
    install(release, buyer, bob)
    order = order_refund(order=order, by=bob)
    assert order.state == "refunding"
    assert held("earnings", seller, "EUR") == 0
    assert (refund_done(order=order, by=superuser()).state, held("external", unit="EUR")) == ("refunded", 0)


def test_an_unpaid_order_is_given_up_and_ordered_anew(listing, buyer, bob, alice):
    make_price(listing, alice, unit="EUR", unit_amount=1250)
    order = buy(listing, buyer, bob)
    with pytest.raises(Refused, match="already"):
        buy(listing, buyer, bob)
    with pytest.raises(NotAllowed):
        order_cancel(order=order, by=alice)
    assert order_cancel(order=order, by=bob).state == "cancelled"
    assert buy(listing, buyer, bob) != order


def test_money_for_an_order_that_was_given_up_goes_back(listing, buyer, bob, seller, alice):
    make_price(listing, alice, unit="EUR", unit_amount=1250)
    order = order_cancel(order=buy(listing, buyer, bob), by=bob)
    assert order_confirm(order=order, by=superuser()).state == "refunding"
    assert (escrow_of(order), held("earnings", seller, "EUR")) == (1250, 0)
    refund_done(order=order, by=superuser())
    assert ledger_is_balanced() and escrow_of(order) == 0
    assert not Entitlement.objects.exists()


# --- what it gives ---------------------------------------------------------------------------------------------------


def refusal(persona):
    return refusal_of(persona=Persona.objects.get(pk=persona.pk), machine_id=persona.pk, now=timezone.now())


def test_runs_add_up_and_the_seats_are_kept(release, listing, buyer, bob, alice):
    make_price(listing, alice, kind="per_run", unit_amount=10, seats=2)
    grant(buyer)
    buy(listing, buyer, bob, quantity=3)
    own = install(release, buyer, bob).persona
    buy(listing, buyer, bob, quantity=2)
    allowance = RunAllowance.objects.get(pk=own.allowance_id)
    assert (allowance.runs_left, allowance.seats) == (5, 2)


def test_a_subscription_lasts_a_month_and_is_renewed(release, listing, buyer, bob, alice):
    make_price(listing, alice, kind="subscription", unit_amount=10)
    grant(buyer)
    order = buy(listing, buyer, bob)
    own = install(release, buyer, bob).persona
    assert order.entitlement.allowance.expires_at == months_later(order.paid_at, 1)
    RunAllowance.objects.update(expires_at=timezone.now())
    assert "ended on" in refusal(own)
    assert not may_read(listing=listing, user=bob)
    buy(listing, buyer, bob)
    assert refusal(own) == ""
    assert RunAllowance.objects.get().expires_at == months_later(order.paid_at, 2)


def test_a_trial_is_once_and_ends_with_its_runs(release, listing, buyer, bob, alice):
    make_price(listing, alice)
    with pytest.raises(Refused, match="no trial"):
        trial_start(listing=listing, department=buyer, by=bob)
    make_price(listing, alice, trial_runs=1)
    trial_start(listing=listing, department=buyer, by=bob)
    own = install(release, buyer, bob).persona
    assert RunAllowance.objects.get(pk=own.allowance_id).runs_left == 1
    RunAllowance.objects.update(runs_left=0)
    with pytest.raises(Refused, match="trial"):
        trial_start(listing=listing, department=buyer, by=bob)
    assert "No run" in refusal(own)
    grant(buyer)
    buy(listing, buyer, bob)
    assert refusal(own) == ""


def test_a_used_up_trial_gives_nothing_new(release, listing, buyer, bob, alice):
    make_price(listing, alice, trial_runs=1)
    trial_start(listing=listing, department=buyer, by=bob)
    installation = install(release, buyer, bob)
    assert may_read(listing=listing, user=bob)
    RunAllowance.objects.update(runs_left=0)
    assert not may_read(listing=listing, user=bob)
    with pytest.raises(PaymentRequired, match=r"trial is used up.*order it"):
        installation_update(installation=installation, release=release, by=bob)
    installation_remove(installation=installation, by=bob)
    with pytest.raises(PaymentRequired, match=r"trial is used up.*order it"):
        install(release, buyer, bob)
    RunAllowance.objects.update(runs_left=1)  # its run did not succeed, and was given back
    assert install(release, buyer, bob)


def test_what_has_become_free_asks_for_no_allowance(release, listing, buyer, bob, alice):
    make_price(listing, alice, trial_runs=1)
    trial_start(listing=listing, department=buyer, by=bob)
    installation = install(release, buyer, bob)
    RunAllowance.objects.update(runs_left=0)
    make_price(listing, alice, kind="free", unit_amount=0)
    own = Persona.objects.get(pk=installation.persona_id)
    assert (refusal(own), own.allowance_id) == ("", None)
    installation_update(installation=installation, release=release, by=bob)
    assert refusal(Persona.objects.get(pk=own.pk)) == ""


# --- the way back ----------------------------------------------------------------------------------------------------


def test_a_refund_takes_the_entitlement_and_reverses_the_earning(release, listing, buyer, bob, seller, alice):
    make_price(listing, alice, unit_amount=100)
    take_fee(1000)
    grant(buyer, 100)
    order = buy(listing, buyer, bob)
    installed = install(release, buyer, bob)
    order = order_refund(order=order, by=bob, reason="Does not fit")
    assert (order.state, order.refunded_amount) == ("refunded", 100)
    assert (held("wallet", buyer), held("earnings", seller), held("fee"), escrow_of(order)) == (100, 0, 0, 0)
    assert "refunded" in refusal(installed.persona) and "Does not fit" in refusal(installed.persona)
    assert Persona.objects.visible_to(bob).filter(pk=installed.persona_id).exists()
    assert Order.objects.visible_to(bob).get() == order
    assert not may_read(listing=listing, user=bob)
    newer = release_publish(listing=listing, by=alice, version="1.1.0", licence="MIT")
    with pytest.raises(PaymentRequired):
        installation_update(installation=installed, release=newer, by=bob, approved_script_sha256=APPROVED)
    assert order_refund(order=order, by=bob).refunded_amount == 100
    assert total_moved("refund") == 100


def test_after_the_window_only_the_seller_gives_back(listing, buyer, bob, alice):
    make_price(listing, alice, refund_days=14)
    grant(buyer)
    order = buy(listing, buyer, bob)
    Order.objects.update(paid_at=timezone.now() - timedelta(days=15))
    order.refresh_from_db()
    with pytest.raises(Refused, match="ended on"):
        order_refund(order=order, by=bob)
    with pytest.raises(NotAllowed):
        order_refund(order=order, by=make_member())
    assert order_refund(order=order, by=alice).state == "refunded"


def test_no_window_applies_while_it_is_taken_down(client, listing, buyer, bob, alice):
    make_price(listing, alice, refund_days=0)
    grant(buyer)
    order = buy(listing, buyer, bob)
    client.force_login(bob)
    asked = f"/marketplace/orders/{order.pk}/refund/"
    assert asked not in client.get(order.get_absolute_url()).content.decode()
    takedown_create(listing=listing, by=superuser(), reason="It opens a back door")
    assert asked in client.get(order.get_absolute_url()).content.decode()
    assert order_refund(order=Order.objects.get(), by=bob).state == "refunded"
    assert held("wallet", buyer) == 1000


def test_months_that_are_over_stay_paid_though_it_is_taken_down(listing, buyer, bob, alice):
    make_price(listing, alice, kind="subscription", unit_amount=10, refund_days=0)
    grant(buyer)
    first = buy(listing, buyer, bob)
    second = buy(listing, buyer, bob)
    began = timezone.now() - timedelta(days=40)  # in the second month
    Order.objects.filter(pk=first.pk).update(paid_at=began)
    Order.objects.filter(pk=second.pk).update(paid_at=began + timedelta(days=1))
    takedown_create(listing=listing, by=superuser(), reason="It opens a back door")
    with pytest.raises(Refused, match="ended on"):
        order_refund(order=Order.objects.get(pk=first.pk), by=bob)
    assert order_refund(order=Order.objects.get(pk=second.pk), by=bob).state == "refunded"


def test_of_runs_only_the_unused_ones_are_given_back(release, listing, buyer, bob, seller, alice):
    make_price(listing, alice, kind="per_run", unit_amount=10)
    grant(buyer, 50)
    order = buy(listing, buyer, bob, quantity=5)
    RunAllowance.objects.update(runs_left=2)
    assert order_refund(order=order, by=bob).refunded_amount == 20
    assert (held("wallet", buyer), held("earnings", seller)) == (20, 30)
    used = buy(listing, buyer, bob, quantity=1)
    RunAllowance.objects.update(runs_left=0)
    with pytest.raises(Refused, match="used"):
        order_refund(order=used, by=bob)


def test_what_another_order_gives_stays(release, listing, buyer, bob, alice):
    make_price(listing, alice, kind="per_run", unit_amount=10)
    grant(buyer)
    buy(listing, buyer, bob, quantity=3)
    own = install(release, buyer, bob).persona
    make_price(listing, alice, unit_amount=100)
    once = buy(listing, buyer, bob)
    assert RunAllowance.objects.get().runs_left is None
    order_refund(order=once, by=bob)
    assert (RunAllowance.objects.get().runs_left, refusal(own)) == (3, "")


@pytest.mark.parametrize("kind", ["per_run", "subscription"])
def test_an_invoice_that_is_paid_late_takes_nothing_away(listing, buyer, bob, alice, kind):
    make_price(listing, alice, unit="EUR", kind=kind, unit_amount=10, seats=1)
    late = buy(listing, buyer, bob, quantity=3)
    make_price(listing, alice, unit_amount=100)
    grant(buyer)
    once = buy(listing, buyer, bob)
    order_confirm(order=late, by=superuser())
    allowance = RunAllowance.objects.get()
    assert (allowance.runs_left, allowance.expires_at, allowance.seats) == (None, None, None)
    order_refund(order=once, by=bob)
    allowance = RunAllowance.objects.get()
    assert (allowance.runs_left, bool(allowance.expires_at), allowance.refusal) == (
        (3, False, "") if kind == "per_run" else (None, True, "")
    )


def test_runs_that_are_paid_late_wait_while_a_subscription_lasts(listing, buyer, bob, alice):
    make_price(listing, alice, unit="EUR", kind="per_run", unit_amount=10)
    late = buy(listing, buyer, bob, quantity=3)
    make_price(listing, alice, kind="subscription", unit_amount=100)
    grant(buyer)
    month = buy(listing, buyer, bob)
    order_confirm(order=late, by=superuser())
    allowance = RunAllowance.objects.get()
    assert (allowance.runs_left, allowance.expires_at) == (None, months_later(month.paid_at, 1))
    order_refund(order=month, by=bob)
    assert RunAllowance.objects.get().runs_left == 3


def test_a_cancelled_subscription_does_not_end_what_was_bought_once(listing, buyer, bob, alice):
    make_price(listing, alice, kind="subscription", unit_amount=10)
    grant(buyer)
    buy(listing, buyer, bob)
    make_price(listing, alice, unit_amount=100)
    buy(listing, buyer, bob)
    subscription_cancel(subscription=Subscription.objects.get(), by=bob)
    assert RunAllowance.objects.get().expires_at is None


@pytest.mark.parametrize("kind", ["one_off", "subscription"])
def test_used_runs_are_not_given_back_when_runs_have_become_unlimited(listing, buyer, bob, alice, kind):
    make_price(listing, alice, kind="per_run", unit_amount=10)
    grant(buyer)
    runs = buy(listing, buyer, bob, quantity=10)
    RunAllowance.objects.update(runs_left=1)
    make_price(listing, alice, kind=kind, unit_amount=100)
    unlimited = buy(listing, buyer, bob)
    assert order_refund(order=runs, by=bob).refunded_amount == 10
    assert RunAllowance.objects.get().runs_left is None
    order_refund(order=unlimited, by=bob)
    allowance = RunAllowance.objects.get()
    assert (allowance.runs_left, bool(allowance.refusal)) == (0, True)


def test_runs_wait_until_the_last_that_made_them_unlimited_is_given_back(listing, buyer, bob, alice):
    make_price(listing, alice, kind="per_run", unit_amount=10)
    grant(buyer)
    runs = buy(listing, buyer, bob, quantity=4)
    make_price(listing, alice, kind="subscription", unit_amount=10)
    month = buy(listing, buyer, bob)
    make_price(listing, alice, unit_amount=10)
    once = buy(listing, buyer, bob)
    order_refund(order=month, by=bob)
    order_refund(order=once, by=bob)
    assert RunAllowance.objects.get().runs_left == 4
    assert order_refund(order=runs, by=bob).refunded_amount == 40


def test_runs_that_were_bought_first_are_used_first(listing, buyer, bob, alice):
    make_price(listing, alice, kind="per_run", unit_amount=100)
    grant(buyer)
    dear = buy(listing, buyer, bob, quantity=5)
    RunAllowance.objects.update(runs_left=1)
    make_price(listing, alice, kind="per_run", unit_amount=10)
    cheap = buy(listing, buyer, bob, quantity=5)
    assert order_refund(order=dear, by=bob).refunded_amount == 100
    assert RunAllowance.objects.get().runs_left == 5
    RunAllowance.objects.update(runs_left=4)
    assert order_refund(order=cheap, by=bob).refunded_amount == 40


@pytest.mark.parametrize("kind", ["per_run", "one_off"])
def test_the_seats_of_what_is_given_back_go_with_it(listing, buyer, bob, alice, kind):
    make_price(listing, alice, kind="per_run", unit_amount=10, seats=2)
    grant(buyer)
    buy(listing, buyer, bob, quantity=3)
    make_price(listing, alice, kind=kind, unit_amount=10, seats=50)
    wide = buy(listing, buyer, bob)
    assert RunAllowance.objects.get().seats == 50
    order_refund(order=wide, by=bob)
    assert RunAllowance.objects.get().seats == 2


def test_what_was_bought_once_keeps_its_seats_when_another_order_is_given_back(listing, buyer, bob, alice):
    make_price(listing, alice, kind="per_run", unit_amount=10, seats=2)
    grant(buyer)
    narrow = buy(listing, buyer, bob, quantity=3)
    make_price(listing, alice, unit_amount=10, seats=50)
    buy(listing, buyer, bob)
    order_refund(order=narrow, by=bob)
    assert RunAllowance.objects.get().seats == 50


def test_a_refund_after_the_payout_leaves_the_publisher_owing(listing, buyer, bob, seller, alice):
    from marketplace.services.accounts import payout_request

    make_price(listing, alice, unit_amount=100)
    grant(buyer)
    order = buy(listing, buyer, bob)
    payout_request(department=seller, unit="credits", amount=100, by=alice)
    order_refund(order=order, by=bob)
    assert (held("wallet", buyer), held("earnings", seller)) == (1000, -100)
    assert ledger_is_balanced()


def test_uninstalled_and_installed_again_it_costs_nothing(release, listing, buyer, bob, alice):
    make_price(listing, alice)
    grant(buyer)
    buy(listing, buyer, bob)
    installation_remove(installation=install(release, buyer, bob), by=bob)
    assert install(release, buyer, bob).persona.allowance is not None
    assert total_moved("payment") == 100


def test_what_was_bought_is_not_published_again(release, listing, buyer, bob, alice):
    make_price(listing, alice)
    grant(buyer)
    buy(listing, buyer, bob)
    own = install(release, buyer, bob).persona
    publisher = publisher_create(by=bob, department=buyer, name="Resale")
    with pytest.raises(BadInput, match="bought"):
        listing_create(by=bob, publisher=publisher, persona=own, summary="Cheaper")


# --- escrow ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def promised(release, listing, buyer, bob, alice):
    make_price(listing, alice, unit_amount=100, promised_runs=4, promised_percent=75)
    grant(buyer, 100)
    order = buy(listing, buyer, bob)
    return order, install(release, buyer, bob).persona


def settled(order):
    orders_settle()
    order.refresh_from_db()
    return order


def test_what_is_promised_is_earned_with_the_first_success(promised, seller):
    order, own = promised
    assert (order.state, escrow_of(order), held("earnings", seller)) == ("held", 100, 0)
    run_ended(own, "failed")
    run_ended(own, "cancelled")
    assert settled(order).state == "held"
    run_ended(own)
    assert settled(order).state == "paid"
    assert (escrow_of(order), held("earnings", seller)) == (0, 100)
    run_ended(own)
    run_ended(own)
    assert settled(order).promise_settled_at
    run_ended(own, "failed")
    assert settled(order).state == "paid"


def test_a_promise_is_settled_after_an_uninstall_too(promised):
    order, own = promised
    for outcome in ("succeeded", "succeeded", "failed", "succeeded"):
        run_ended(own, outcome)
    assert installation_remove(installation=own.installation, by=order.ordered_by) is None
    order = settled(order)
    assert (order.state, escrow_of(order), bool(order.promise_settled_at)) == ("paid", 0, True)


def test_a_broken_promise_gives_the_money_back_by_itself(promised, buyer, seller):
    order, own = promised
    run_ended(own)
    assert settled(order).state == "paid"
    run_ended(own, "failed")
    run_ended(own, "failed")
    order = settled(order)
    assert (order.state, held("wallet", buyer), held("earnings", seller)) == ("refunded", 100, 0)
    assert "1 of 3 runs succeeded" in refusal(own)
    assert settled(order).state == "refunded"
    assert ledger_is_balanced()


def days_pass(order, days):
    Order.objects.filter(pk=order.pk).update(paid_at=timezone.now() - timedelta(days=days))
    return settled(settled(order))  # the clock says it twice


def test_what_nobody_runs_is_earned_at_the_end_of_the_escrow_and_the_promise_goes_on(promised, buyer, seller):
    order, own = promised
    assert order.escrow_until == order.paid_at + timedelta(days=30)
    assert days_pass(order, 29).state == "held"
    order = days_pass(order, 31)
    assert (order.state, escrow_of(order), held("earnings", seller), order.escrow_until) == (
        "paid",
        0,
        100,
        None,
    )
    assert (refusal(own), total_moved("capture"), ledger_is_balanced()) == ("", 100, True)
    run_ended(own, "failed")
    run_ended(own, "failed")
    assert (settled(order).state, held("wallet", buyer), held("earnings", seller)) == ("refunded", 100, 0)
    assert ledger_is_balanced()


def test_what_was_run_and_never_succeeded_goes_back_at_the_end_of_the_escrow(promised, buyer, seller):
    order, own = promised
    Order.objects.filter(pk=order.pk).update(paid_at=timezone.now() - timedelta(days=29))
    run_ended(own, "failed")
    assert settled(order).state == "held"
    order = days_pass(order, 31)
    assert (order.state, held("wallet", buyer), held("earnings", seller)) == ("refunded", 100, 0)
    assert (total_moved("refund"), ledger_is_balanced()) == (100, True)
    assert "None of 1 migration succeeded in 30 days" in refusal(own)


def test_what_is_all_used_at_the_end_of_the_escrow_is_earned(release, listing, buyer, bob, alice):
    make_price(listing, alice, kind="per_run", unit_amount=10, promised_runs=4, promised_percent=50)
    grant(buyer, 100)
    order = buy(listing, buyer, bob, quantity=3)
    run_ended(install(release, buyer, bob).persona, "failed")
    Order.objects.update(paid_at=timezone.now() - timedelta(days=29))
    RunOutcome.objects.update(ended_at=timezone.now() - timedelta(days=1))
    RunAllowance.objects.update(runs_left=0)  # nothing is left to give back, and the clock goes on
    assert days_pass(order, 31).state == "paid"
    assert ledger_is_balanced()


def test_what_is_taken_down_is_not_earned_at_the_end_of_the_escrow(promised, listing, buyer, seller):
    order, _ = promised
    takedown_create(listing=listing, by=superuser(), reason="It opens a back door")
    order = days_pass(order, 31)
    assert (order.state, order.refund_reason) == ("refunded", "It was taken down.")
    assert (held("wallet", buyer), held("earnings", seller), ledger_is_balanced()) == (100, 0, True)


def test_what_succeeded_before_it_was_taken_down_is_earned(promised, listing):
    order, own = promised
    run_ended(own)
    takedown_create(listing=listing, by=superuser(), reason="It opens a back door")
    assert days_pass(order, 31).state == "paid"


@pytest.mark.parametrize(("is_installed", "state"), [(False, "refunded"), (True, "paid")])
def test_what_is_yanked_is_earned_only_where_it_was_installed(
    release, listing, buyer, bob, alice, is_installed, state
):
    make_price(listing, alice, promised_runs=4, promised_percent=75)
    grant(buyer)
    order = buy(listing, buyer, bob)
    if is_installed:
        install(release, buyer, bob)
    release_yank(release=release, by=alice, reason="Broken")
    assert days_pass(order, 31).state == state


def test_a_promise_holds_though_the_price_becomes_free(promised, listing, alice, buyer, seller):
    order, own = promised
    run_ended(own, "failed")
    make_price(listing, alice, kind="free", unit_amount=0)
    assert Persona.objects.get(pk=own.pk).allowance_id is None
    assert settled(order).state == "held"  # one failed run is one
    run_ended(own, "failed")
    assert (settled(order).state, held("wallet", buyer), held("earnings", seller)) == ("refunded", 100, 0)


def test_what_another_department_runs_counts_for_its_own_promise_only(promised, release, listing, alice):
    order, _ = promised
    other = make_department()
    bought = make_member(other)
    grant(other)
    buy(listing, other, bought)
    run_ended(install(release, other, bought).persona)
    assert settled(order).state == "held"


def test_what_the_buyer_has_changed_breaks_no_promise_by_failing(promised):
    order, own = promised
    run_ended(own, "failed", is_changed=True)
    run_ended(own, "failed", is_changed=True)
    assert settled(order).state == "held"
    run_ended(own, is_changed=True)
    assert settled(order).state == "paid"


def test_a_cancelled_run_does_not_count_at_the_end_of_the_escrow(promised):
    order, own = promised
    run_ended(own, "cancelled")
    assert days_pass(order, 31).state == "paid"


def test_an_escrow_does_not_end_before_the_refund_for_the_asking(release, listing, buyer, bob, alice):
    terms = {"promised_runs": 4, "promised_percent": 75, "refund_days": 60}
    price = make_price(listing, alice, unit_amount=100, **terms)
    grant(buyer, 100)
    order = buy(listing, buyer, bob)
    assert price.escrow_days == 60
    assert days_pass(order, 59).state == "held"
    assert order_refund(order=order, by=bob).state == "refunded"


def test_the_end_of_the_escrow_is_told_before_and_after_buying(client, promised, listing, bob):
    order, _ = promised
    api = client_of(bob)
    until = api.get(f"/api/v1/orders/{order.pk}/").json()["escrow_until"]
    assert datetime.fromisoformat(until) == order.escrow_until
    assert api.get(f"/api/v1/listings/{listing.pk}/price/").json()["escrow_days"] == 30
    client.force_login(bob)
    page = client.get(order.get_absolute_url()).content.decode()
    assert f"{order.escrow_until:%Y-%m-%d}" in page and "none succeeded" in page
    assert "after 30 days" in client.get(listing.get_absolute_url()).content.decode()


def test_an_escrow_waits_for_the_bank_where_the_payment_is_disputed(promised):
    order, _ = promised
    Order.objects.filter(pk=order.pk).update(disputed_at=timezone.now())
    assert days_pass(order, 31).state == "held"
    Order.objects.filter(pk=order.pk).update(disputed_at=None)
    assert settled(order).state == "paid"


def test_an_order_that_can_not_be_settled_does_not_hold_up_the_others(
    promised, release, listing, alice, monkeypatch
):
    order, own = promised
    other = make_department()
    admin = make_member(other)
    grant(other)
    wrong = buy(listing, other, admin)  # the newest is looked at first
    run_ended(own)
    run_ended(install(release, other, admin).persona)
    capture = refunds.order_capture

    def capture_fails_for_one(*, order, by):
        if order == wrong:
            raise RuntimeError("Its account is gone")
        return capture(order=order, by=by)

    monkeypatch.setattr(refunds, "order_capture", capture_fails_for_one)
    with structlog.testing.capture_logs() as told, pytest.raises(NotSettled, match="1 of 2 orders"):
        settle()
    assert [(each["event"], each["number"]) for each in told if each.get("exc_info")] == [
        ("order_was_not_settled", wrong.number)
    ]
    assert set(Order.objects.values_list("number", "state")) == {
        (order.number, "paid"),
        (wrong.number, "held"),
    }
