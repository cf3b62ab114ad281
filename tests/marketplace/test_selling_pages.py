"""The pages of selling as plain requests."""

import uuid

import pytest
from django.urls import reverse
from rest_framework.test import APIClient

from marketplace.models import Account, Budget, Entitlement, Order, Payout
from marketplace.services.moderation import takedown_create
from marketplace.services.prices import fee_rate, price_of, price_set
from marketplace.services.publishing import listing_create, publisher_create
from personas.models import RunAllowance
from personas.services.personas import persona_create
from tests.factories import make_target, make_template, make_vm
from tests.marketplace.shop import buy, grant, held, install, make_price, run_ended, superuser

# what has no release is not sold
pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("release"),
    pytest.mark.once,  # tests/access opens each page and sends each form on PostgreSQL too
]


def url(name, row=None):
    return reverse(f"marketplace:{name}", args=[row.pk] if row else [])


def text(response) -> str:
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


@pytest.fixture
def sells(client, alice):
    client.force_login(alice)
    return client


@pytest.fixture
def buys(client, bob):
    client.force_login(bob)
    return client


@pytest.fixture
def decides(client, db):
    client.force_login(superuser())
    return client


PRICE = {"kind": "one_off", "unit": "EUR", "amount": "12.50", "trial_runs": 0, "refund_days": 14,
         "promised_runs": 0, "promised_percent": 0}  # fmt: skip


def test_a_price_is_typed_as_people_write_it(sells, listing, release):
    assert "Set the price" in text(sells.get(listing.get_absolute_url()))
    assert sells.post(url("price_set", listing), PRICE).url == listing.get_absolute_url()
    assert (price_of(listing).unit_amount, price_of(listing).unit) == (1250, "EUR")
    assert "12.50 EUR once" in text(sells.get(listing.get_absolute_url()))
    assert 'value="12.50"' in text(sells.get(url("price_set", listing)))
    sells.post(url("price_set", listing), {**PRICE, "kind": "free", "amount": ""})
    assert price_of(listing) is None


def test_a_price_that_changes_while_it_is_looked_at_is_shown_anew(buys, listing, alice, buyer):
    old = make_price(listing, alice, unit_amount=100)
    grant(buyer, 500)
    form = buys.get(url("order_create", listing)).context["form"]
    sent = {"department": buyer.pk, "provider": "credits", "key": form["key"].value(), "price": old.pk}
    price_set(listing=listing, by=alice, kind="one_off", unit="credits", unit_amount=200)
    told = buys.post(url("order_create", listing), sent)
    assert "The price has changed since you saw it" in text(told) and "200 credits" in text(told)
    assert not Order.objects.exists()
    shown = told.context["form"]["price"].value()
    assert buys.post(url("order_create", listing), {**sent, "price": shown}).status_code == 302
    assert (Order.objects.get().unit_amount, held("wallet", buyer)) == (200, 300)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"amount": "12.505"}, "EUR has 2 digits"),
        ({"amount": ""}, "Say how much, or choose free."),
        ({"promised_runs": 3}, "A promise needs both"),
    ],
)
def test_a_wrong_price_is_told_beside_the_field(sells, listing, wrong, told):
    assert told in text(sells.post(url("price_set", listing), {**PRICE, **wrong}))
    assert price_of(listing) is None


def test_what_everybody_reads_has_no_price(decides):
    root = superuser()
    publisher = publisher_create(by=root, department=None, name="The organisation")
    persona = persona_create(by=root, name="For all", packages=["nginx"])
    listing = listing_create(by=root, publisher=publisher, persona=persona)
    page = text(decides.post(url("price_set", listing), PRICE))
    assert "everybody reads its values: clone it into a department" in page
    api = APIClient()
    api.force_login(root)
    told = api.post(f"/api/v1/listings/{listing.pk}/price/", {"kind": "one_off", "unit_amount": 5})
    assert (told.status_code, told.json()["errors"][0]["pointer"]) == (400, "#/kind")
    assert price_of(listing) is None
    assert price_set(listing=listing, by=root, kind="free")


def test_the_same_page_sent_twice_is_one_order(buys, listing, release, alice, buyer, bob):
    price = make_price(listing, alice, kind="per_run", unit_amount=10, promised_runs=2, promised_percent=100)
    grant(buyer, 100)
    page = text(buys.get(url("order_create", listing)))
    assert "10 credits per run" in page and "money back by itself" in page
    assert "Web shop has 100 credits" in page
    said = {
        "department": buyer.pk,
        "quantity": 3,
        "provider": "credits",
        "price": price.pk,
        "key": uuid.uuid4(),
    }
    first, second = (buys.post(url("order_create", listing), said) for _ in range(2))
    assert first.url == second.url == Order.objects.get().get_absolute_url()
    page = text(buys.get(first.url))
    assert "30 credits" in page and "In escrow" in page and "Refund" in page
    assert Order.objects.get().number in text(buys.get(url("order_list")))
    assert "3 runs left" in text(buys.get(listing.get_absolute_url()))


def test_what_can_not_be_installed_has_no_button_to_buy(buys, listing, release, alice, buyer, bob):
    make_price(listing, alice, trial_runs=1)
    takedown_create(listing=listing, by=superuser(), reason="It opens a back door")
    page = text(buys.get(listing.get_absolute_url()))
    assert 'disabled title="It has been taken down: It opens a back door"' in page
    assert url("order_create", listing) not in page and url("trial_start", listing) not in page
    told = text(buys.post(url("trial_start", listing), {"department": buyer.pk}))
    assert "has been taken down" in told
    api = APIClient()
    api.force_login(bob)
    assert api.post("/api/v1/orders/", {"listing": str(listing.pk)}).status_code == 409


def test_what_can_not_be_paid_is_told_and_nothing_is_lost(buys, listing, alice, buyer):
    price = make_price(listing, alice)
    said = {"department": buyer.pk, "provider": "credits", "price": price.pk, "key": uuid.uuid4()}
    page = text(buys.post(url("order_create", listing), said))
    assert "holds 0 credits" in page and str(said["key"]) in page


def test_what_is_not_bought_is_not_shown(buys, listing, release, alice):
    assert "postgresql-15" in text(buys.get(listing.get_absolute_url()))
    make_price(listing, alice)
    page = text(buys.get(listing.get_absolute_url()))
    assert "postgresql-15" not in page and "echo tuned" not in page and "when bought" in page
    assert buys.get(url("release_install", release)).url == url("order_create", listing)
    assert buys.get(reverse("release-bundle", args=[release.pk])).status_code == 402


def test_bought_it_is_given_back_with_its_reason(buys, listing, release, alice, bob, buyer):
    make_price(listing, alice)
    grant(buyer)
    order = buy(listing, buyer, bob)
    assert "new migrations with it are refused" in text(buys.get(url("order_refund", order)))
    assert buys.post(url("order_refund", order), {"reason": "No use"}).url == order.get_absolute_url()
    page = text(buys.get(order.get_absolute_url()))
    assert "No use" in page and "Refunded" in page and url("order_refund", order) not in page


def test_an_invoice_goes_over_the_desk(decides, listing, alice, bob, buyer):
    make_price(listing, alice, unit="EUR", unit_amount=1250)
    order = buy(listing, buyer, bob)
    assert order.number in text(decides.get(url("desk")))
    decides.post(url("order_confirm", order), {"reference": "bank 1"})
    decides.post(url("order_refund", order), {"reason": ""})
    assert "Refunds to send" in text(decides.get(url("desk")))
    decides.post(url("refund_done", order))
    order.refresh_from_db()
    assert order.state == "refunded"


def test_an_order_that_is_not_paid_is_given_up(buys, listing, alice, bob, buyer):
    make_price(listing, alice, unit="EUR")
    order = buy(listing, buyer, bob)
    assert order.reference in text(buys.get(order.get_absolute_url()))
    buys.post(url("order_cancel", order))
    order.refresh_from_db()
    assert order.state == "cancelled"


def test_the_organisation_grants_limits_and_takes_its_fee(decides, buyer):
    decides.post(url("credits_grant"), {"department": buyer.pk, "amount": 100, "memo": "Q4"})
    decides.post(url("credits_grant"), {"department": buyer.pk, "amount": -30, "memo": "too much"})
    assert held("wallet", buyer) == 70
    decides.post(url("budget_set"), {"department": buyer.pk, "unit": "credits", "amount": "50"})
    assert Budget.objects.get().monthly_amount == 50
    decides.post(url("fee_set"), {"basis_points": 250})
    page = text(decides.get(url("desk")))
    assert fee_rate() == 250 and "Fee: 2.5 %" in page and "50 credits" in page
    decides.post(url("budget_set"), {"department": buyer.pk, "unit": "credits", "amount": ""})
    assert not Budget.objects.exists()


def test_a_statement_is_a_page_a_file_and_a_chart(buys, buyer, seller, bob):
    grant(buyer, 100)
    said = {"source": buyer.pk, "destination": seller.slug, "amount": 30, "memo": "=HYPERLINK(1)"}
    wallet = Account.objects.get(kind="wallet", department=buyer)
    assert buys.post(url("credits_transfer"), said).url == wallet.get_absolute_url()
    page = text(buys.get(wallet.get_absolute_url()))
    assert "-30 credits" in page and "70 credits" in page
    assert "70 credits" in text(buys.get(url("account_list")))
    file = buys.get(url("account_csv", wallet)).content.decode()
    assert ",'=HYPERLINK(1),-30,70,credits" in file
    chart = buys.get(url("account_series", wallet)).json()
    assert chart["series"][0]["values"][-1] == 70 and len(chart["x"]) == len(chart["series"][0]["values"])
    assert "Opening balance" in text(buys.get(wallet.get_absolute_url() + "?month=2020-01"))
    for month in ("0001-01", "9999-12"):  # the calendar's ends: there is no month before, or after
        for page in (wallet.get_absolute_url(), url("account_csv", wallet), url("account_series", wallet)):
            assert buys.get(page, {"month": month}).status_code == 200
    assert "No department is called so." in text(
        buys.post(url("credits_transfer"), {**said, "destination": "x"})
    )


def test_earnings_are_paid_out_over_the_desk(client, listing, alice, bob, buyer, seller):
    make_price(listing, alice, unit="EUR", unit_amount=1250)
    order = buy(listing, buyer, bob)
    client.force_login(superuser())
    client.post(url("order_confirm", order))
    earnings = Account.objects.get(kind="earnings", department=seller)
    client.force_login(alice)
    assert "12.50 EUR are earned" in text(client.get(url("payout_create", earnings)))
    assert "Earned are 12.50 EUR" in text(client.post(url("payout_create", earnings), {"amount": "13"}))
    client.post(url("payout_create", earnings), {"amount": "12.50"})
    payout = Payout.objects.get()
    assert client.post(url("payout_settle", payout), {"is_paid": "yes"}).status_code == 403
    client.force_login(superuser())
    assert f"12.50 EUR to {seller}" in text(client.get(url("payout_settle", payout)))
    client.post(url("payout_settle", payout), {"is_paid": "yes", "reference": "SEPA"})
    payout.refresh_from_db()
    assert (payout.state, payout.reference) == ("paid", "SEPA")


def test_a_trial_begins_with_a_click(buys, listing, release, alice, buyer):
    make_price(listing, alice, trial_runs=2)
    assert "Try 2 runs" in text(buys.get(listing.get_absolute_url()))
    buys.post(url("trial_start", listing), {"department": buyer.pk})
    assert Entitlement.objects.get().is_trial
    assert "tries it" in text(buys.get(listing.get_absolute_url()))
    RunAllowance.objects.update(runs_left=0)
    page = text(buys.get(listing.get_absolute_url()))
    assert "has used its trial up" in page and "Try 2 runs" not in page and "postgresql-15" not in page


def test_outcomes_are_shown_with_their_interval(buys, listing, release, buyer, bob):
    assert "not enough data" in text(buys.get(listing.get_absolute_url()))
    own = install(release, buyer, bob).persona
    for outcome in ("succeeded", "succeeded", "succeeded", "succeeded", "failed"):
        run_ended(own, outcome)
    page = text(buys.get(listing.get_absolute_url()))
    assert '80 % <span class="muted">(38 % to 96 %, n = 5)</span>' in page


def test_would_it_fit_tells_names_and_no_values(buys, listing, release, alice, buyer):
    make_price(listing, alice)
    make_target()
    vm = make_vm(buyer, vcpus=1, memory_mib=512, name="shop01")
    template = make_template(department=buyer)
    assert "shop01" in text(buys.get(url("listing_try", listing)))
    page = text(buys.post(url("listing_try", listing), {"machines": [vm.pk], "template": template.pk}))
    assert "Would change" in page and "Scan the machine" in page
    assert "postgresql-15" not in page and "5432" not in page
