"""Stripe Checkout: events signed by the SDK itself, in any order and more than once, and a server that plays Stripe."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import pytest
import stripe

from marketplace.models import Order, PaymentEvent
from marketplace.payments.base import PaymentError, WrongSignature
from marketplace.payments.registry import provider_of, providers_for
from marketplace.services.entitlements import may_read
from marketplace.services.orders import NotPaid, order_cancel
from marketplace.services.refunds import order_refund, orders_settle
from personas.errors import Refused
from personas.models import RunAllowance
from tests.marketplace.shop import (
    buy,
    escrow_of,
    held,
    ledger_is_balanced,
    make_price,
    superuser,
    take_fee,
    total_moved,
)

SECRET = "whsec_of_this_test"
EVENTS = "/api/v1/payments/stripe/events/"


class Played(BaseHTTPRequestHandler):
    """Sessions and refunds, each once per Idempotency-Key, as Stripe promises it."""

    def do_POST(self):
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.server.asked.append((self.path, {name: values[0] for name, values in form.items()}))
        if self.server.refuses:
            return self._say(402, {"error": {"message": "No.", "type": "invalid_request_error"}})
        made = self.server.made.setdefault(self.headers["Idempotency-Key"], f"id_{len(self.server.made)}")
        if self.path == "/v1/refunds":
            amount = int(form["amount"][0])
            refund = {"id": made, "object": "refund", "status": self.server.refund_status, "amount": amount}
            return self._say(200, self.server.refunds.setdefault(made, refund))
        page = {"id": made, "object": "checkout.session", "url": f"https://pay.example/{made}"}
        return self._say(200, page)

    def do_GET(self):
        if self.path.startswith("/v1/refunds"):
            return self._say(200, {"object": "list", "data": list(self.server.refunds.values())})
        if self.path == "/v1/payment_intents/pi_1":
            intent = {"id": "pi_1", "object": "payment_intent", "metadata": self.server.metadata}
            return self._say(200, intent)
        return self._say(200, {"id": "cs", "object": "checkout.session", "payment_intent": "pi_1"})

    def _say(self, status, body):
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args):
        pass


@pytest.fixture
def played(settings):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Played)
    server.asked, server.made, server.refuses = [], {}, False
    server.refunds, server.refund_status, server.metadata = {}, "succeeded", {}
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    settings.STRIPE_SECRET_KEY, settings.STRIPE_WEBHOOK_SECRET = "sk_test_1", SECRET
    settings.STRIPE_API_BASE = f"http://127.0.0.1:{server.server_port}"
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def order(db, played, release, listing, alice, bob, buyer):
    make_price(listing, alice, unit="EUR", unit_amount=1250)
    return buy(listing, buyer, bob, provider="stripe", return_url="https://personas.example.org/")


def event_of(order, kind="checkout.session.completed", *, id="evt_1", **data):
    whole = {"id": order.reference, "metadata": {"order": str(order.pk)}, "currency": "eur",
             "amount_total": order.amount, "payment_status": "paid"}  # fmt: skip
    return json.dumps({"id": id, "type": kind, "data": {"object": whole | data}})


def refunded(order, *, id="evt_9", amount=None):
    amount = order.amount if amount is None else amount
    return event_of(order, "charge.refunded", id=id, amount_refunded=amount)


def dispute_of(order, kind="created", *, id="evt_d", dispute="dp_1", **data):
    """As Stripe tells it: with the payment, and no word of the order."""
    whole = {"id": dispute, "payment_intent": "pi_1", "metadata": {}, "currency": "eur", "amount": order.amount,
             "status": "needs_response"}  # fmt: skip
    return json.dumps({"id": id, "type": f"charge.dispute.{kind}", "data": {"object": whole | data}})


def refund_told(order, status, kind="refund.updated", *, id="evt_r", refund="re_1", **data):
    whole = {"id": refund, "metadata": {"order": str(order.pk)}, "currency": "eur", "amount": order.amount,
             "status": status, "payment_intent": "pi_1"}  # fmt: skip
    return json.dumps({"id": id, "type": kind, "data": {"object": whole | data}})


def signed(body: str, *, secret=SECRET, age_s=0) -> str:
    at = int(time.time()) - age_s
    return f"t={at},v1={stripe.WebhookSignature._compute_signature(f'{at}.{body}', secret)}"


def send(client, body: str, signature: str | None = None):
    headers = {"Stripe-Signature": signed(body) if signature is None else signature}
    return client.post(EVENTS, body, content_type="application/json", headers=headers)


def state(order) -> str:
    order.refresh_from_db()
    return order.state


def test_without_its_keys_it_is_not_offered_and_believes_nobody(settings):
    settings.STRIPE_SECRET_KEY = settings.STRIPE_WEBHOOK_SECRET = ""
    assert providers_for("EUR") == ["invoice"]
    body = json.dumps({"id": "evt_1", "type": "x", "data": {"object": {}}})
    with pytest.raises(PaymentError, match="not set up"):
        provider_of("stripe").event(body.encode(), {"Stripe-Signature": signed(body, secret="")})


def test_the_buyer_pays_on_their_page(order, played):
    assert (order.state, order.pay_url) == ("pending", f"https://pay.example/{order.reference}")
    path, form = played.asked[0]
    assert path == "/v1/checkout/sessions"
    assert form["line_items[0][price_data][unit_amount]"] == "1250"
    assert (form["line_items[0][price_data][currency]"], form["metadata[order]"]) == ("eur", str(order.pk))


def test_a_payment_is_taken_once_however_often_it_is_told(client, order, seller):
    for _ in range(3):
        assert send(client, event_of(order)).status_code == 204
    assert send(client, event_of(order, id="evt_2")).status_code == 204
    assert state(order) == "paid"
    assert (total_moved("payment"), held("earnings", seller, "EUR")) == (1250, 1250)
    assert PaymentEvent.objects.filter(order=order).count() == 2


@pytest.mark.parametrize(
    "forged",
    [
        lambda body: "",
        lambda body: signed(body, secret="whsec_of_another"),
        lambda body: signed(body, age_s=301),
        lambda body: signed(body + " "),
        lambda body: "t=1,v1=00",
        lambda body: "nonsense",
    ],
)
def test_what_stripe_did_not_sign_is_refused(client, order, forged):
    body = event_of(order)
    assert send(client, body, forged(body)).status_code == 400
    assert (state(order), PaymentEvent.objects.count()) == ("pending", 0)
    with pytest.raises(WrongSignature):
        provider_of("stripe").event(body.encode(), {"Stripe-Signature": forged(body)})


@pytest.mark.parametrize("wrong", [{"amount_total": 1}, {"currency": "usd"}])
def test_another_sum_does_not_pay_it(client, order, wrong):
    assert send(client, event_of(order, **wrong)).status_code == 400
    assert state(order) == "pending"


def test_what_is_not_ours_or_says_nothing_changes_nothing(client, order):
    assert send(client, event_of(order, "customer.created")).status_code == 204
    assert send(client, event_of(order, payment_status="unpaid")).status_code == 204
    assert send(client, event_of(order, metadata={"order": "nobody"})).status_code == 404
    assert send(client, json.dumps({"id": "evt_1"})).status_code == 400
    assert state(order) == "pending"


def test_a_slow_way_of_paying_pays_when_the_money_is_there(client, order):
    send(client, event_of(order, payment_status="unpaid"))
    send(client, event_of(order, "checkout.session.async_payment_succeeded", id="evt_2"))
    assert state(order) == "paid"


def test_an_expired_page_gives_the_order_up_but_not_a_paid_one(client, order):
    send(client, event_of(order))
    send(client, event_of(order, "checkout.session.expired", id="evt_2"))
    assert state(order) == "paid"
    Order.objects.filter(pk=order.pk).update(state="pending")
    send(client, event_of(order, "checkout.session.expired", id="evt_3"))
    assert state(order) == "cancelled"


def test_money_that_comes_after_the_order_was_given_up_goes_back(client, order, bob, played):
    order_cancel(order=order, by=bob)
    send(client, event_of(order))
    assert state(order) == "refunded"
    assert played.asked[-1] == (
        "/v1/refunds",
        {"payment_intent": "pi_1", "amount": "1250", "metadata[order]": str(order.pk)},
    )
    assert ledger_is_balanced() and held("external", unit="EUR") == 0


def test_a_refund_that_is_told_before_its_payment_is_asked_for_again(client, order):
    assert send(client, refunded(order)).status_code == 409
    send(client, event_of(order))
    assert send(client, refunded(order)).status_code == 204
    assert state(order) == "refunded"
    assert total_moved("refund") == 1250


def test_a_part_that_is_given_back_there_leaves_the_order(client, order):
    send(client, event_of(order))
    assert send(client, refunded(order, amount=5)).status_code == 204
    assert state(order) == "paid"


def test_what_stripe_does_not_take_now_is_sent_later_and_once(client, order, bob, played):
    send(client, event_of(order))
    played.refuses = True
    assert order_refund(order=order, by=bob).state == "refunding"
    played.refuses = False
    orders_settle()
    assert state(order) == "refunded"
    send(client, refunded(order))
    assert total_moved("refund") == 1250


@pytest.mark.django_db
def test_a_page_that_could_not_be_opened_is_tried_again_for_the_same_order(
    played, release, listing, alice, bob, buyer
):
    make_price(listing, alice, unit="EUR", unit_amount=1250)
    played.refuses = True
    with pytest.raises(NotPaid, match="try again"):
        buy(listing, buyer, bob, provider="stripe", idempotency_key="k")
    played.refuses = False
    assert buy(listing, buyer, bob, provider="stripe", idempotency_key="k").pay_url
    assert Order.objects.count() == 1


# --- disputes, and refunds that do not arrive ------------------------------------------------------------------------


@pytest.fixture
def paid(client, order, played):
    send(client, event_of(order))
    played.metadata = {"order": str(order.pk)}
    order.refresh_from_db()
    return order


def test_a_lost_dispute_takes_what_was_bought_and_reverses_the_earning(client, paid, played, bob, seller):
    assert send(client, dispute_of(paid)).status_code == 204
    assert (state(paid), paid.disputed_at is not None, held("earnings", seller, "EUR")) == (
        "paid",
        True,
        1250,
    )
    with pytest.raises(Refused, match="bank decides"):
        order_refund(order=paid, by=bob)
    client.force_login(bob)
    assert "asks for the payment back" in client.get(paid.get_absolute_url()).content.decode()
    lost = dispute_of(paid, "closed", id="evt_e", status="lost")
    for _ in range(2):
        assert send(client, lost).status_code == 204
    assert (state(paid), paid.disputed_at, paid.refunded_amount) == ("refunded", None, 1250)
    assert not may_read(listing=paid.listing, user=bob)
    assert (held("earnings", seller, "EUR"), held("external", unit="EUR")) == (0, 0)
    assert ledger_is_balanced() and "/v1/refunds" not in dict(played.asked)
    assert send(client, dispute_of(paid, id="evt_late")).status_code == 204
    assert state(paid) == "refunded"


def test_a_lost_dispute_takes_the_money_of_used_runs_too(client, paid):
    Order.objects.filter(pk=paid.pk).update(kind="per_run", unit_amount=1250)
    RunAllowance.objects.update(runs_left=0)
    assert send(client, dispute_of(paid, "closed", status="lost")).status_code == 204
    assert (state(paid), held("external", unit="EUR")) == ("refunded", 0)
    assert ledger_is_balanced()


def test_a_dispute_that_is_won_changes_nothing_in_whatever_order_it_is_told(client, paid, bob, seller):
    assert send(client, dispute_of(paid, "closed", status="won")).status_code == 204
    assert send(client, dispute_of(paid, id="evt_late")).status_code == 204
    assert (state(paid), paid.disputed_at, held("earnings", seller, "EUR")) == ("paid", None, 1250)
    assert order_refund(order=paid, by=bob).state == "refunded"


def test_a_dispute_of_a_payment_that_is_not_ours_is_not_taken(client, paid, played):
    played.metadata = {}
    assert send(client, dispute_of(paid)).status_code == 404
    assert paid.disputed_at is None


def test_a_refund_on_its_way_is_booked_when_it_has_left(client, paid, bob, played):
    played.refund_status = "pending"
    assert order_refund(order=paid, by=bob).state == "refunding"
    orders_settle()
    assert send(client, refunded(paid)).status_code == 204  # Stripe has it; the bank does not
    assert (state(paid), total_moved("refund"), len(played.refunds)) == ("refunding", 0, 1)
    for each in played.refunds.values():
        each["status"] = "succeeded"
    send(client, refund_told(paid, "succeeded"))
    assert (state(paid), total_moved("refund"), len(played.refunds)) == ("refunded", 1250, 1)


def lost(order, *, id="evt_e", **data):
    return dispute_of(order, "closed", id=id, status="lost", **data)


def booked(order) -> dict:
    """What has left the accounts of the platform in all, beside what they hold."""
    return {
        "outside": held("external", unit="EUR"),
        "earnings": held("earnings", order.seller, "EUR"),
        "fee": held("fee", unit="EUR"),
        "escrow": escrow_of(order),
    }


@pytest.fixture
def runs_refunded(client, played, release, listing, alice, bob, buyer):
    """Five runs of 10.00 of which three were used: 20.00 have gone back, the publisher has 27.00, the platform 3.00."""
    take_fee(1000)
    make_price(listing, alice, kind="per_run", unit="EUR", unit_amount=1000)
    order = buy(listing, buyer, bob, provider="stripe", quantity=5)
    send(client, event_of(order))
    played.metadata = {"order": str(order.pk)}
    RunAllowance.objects.update(runs_left=2)
    order = order_refund(order=order, by=bob)
    assert booked(order) == {"outside": -3000, "earnings": 2700, "fee": 300, "escrow": 0}
    return order


@pytest.mark.django_db
def test_a_dispute_lost_after_a_refund_of_a_part_takes_the_rest_from_the_publisher(client, runs_refunded):
    order = runs_refunded
    for _ in range(2):
        assert send(client, lost(order, amount=3000)).status_code == 204
    assert booked(order) == {"outside": 0, "earnings": 0, "fee": 0, "escrow": 0}
    assert (state(order), order.refunded_amount, ledger_is_balanced()) == ("refunded", 2000, True)
    client.force_login(superuser())
    assert "Taken back by the bank" in client.get(order.get_absolute_url()).content.decode()


@pytest.mark.django_db
def test_what_the_bank_takes_a_second_time_is_the_platforms_loss(client, runs_refunded):
    order = runs_refunded
    send(client, lost(order, amount=5000))  # the whole payment, of which 20.00 have gone back before
    assert booked(order) == {"outside": 2000, "earnings": 0, "fee": -2000, "escrow": 0}
    assert ledger_is_balanced()


def test_a_dispute_lost_after_a_whole_refund_is_no_loss_of_the_publisher(client, paid, bob):
    assert order_refund(order=paid, by=bob).state == "refunded"
    assert send(client, lost(paid)).status_code == 204
    assert booked(paid) == {"outside": 1250, "earnings": 0, "fee": -1250, "escrow": 0}
    assert ledger_is_balanced()


def test_two_disputes_of_one_payment_are_booked_both(client, paid):
    send(client, lost(paid, amount=500))
    assert (state(paid), booked(paid)["earnings"]) == ("refunded", 750)
    send(client, lost(paid, id="evt_2", dispute="dp_2", amount=750))
    assert booked(paid) == {"outside": 0, "earnings": 0, "fee": 0, "escrow": 0}


def test_a_refund_under_way_is_ended_by_the_bank_and_does_not_come_back(client, paid, bob, played):
    played.refund_status = "pending"
    assert order_refund(order=paid, by=bob).state == "refunding"
    assert send(client, lost(paid)).status_code == 204
    assert (state(paid), booked(paid)["outside"], escrow_of(paid)) == ("refunded", 0, 0)
    for each in played.refunds.values():
        each["status"] = "failed"
    assert send(client, refund_told(paid, "failed")).status_code == 204  # it has never left our books
    assert (state(paid), paid.refund_problem, booked(paid)["outside"]) == ("refunded", "", 0)
    assert ledger_is_balanced()


def test_of_a_refund_under_way_the_bank_takes_a_part(client, paid, bob, played):
    played.refund_status = "pending"
    order_refund(order=paid, by=bob)
    send(client, lost(paid, amount=250))
    assert (state(paid), booked(paid)["outside"], escrow_of(paid)) == ("refunding", -1000, 1000)
    for each in played.refunds.values():
        each |= {"status": "succeeded", "amount": 1000}
    send(client, refund_told(paid, "succeeded"))
    assert (state(paid), booked(paid)["outside"], total_moved("refund")) == ("refunded", 0, 1000)


@pytest.mark.parametrize("before", ["pending", "succeeded"])
def test_a_refund_that_failed_is_shown_and_sent_again(client, paid, bob, alice, played, seller, before):
    played.refund_status = before
    order_refund(order=paid, by=bob)
    for each in played.refunds.values():
        each |= {"status": "failed"}
    for n, kind in enumerate(("refund.failed", "refund.updated", "charge.refund.updated")):
        told = refund_told(paid, "failed", kind, id=f"evt_r{n}", failure_reason="lost_or_stolen_card")
        assert send(client, told).status_code == 204
    assert (state(paid), paid.refund_problem) == ("refunding", "Stripe: lost or stolen card")
    assert held("external", unit="EUR") == -1250  # the money is here still, in the escrow of the order
    assert escrow_of(paid) == 1250 and ledger_is_balanced()
    orders_settle()  # does not ask the same bank again by itself
    assert len(played.refunds) == 1
    client.force_login(alice)
    page = client.get(paid.get_absolute_url()).content.decode()
    assert "has not been sent back (Stripe: lost or stolen card)" in page and "Send the refund again" in page
    played.refund_status = "succeeded"
    again = client.post(f"/api/v1/orders/{paid.pk}/refund/", {}, content_type="application/json").json()
    assert again.get("state") == "refunded", again
    send(client, refund_told(paid, "failed", "refund.updated", id="evt_late"))
    assert (state(paid), paid.refund_problem, len(played.refunds)) == ("refunded", "", 2)
    assert (held("external", unit="EUR"), held("earnings", seller, "EUR"), escrow_of(paid)) == (0, 0, 0)
    assert ledger_is_balanced()


def test_a_refund_that_fails_at_once_can_be_sent_another_way(client, paid, bob, played):
    played.refund_status = "failed"
    assert order_refund(order=paid, by=bob).refund_problem == "Stripe: failed"
    client.force_login(superuser())
    assert client.post(f"{paid.get_absolute_url()}refunded/", {"reference": "SEPA"}).status_code == 302
    assert (state(paid), paid.refund_problem, held("external", unit="EUR")) == ("refunded", "", 0)
