"""Many at once, each with a connection of its own: one charge for one wish, and no wallet below zero."""

import threading
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction
from django.utils import timezone

from marketplace.domain.orders import months_later
from marketplace.domain.subscriptions import LEAD
from marketplace.models import Account, Entitlement, Movement, Order, PaymentEvent
from marketplace.services.ledger import NotEnough, balances
from marketplace.services.orders import order_confirm
from marketplace.services.payment_events import event_take
from marketplace.services.refunds import order_refund
from marketplace.services.renewals import subscriptions_renew
from personas.errors import Refused
from personas.models import Persona, RunAllowance
from personas.services.allowances import runs_spend
from tests.factories import make_department, make_member, make_persona
from tests.marketplace.shop import buy, grant, held, ledger_is_balanced, make_price, superuser, total_moved
from tests.marketplace.test_stripe import event_of, played, signed  # noqa: F401

# what has no release is not sold
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("release")]
AT_ONCE = 200 if connection.vendor == "postgresql" else 16  # SQLite writes one after the other


def together(calls) -> Counter:
    """Outcomes of the calls, begun at once by AT_ONCE threads, each of which has its connection by then: the class of
    what was raised, or 'done'."""
    ready = threading.Barrier(min(AT_ONCE, len(calls)))

    def one(index):
        try:
            if index < ready.parties:
                connection.ensure_connection()
                ready.wait()
            calls[index]()
            return "done"
        except Refused as refusal:
            return type(refusal).__name__
        finally:
            connection.close()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return Counter(pool.map(one, range(len(calls))))


def test_200_orders_at_once_lose_nothing_and_charge_nothing_twice(listing, alice, seller):
    departments, each = 4, 50 if connection.vendor == "postgresql" else 8
    make_price(listing, alice, kind="per_run", unit_amount=10)
    buyers = [make_department() for _ in range(departments)]
    admins = [make_member(department) for department in buyers]
    enough = each - 5
    for department in buyers:
        grant(department, 10 * enough)
    wishes = [(n, str(uuid.uuid4())) for n in range(departments) for _ in range(each)]
    calls = [
        lambda n=n, key=key: buy(listing, buyers[n], admins[n], idempotency_key=key)
        for _ in range(2)  # each wish is sent twice: the first time all of them together
        for n, key in wishes
    ]
    told = together(calls)
    sold = departments * enough
    assert Order.objects.count() == Movement.objects.filter(kind="payment").count() == sold
    assert told == {"done": 2 * sold, "NotEnough": len(calls) - 2 * sold}
    wallets = balances(Account.objects.filter(kind="wallet"))
    assert set(wallets.values()) == {0}
    assert held("earnings", seller) == 10 * sold
    assert set(RunAllowance.objects.values_list("runs_left", flat=True)) == {enough}
    assert ledger_is_balanced()


def test_clicks_at_once_buy_once(listing, alice, bob, buyer):
    make_price(listing, alice)
    grant(buyer, 1000)
    told = together([lambda: buy(listing, buyer, bob) for _ in range(8)])
    assert told == {"done": 1, "Refused": 7}
    assert (total_moved("payment"), Entitlement.objects.count()) == (100, 1)


def test_refunds_and_confirmations_at_once_count_once(listing, alice, bob, buyer):
    make_price(listing, alice, unit="EUR", unit_amount=1250)
    order, root = buy(listing, buyer, bob), superuser()
    assert together([lambda: order_confirm(order=order, by=root) for _ in range(8)]) == {"done": 8}
    assert total_moved("payment") == 1250
    assert together([lambda: order_refund(order=order, by=bob) for _ in range(8)]) == {"done": 8}
    assert total_moved("reversal") == 1250
    assert ledger_is_balanced()


def test_a_run_that_begins_during_a_refund_is_not_given_back_too(listing, alice, bob, buyer):
    make_price(listing, alice, kind="per_run", unit_amount=10)
    grant(buyer)
    order = buy(listing, buyer, bob, quantity=5)
    persona = make_persona(department=buyer)
    Persona.objects.filter(pk=persona.pk).update(allowance=order.entitlement.allowance)
    run = {"personas": [Persona.objects.get(pk=persona.pk)], "now": timezone.now()}
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            runs_spend(run_id=uuid.uuid4(), machine_id=uuid.uuid4(), **run)
            asked = pool.submit(together, [lambda: order_refund(order=order, by=bob)])
            wait_until_one_waits()
        assert asked.result() == {"done": 1}
    order.refresh_from_db()
    assert (order.refunded_amount, held("wallet", buyer)) == (40, 990)
    assert ledger_is_balanced()


def wait_until_one_waits():
    if connection.vendor != "postgresql":
        time.sleep(0.5)  # SQLite lets one write after the other, and does not tell who waits
        return
    waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
    until = time.monotonic() + 30
    with connection.cursor() as cursor:
        cursor.execute(waiting)
        while cursor.fetchone() is None:
            assert time.monotonic() < until, "nobody waits for the run's transaction"
            time.sleep(0.02)
            cursor.execute(waiting)


def test_a_webhook_that_comes_many_times_at_once_counts_once(played, listing, alice, bob, buyer):  # noqa: F811
    make_price(listing, alice, unit="EUR", unit_amount=1250)
    order = buy(listing, buyer, bob, provider="stripe", return_url="https://personas.example.org/")
    body, was_new = event_of(order), []
    sent = {"provider": "stripe", "body": body.encode(), "headers": {"Stripe-Signature": signed(body)}}
    assert together([lambda: was_new.append(event_take(**sent)) for _ in range(8)]) == {"done": 8}
    assert Counter(was_new) == {True: 1, False: 7}
    assert (total_moved("payment"), Movement.objects.filter(kind="payment").count()) == (1250, 1)
    assert (PaymentEvent.objects.count(), Entitlement.objects.count()) == (1, 1)
    assert ledger_is_balanced()


def test_what_two_spend_at_once_is_spent_once(listing, alice, bob, buyer, seller):
    from marketplace.services.accounts import credits_transfer

    grant(buyer, 10)
    spend = {"source": buyer, "destination": seller, "amount": 10, "by": bob, "memo": "x"}
    told = together([lambda: credits_transfer(**spend) for _ in range(8)])
    assert told == {"done": 1, NotEnough.__name__: 7}
    assert (held("wallet", buyer), held("wallet", seller)) == (0, 10)


def test_a_month_is_paid_once_by_many_clocks(listing, alice, bob, buyer):
    make_price(listing, alice, kind="subscription", unit_amount=10)
    grant(buyer, 1000)
    due = months_later(buy(listing, buyer, bob).paid_at, 1) - LEAD
    assert together([lambda: subscriptions_renew(now=due) for _ in range(8)]) == {"done": 8}
    assert (Order.objects.count(), held("wallet", buyer)) == (2, 980)
    assert ledger_is_balanced()
