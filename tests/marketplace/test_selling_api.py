"""Selling by API: the whole way, what it costs, and how a refusal is told."""

import pytest
from rest_framework.test import APIClient

from marketplace.models import Account, Order
from personas.models import RunAllowance
from tests.factories import make_template, make_vm
from tests.marketplace.shop import APPROVED, buy, grant, install, make_price, run_ended, superuser

# what has no release is not sold
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("release")]


def client_of(user):
    client = APIClient()
    client.force_login(user)
    return client


def test_from_price_to_refund(release, listing, alice, bob, buyer):
    sells, buys, root = client_of(alice), client_of(bob), client_of(superuser())
    base = f"/api/v1/listings/{listing.pk}"
    assert buys.get(f"{base}/price/").json()["kind"] == "free"
    price = sells.post(f"{base}/price/", {"kind": "one_off", "unit_amount": 100, "refund_days": 7})
    assert price.status_code == 201, price.json()
    assert root.post("/api/v1/fee/", {"basis_points": 1000}).json() == {"basis_points": 1000}
    granted = root.post("/api/v1/grants/", {"department": str(buyer.pk), "amount": 150, "memo": "Q4"})
    assert granted.status_code == 201, granted.json()

    body = {"release": str(release.pk), "approved_script_sha256": APPROVED}
    refused = buys.post("/api/v1/installations/", body)
    assert refused.status_code == 402, refused.json()
    assert (refused.json()["title"], refused.json()["order_url"]) == ("Payment required", "/api/v1/orders/")

    asked = {"listing": str(listing.pk), "price": refused.json()["price"]["id"]}
    answers = [buys.post("/api/v1/orders/", asked, headers={"Idempotency-Key": "one"}) for _ in range(2)]
    assert [each.status_code for each in answers] == [201, 201], answers[0].json()
    order = answers[0].json()
    assert order == answers[1].json()
    assert (order["state"], order["amount"], order["fee_basis_points"]) == ("paid", 100, 1000)
    other = buys.post("/api/v1/orders/", {**asked, "quantity": 1}, headers={"Idempotency-Key": "one"})
    assert other.status_code in (201, 422)
    assert Order.objects.count() == 1
    mine = buys.get("/api/v1/entitlements/").json()["results"]
    assert [(row["id"], row["refusal"]) for row in mine] == [(order["entitlement"], "")]
    assert buys.post("/api/v1/installations/", body).status_code == 201

    held = {row["kind"]: row["balance"] for row in root.get("/api/v1/accounts/").json()["results"]}
    assert (held["wallet"], held["earnings"], held["fee"], held["external"]) == (50, 90, 10, -150)
    back = sells.post(f"/api/v1/orders/{order['id']}/refund/", {"reason": "Sorry"})
    assert (back.status_code, back.json()["state"], back.json()["refunded_amount"]) == (200, "refunded", 100)
    wallet = Account.objects.get(kind="wallet", department=buyer)
    told = buys.get(f"/api/v1/accounts/{wallet.pk}/statement/").json()
    assert [line["amount"] for line in told["lines"]] == [150, -100, 100]
    assert (told["opening"], told["closing"]) == (0, 150)
    text = buys.get(f"/api/v1/accounts/{wallet.pk}/statement.csv/").content.decode().splitlines()
    assert text[0] == "at,kind,order,memo,amount,balance,unit"
    assert text[-1].endswith("closing,,,,150,credits")


def test_a_stale_price_is_told(listing, alice, bob, buyer):
    old = make_price(listing, alice)
    make_price(listing, alice, unit_amount=200)
    grant(buyer)
    answer = client_of(bob).post("/api/v1/orders/", {"listing": str(listing.pk), "price": str(old.pk)})
    assert (answer.status_code, "changed" in answer.json()["detail"]) == (409, True)


def test_what_is_missing_in_the_wallet_is_told(listing, alice, bob, buyer):
    make_price(listing, alice)
    grant(buyer, 1)
    answer = client_of(bob).post("/api/v1/orders/", {"listing": str(listing.pk)})
    assert (answer.status_code, answer.json()["balance"], answer.json()["needed"]) == (402, 1, 100)


def test_an_invoice_is_confirmed_and_paid_back_by_a_superuser_only(listing, alice, bob, buyer):
    make_price(listing, alice, unit="EUR")
    buys, root = client_of(bob), client_of(superuser())
    order = buys.post("/api/v1/orders/", {"listing": str(listing.pk), "provider": "invoice"}).json()
    url = f"/api/v1/orders/{order['id']}"
    assert buys.post(f"{url}/confirm/").status_code == 403
    assert root.post(f"{url}/confirm/", {"reference": "bank 1"}).json()["state"] == "paid"
    assert buys.post(f"{url}/refund/").json()["state"] == "refunding"
    assert root.post(f"{url}/refunded/").json()["state"] == "refunded"
    cancelled = buys.post("/api/v1/orders/", {"listing": str(listing.pk)}).json()
    assert buys.post(f"/api/v1/orders/{cancelled['id']}/cancel/").json()["state"] == "cancelled"


def test_departments_charge_each_other_within_their_budgets(alice, bob, buyer, seller, listing):
    root, buys = client_of(superuser()), client_of(bob)
    grant(buyer, 100)
    sent = buys.post(
        "/api/v1/credit-transfers/",
        {"source": str(buyer.pk), "destination": seller.slug, "amount": 10, "memo": "help"},
    )
    assert sent.status_code == 201, sent.json()
    unknown = buys.post(
        "/api/v1/credit-transfers/",
        {"source": str(buyer.pk), "destination": "nobody", "amount": 10, "memo": "help"},
    )
    assert unknown.json()["errors"][0]["pointer"] == "#/destination"
    budget = {"department": str(buyer.pk), "unit": "credits", "monthly_amount": 50}
    assert root.post("/api/v1/budgets/", budget).json() == budget
    make_price(listing, alice)
    assert "budget" in buys.post("/api/v1/orders/", {"listing": str(listing.pk)}).json()["detail"]
    assert buys.get("/api/v1/budgets/").json()["results"] == [budget]


def test_earnings_are_paid_out(listing, alice, bob, buyer, seller):
    make_price(listing, alice)
    grant(buyer)
    buy(listing, buyer, bob)
    sells = client_of(alice)
    assert sells.post("/api/v1/payouts/", {"unit": "credits", "amount": 100}).status_code == 204
    assert sells.post("/api/v1/payouts/", {"unit": "credits", "amount": 1}).status_code == 402


def test_outcomes_are_counted_with_their_uncertainty(release, listing, alice, bob, buyer):
    own = install(release, buyer, bob).persona
    for ended in ("succeeded", "succeeded", "succeeded", "failed"):
        run_ended(own, ended, duration_s=60.0)
    url = f"/api/v1/listings/{listing.pk}/outcomes/"
    assert client_of(bob).get(url).json()["success"] is None
    run_ended(own, "succeeded", duration_s=60.0)
    told = client_of(bob).get(url).json()
    assert (told["success"]["count"], told["success"]["n"]) == (4, 5)
    assert told["success"]["low"] == pytest.approx(0.3755, abs=1e-4)
    sellers_own = install(release, listing.department, alice).persona
    run_ended(sellers_own, "succeeded")
    assert client_of(bob).get(url).json()["runs"] == 5


def test_a_trial_is_taken_once(release, listing, alice, bob, buyer, client):
    make_price(listing, alice, trial_runs=2)
    url, body = f"/api/v1/listings/{listing.pk}/trial/", {"department": str(buyer.pk)}
    told = client_of(bob).post(url, body)
    assert (told.status_code, told.json()["runs_left"], told.json()["is_trial"]) == (201, 2, True)
    assert client_of(bob).post(url, body).status_code == 409
    bundle = f"/api/v1/releases/{release.pk}/bundle/"
    assert client_of(bob).get(bundle).status_code == 200
    RunAllowance.objects.update(runs_left=0)
    assert client_of(bob).get(bundle).status_code == 402
    client.force_login(bob)
    page = client.get(f"/marketplace/releases/{release.pk}/file/", follow=True)
    assert page.redirect_chain == [(listing.get_absolute_url(), 302)]
    assert "can be read when it is bought" in page.content.decode()
    asked = {"release": str(release.pk), "department": str(buyer.pk), "approved_script_sha256": APPROVED}
    told = client_of(bob).post("/api/v1/installations/", asked)
    assert (told.status_code, "order it on its page" in told.json()["detail"]) == (402, True)


def test_a_forecast_names_what_would_change_and_keeps_nothing(release, listing, alice, bob, buyer):
    from personas.models import AuditEntry, Persona
    from tests.factories import make_target

    make_price(listing, alice)
    make_target()
    vm, template = make_vm(buyer, vcpus=1, memory_mib=512), make_template(department=buyer)
    before = (Persona.objects.count(), AuditEntry.objects.count())
    url = f"/api/v1/listings/{listing.pk}/forecast/"
    told = client_of(bob).post(url, {"vm": str(vm.pk), "template": str(template.pk)})
    assert told.status_code == 200, told.json()
    assert told.json()["fit"] == "unknown"
    assert "scan.none" not in told.content.decode() and told.json()["concerns"][0].keys() == {
        "severity", "category", "subject",
    }  # fmt: skip
    assert (Persona.objects.count(), AuditEntry.objects.count()) == before
    strange = client_of(alice).post(url, {"vm": str(vm.pk), "template": str(template.pk)})
    assert strange.status_code == 400
