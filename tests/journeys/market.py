"""A marketplace with one of each: what is shared, bought, installed, reviewed, reported and taken down."""

from marketplace.domain.subscriptions import SubscriptionState
from marketplace.models import Account
from marketplace.services.accounts import budget_set, payout_request
from marketplace.services.catalogues import catalogue_create
from marketplace.services.moderation import report_create, takedown_create
from marketplace.services.orders import order_confirm
from marketplace.services.proof import proof_begin
from marketplace.services.publishing import listing_create, publisher_create, release_publish
from marketplace.services.reviews import review_write
from marketplace.services.submissions import submission_create
from marketplace.services.subscriptions import subscription_move
from tests import factories
from tests.marketplace.conftest import SCRIPT, WORDS
from tests.marketplace.shop import buy, grant, install, make_price, run_ended

FEED = "https://other.example/marketplace/feed"


def market_rows(admin, buyer) -> dict[str, object]:
    """By the first two parts of its address: one row of every kind; `buyer` is the department that has bought."""
    seller = factories.make_department("Databases")
    alice = factories.make_member(seller, "admin", "alice")
    publisher = publisher_create(
        by=alice, department=seller, name="DBA team", description="We run the databases."
    )
    proof_begin(publisher=publisher, domain="dba.example", by=alice)
    listing, release = _listing(alice, publisher, "Tuned database")
    catalogue = catalogue_create(by=admin, name="Other site", url=FEED, department=None)
    return {
        "marketplace/publishers": publisher,
        "marketplace/listings": listing,
        "marketplace/releases": release,
        **_bought(admin, alice, buyer, listing, release),
        "marketplace/submissions": _handed_in(alice, listing),
        "marketplace/reports": report_create(
            listing=listing, by=admin, kind="other", text="It stops my backup."
        ),
        "marketplace/catalogues": catalogue,
        **_sold_for_money(admin, alice, publisher, buyer),
        "marketplace/subscriptions": _subscribed(admin, alice, publisher, buyer),
    }


def _subscribed(admin, alice, publisher, buyer):
    """One that goes on by itself, and one that could not be paid for."""
    kept, unpaid = [_listing(alice, publisher, name)[0] for name in ("Nightly backup", "Mail relay")]
    for listing in (kept, unpaid):
        make_price(listing, alice, kind="subscription", unit_amount=20)
        buy(listing, buyer, admin)
    problem = "Wallet of Web Shop (credits) holds 5 credits, needed are 20 credits."
    subscription_move(unpaid.subscriptions.get(), SubscriptionState.GRACE, by=None, problem=problem)
    return kept.subscriptions.get()


def _listing(alice, publisher, name: str):
    """Shared by its own department, with a first release."""
    own = {"department": publisher.department}
    script = factories.make_script(f"tune-{name.lower().replace(' ', '-')}", body=SCRIPT, **own)
    persona = factories.make_persona(name, packages=["postgresql-15"], post_migration_script=script, **own)
    listing = listing_create(by=alice, publisher=publisher, persona=persona, **WORDS)
    return listing, _release(alice, listing, "1.0.0", "First release")


def _release(alice, listing, version: str, text: str):
    changes = [{"kind": "added", "text": text}]
    return release_publish(
        listing=listing, by=alice, version=version, licence="apache-2.0", changelog=changes
    )


def _bought(admin, alice, buyer, listing, release) -> dict[str, object]:
    """Paid with credits, installed, run and judged; a newer release waits."""
    make_price(listing, alice, kind="per_run", trial_runs=2, promised_runs=2, promised_percent=100)
    grant(buyer)
    budget_set(department=buyer, unit="credits", monthly_amount=500, by=admin)
    order = buy(listing, buyer, admin, quantity=3)
    installation = install(release, buyer, admin)
    run_ended(installation.persona)
    review = review_write(listing=listing, department=buyer, by=admin, stars=4, text="Quick, and it held.")
    _release(alice, listing, "1.1.0", "Reads its limits from the machine")
    return {
        "marketplace/orders": order,
        "marketplace/installed": installation,
        "marketplace/reviews": review,
        "marketplace/accounts": Account.objects.get(kind="wallet", department=buyer),
    }


def _handed_in(alice, listing):
    return submission_create(listing=listing, by=alice, version="2.0.0", licence="apache-2.0")


def _sold_for_money(admin, alice, publisher, buyer) -> dict[str, object]:
    """An invoice that is paid, and its payout asked for; then the listing is taken down."""
    listing, _ = _listing(alice, publisher, "Web front end")
    make_price(listing, alice, unit="EUR", unit_amount=1250)
    order_confirm(order=buy(listing, buyer, admin), by=admin)
    payout = payout_request(department=publisher.department, unit="EUR", amount=1250, by=alice)
    return {
        "marketplace/desk": payout,
        "marketplace/takedowns": takedown_create(
            listing=listing, by=admin, reason="It removes the firewall."
        ),
    }
