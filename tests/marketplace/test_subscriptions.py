"""A subscription goes on from month to month: told before, paid for once, given grace, let go."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from marketplace.domain.orders import months_later
from marketplace.domain.subscriptions import GRACE, LEAD, NOTICE, Due, SubscriptionState, due
from marketplace.models import Account, Movement, Order, Price, Subscription
from marketplace.services.accounts import budget_set
from marketplace.services.moderation import takedown_create
from marketplace.services.orders import order_cancel, order_confirm
from marketplace.services.refunds import order_refund
from marketplace.services.renewals import subscriptions_renew
from marketplace.services.subscriptions import subscription_cancel, subscription_keep, subscription_move
from personas.errors import BadInput, NotAllowed, Refused
from personas.models import AuditEntry, Persona, RunAllowance
from personas.services.allowances import refusal_of
from tests.factories import make_member
from tests.marketplace.shop import buy, grant, held, install, ledger_is_balanced, make_price, superuser
from tests.personas.test_api import client_of

pytestmark = pytest.mark.usefixtures("release")  # what has no release is not sold

MINUTE = timedelta(minutes=1)


def at(day, month=1):
    return datetime(2026, month, day, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("state", "now", "wanted"),
    [
        ("renewing", at(1), Due.NOTHING),
        ("renewing", at(23), Due.NOTICE),
        ("renewing", at(30), Due.PAYMENT),
        ("renewing", at(28, 2), Due.PAYMENT),  # the clock stood still for a month: still paid, not lapsed
        ("grace", at(5, 2), Due.PAYMENT),
        ("grace", at(7, 2), Due.LAPSE),
        ("ending", at(30), Due.NOTHING),
        ("ending", at(31), Due.END),
        ("lapsed", at(28, 2), Due.NOTHING),
        ("ended", at(28, 2), Due.NOTHING),
    ],
)
def test_what_the_clock_has_to_do(state, now, wanted):
    assert due(SubscriptionState(state), paid_until=at(31), now=now, lead=LEAD) == wanted


@pytest.fixture
def own(release, listing, buyer, bob, alice):
    """The buyer's persona, subscribed to for 10 credits a month."""
    make_price(listing, alice, kind="subscription", unit_amount=10)
    grant(buyer, 25)
    buy(listing, buyer, bob)
    return install(release, buyer, bob).persona


def subscription():
    return Subscription.objects.get()


def end():
    return months_later(Order.objects.filter(paid_at__isnull=False).earliest("paid_at").paid_at, 1)


def notices(persona):
    return [notice.text for notice in Persona.objects.get(pk=persona.pk).notices.all()]


def refusal(persona, now):
    return refusal_of(persona=Persona.objects.get(pk=persona.pk), machine_id=persona.pk, now=now)


def paid_months():
    return Order.objects.filter(state="paid").count()


@pytest.mark.django_db
def test_the_next_month_is_told_and_paid_once_however_many_clocks_say_so(own, buyer, seller):
    subscriptions_renew(now=end() - LEAD - NOTICE - MINUTE)
    assert notices(own) == [] and paid_months() == 1
    subscriptions_renew(now=end() - LEAD - NOTICE)
    assert f"renews by {end():%Y-%m-%d}: 10 credits per month" in notices(own)[0]
    assert paid_months() == 1
    for _ in range(3):
        subscriptions_renew(now=end() - LEAD)
    assert (paid_months(), notices(own), subscription().state) == (2, [], "renewing")
    assert (held("wallet", buyer), held("earnings", seller)) == (5, 20)
    assert RunAllowance.objects.get().expires_at == months_later(end(), 1)
    renewal = Order.objects.get(period_at__isnull=False)
    assert (renewal.period_at, renewal.subscription) == (end(), subscription())
    assert (
        Movement.objects.get(order=renewal, kind="payment").memo
        == f"Renewal, the month from {end():%Y-%m-%d}"
    )
    assert AuditEntry.objects.filter(action="order.renew").count() == 1
    assert ledger_is_balanced()


@pytest.mark.django_db
def test_the_database_holds_one_order_to_a_month(own):
    subscriptions_renew(now=end() - LEAD)
    again = Order.objects.get(period_at__isnull=False)
    again.pk, again.number, again._state.adding = None, "another", True
    with pytest.raises(IntegrityError), transaction.atomic():
        again.save()


@pytest.mark.django_db
def test_a_price_that_is_raised_is_for_new_orders(own, listing, alice, buyer):
    make_price(listing, alice, kind="subscription", unit_amount=25)
    subscriptions_renew(now=end() - LEAD)
    assert held("wallet", buyer) == 5


@pytest.mark.django_db
def test_want_of_credits_gives_grace_and_a_late_payment_loses_no_day(own, buyer):
    subscriptions_renew(now=end() - LEAD)
    second = months_later(end(), 1)
    for _ in range(2):
        subscriptions_renew(now=second - LEAD)
    assert (subscription().state, paid_months()) == ("grace", 2)
    assert "holds 5 credits" in subscription().problem and "holds 5 credits" in notices(own)[0]
    assert AuditEntry.objects.filter(action="subscription.move").count() == 1
    assert refusal(own, second + GRACE - MINUTE) == ""
    grant(buyer, 5)
    subscriptions_renew(now=second + timedelta(days=3))
    assert (subscription().state, subscription().problem, notices(own), held("wallet", buyer)) == (
        "renewing", "", [], 0,
    )  # fmt: skip
    assert RunAllowance.objects.get().expires_at == months_later(second, 1)


@pytest.mark.django_db
def test_grace_ends_and_nothing_is_taken_afterwards(own, listing, buyer, bob):
    budget_set(department=buyer, unit="credits", monthly_amount=10, by=superuser())
    subscriptions_renew(now=end() - LEAD)
    assert "budget" in subscription().problem
    subscriptions_renew(now=end() + GRACE)
    assert subscription().state == "lapsed"
    assert "ended on" in refusal(own, end() + GRACE)
    budget_set(department=buyer, unit="credits", monthly_amount=None, by=superuser())
    subscriptions_renew(now=end() + GRACE + timedelta(days=1))
    assert (paid_months(), held("wallet", buyer), notices(own)) == (1, 15, [])
    buy(listing, buyer, bob)
    assert (subscription().state, subscription().terms.period_at) == ("renewing", None)


@pytest.mark.django_db
def test_cancelled_it_runs_to_the_end_of_what_is_paid(own, buyer, bob, alice):
    with pytest.raises(NotAllowed):
        subscription_cancel(subscription=subscription(), by=alice)
    for _ in range(2):
        subscription_cancel(subscription=subscription(), by=bob)
    assert subscription_keep(subscription=subscription(), by=bob).state == "renewing"
    subscription_cancel(subscription=subscription(), by=bob)
    subscriptions_renew(now=end() - MINUTE)
    assert (subscription().state, refusal(own, end() - MINUTE), paid_months()) == ("ending", "", 1)
    subscriptions_renew(now=end())
    assert (subscription().state, held("wallet", buyer)) == ("ended", 15)
    assert "ended on" in refusal(own, end())
    with pytest.raises(Refused, match="buy"):
        subscription_keep(subscription=subscription(), by=bob)
    with pytest.raises(Refused, match="can't become"):
        subscription_move(subscription(), SubscriptionState.GRACE, by=None)


@pytest.mark.django_db
def test_cancelled_in_grace_it_ends_at_once(own, buyer, bob):
    budget_set(department=buyer, unit="credits", monthly_amount=10, by=superuser())
    subscriptions_renew(now=end() - LEAD)
    subscription_cancel(subscription=subscription(), by=bob)
    assert RunAllowance.objects.get().expires_at == end() and notices(own) == []


@pytest.mark.django_db
def test_who_takes_a_month_back_is_not_charged_for_the_next(own, buyer, bob):
    subscriptions_renew(now=end() - LEAD)
    renewal = Order.objects.get(period_at__isnull=False)
    order_refund(order=renewal, by=bob)
    assert (subscription().state, held("wallet", buyer)) == ("ending", 15)
    assert RunAllowance.objects.get().expires_at == end()
    order_refund(order=Order.objects.get(period_at__isnull=True), by=bob)
    assert (subscription().state, held("wallet", buyer)) == ("ended", 25)
    subscriptions_renew(now=end())
    assert paid_months() == 0 and ledger_is_balanced()


@pytest.mark.django_db
def test_what_is_taken_down_or_free_is_not_paid_for(own, listing, buyer, alice):
    takedown = takedown_create(listing=listing, by=superuser(), reason="Opens a back door")
    subscriptions_renew(now=end() - LEAD)
    assert (subscription().state, paid_months()) == ("grace", 1) and "back door" in subscription().problem
    takedown.lifted_at = timezone.now()
    takedown.save()
    Price.objects.current().update(replaced_at=timezone.now())
    subscriptions_renew(now=end())
    assert (subscription().state, paid_months(), held("wallet", buyer)) == ("ended", 1, 15)
    assert RunAllowance.objects.get().expires_at is None


@pytest.mark.django_db
def test_a_renewal_by_invoice_waits_for_the_money_and_then_lapses(release, listing, buyer, bob, alice):
    make_price(listing, alice, kind="subscription", unit="EUR", unit_amount=1250)
    order_confirm(order=buy(listing, buyer, bob), by=superuser())
    own = install(release, buyer, bob).persona
    for _ in range(2):
        subscriptions_renew(now=end() - timedelta(days=10))
    renewal = Order.objects.get(period_at__isnull=False)
    assert (renewal.state, renewal.reference, subscription().state) == ("pending", renewal.number, "renewing")
    subscriptions_renew(now=end() - MINUTE)
    assert subscription().state == "grace" and renewal.number in notices(own)[0]
    order_confirm(order=renewal, by=superuser())
    assert subscription().state == "renewing"
    assert RunAllowance.objects.get().expires_at == months_later(end(), 1)
    second = months_later(end(), 1)
    subscriptions_renew(now=second)
    subscriptions_renew(now=second + GRACE)
    unpaid = Order.objects.get(period_at=second)
    assert (unpaid.state, subscription().state) == ("cancelled", "lapsed")
    assert order_confirm(order=unpaid, by=superuser()).state == "refunding"


@pytest.mark.django_db
def test_who_gives_up_the_next_invoice_cancels(listing, buyer, bob, alice):
    make_price(listing, alice, kind="subscription", unit="EUR", unit_amount=1250)
    order_confirm(order=buy(listing, buyer, bob), by=superuser())
    subscriptions_renew(now=end() - timedelta(days=10))
    order_cancel(order=Order.objects.get(period_at__isnull=False), by=bob)
    assert subscription().state == "ending"
    subscription_keep(subscription=subscription(), by=bob)
    subscriptions_renew(now=end() - timedelta(days=10))
    assert Order.objects.filter(period_at=end(), state="pending").count() == 1


@pytest.mark.django_db
def test_only_what_is_paid_by_the_month_renews_and_only_if_it_is_wanted(listing, buyer, bob, alice):
    make_price(listing, alice, kind="per_run", unit_amount=1)
    grant(buyer)
    with pytest.raises(BadInput) as refused:
        buy(listing, buyer, bob, renews=True)
    assert set(refused.value.errors) == {"renews"}
    make_price(listing, alice, kind="subscription", unit_amount=10)
    buy(listing, buyer, bob, renews=False)
    assert not Subscription.objects.exists()
    buy(listing, buyer, bob)
    assert subscription().state == "renewing"
    buy(listing, buyer, bob, renews=False)
    assert subscription().state == "ending"


@pytest.mark.django_db
def test_charlie_sees_no_subscription(own):
    assert not Subscription.objects.visible_to(make_member()).exists()


# --- page, API, statement, admin -------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.once
def test_the_page_shows_it_ends_it_and_keeps_it(client, own, listing, buyer, bob):
    client.force_login(bob)
    rows = client.get("/marketplace/subscriptions/").content.decode()
    assert "10 credits per month" in rows and f"{end():%Y-%m-%d}" in rows and "Renews by itself" in rows
    assert "Renews by itself" in client.get(listing.get_absolute_url()).content.decode()
    page = f"/marketplace/subscriptions/{subscription().pk}"
    assert "runs to the end of what is paid" in client.get(f"{page}/cancel/").content.decode()
    assert client.post(f"{page}/cancel/").url == "/marketplace/subscriptions/"
    assert subscription().state == "ending"
    assert "Keep it" in client.get("/marketplace/subscriptions/").content.decode()
    client.post(f"{page}/keep/")
    assert subscription().state == "renewing"
    subscriptions_renew(now=end() - LEAD)
    wallet = Account.objects.get(kind="wallet", department=buyer)
    memo = f"Renewal, the month from {end():%Y-%m-%d}"
    assert memo in client.get(wallet.get_absolute_url()).content.decode()
    assert memo in client.get(f"{wallet.get_absolute_url()}statement.csv").content.decode()


@pytest.mark.django_db
@pytest.mark.once
def test_the_buyer_is_asked_whether_it_renews(client, listing, buyer, bob, alice):
    price = make_price(listing, alice, kind="subscription", unit_amount=10)
    grant(buyer)
    client.force_login(bob)
    page = f"/marketplace/listings/{listing.pk}/buy/"
    assert "Pay again each month" in client.get(page).content.decode()
    said = {"department": buyer.pk, "quantity": 2, "provider": "credits", "price": price.pk}
    client.post(page, {**said, "key": "5e2d3c3a-3f1a-4f0e-8d0a-7a3d3c9b1f00"})
    assert Order.objects.get().renews is False and not Subscription.objects.exists()
    client.post(page, {**said, "renews": "on", "key": "5e2d3c3a-3f1a-4f0e-8d0a-7a3d3c9b1f01"})
    assert subscription().state == "renewing"


@pytest.mark.django_db
@pytest.mark.once
def test_the_api_says_and_does_the_same(own, bob, listing):
    client = client_of(bob)
    (row,) = client.get("/api/v1/subscriptions/", {"state": "renewing"}).json()["results"]
    assert (row["listing"], row["unit_amount"], row["state"]) == (str(listing.pk), 10, "renewing")
    url = f"/api/v1/subscriptions/{row['id']}"
    assert client.post(f"{url}/cancel/").json()["state"] == "ending"
    assert client.post(f"{url}/keep/").json()["state"] == "renewing"
    order = client.get("/api/v1/orders/").json()["results"][0]
    assert (order["renews"], order["period_at"]) == (True, None)


@pytest.mark.django_db
@pytest.mark.once
def test_the_admin_shows_what_is_sold_and_changes_nothing(client, own):
    subscriptions_renew(now=end() - LEAD)
    client.force_login(superuser())
    for model in ("order", "entitlement", "subscription", "account", "movement", "payout"):
        page = client.get(f"/admin/marketplace/{model}/")
        assert page.status_code == 200
        assert client.get(f"/admin/marketplace/{model}/add/").status_code == 403
    assert "10 credits" in client.get("/admin/marketplace/movement/").content.decode()
    order = Order.objects.first()
    change = f"/admin/marketplace/order/{order.pk}/change/"
    assert "Save" not in client.get(change).content.decode()
    assert client.post(change, {"state": "refunded"}).status_code == 403
    assert client.post(f"/admin/marketplace/order/{order.pk}/delete/").status_code == 403
