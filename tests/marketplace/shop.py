"""A listing with a price, a department with credits: plain functions for the tests of selling."""

import hashlib

from django.db import connection
from django.db.models import Sum

from marketplace.models import Account, Movement, Order
from marketplace.models.ledger import AccountKind
from marketplace.services.accounts import credits_grant
from marketplace.services.installing import installation_create
from marketplace.services.ledger import account_ensure, balances
from marketplace.services.orders import order_create
from marketplace.services.prices import fee_set, price_set
from personas.services.track_record import outcomes_write
from tests.factories import make_user
from tests.marketplace.conftest import SCRIPT

APPROVED = hashlib.sha256(SCRIPT.encode()).hexdigest()


def superuser():
    from django.contrib.auth import get_user_model

    return get_user_model().objects.filter(is_superuser=True).first() or make_user("root", superuser=True)


def make_price(listing, by, **terms):
    return price_set(listing=listing, by=by, **({"kind": "one_off", "unit_amount": 100} | terms))


def grant(department, amount=1000):
    credits_grant(department=department, amount=amount, by=superuser(), memo="budget")


def take_fee(basis_points):
    fee_set(basis_points=basis_points, by=superuser())


def buy(listing, department, by, **asked) -> Order:
    return order_create(listing=listing, department=department, by=by, **asked)


def install(release, department, by, **asked):
    return installation_create(
        release=release, department=department, by=by, approved_script_sha256=APPROVED, **asked
    )


def held(kind: AccountKind, department=None, unit="credits") -> int:
    rows = Account.objects.filter(kind=kind, unit=unit, department=department)
    return sum(balances(rows).values())


def ledger_is_balanced() -> bool:
    """All accounts together hold nothing, in the database's own arithmetic; each escrow of an ended order is empty."""
    totals = balances(Account.objects.all())
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT COUNT(*) FROM marketplace_movement m JOIN marketplace_account a ON a.id = m.source_id "
            "JOIN marketplace_account b ON b.id = m.destination_id WHERE a.unit <> b.unit OR m.amount <= 0"
        )
        broken = cursor.fetchone()[0]
    return sum(totals.values()) == 0 and broken == 0


def total_moved(kind: str) -> int:
    return Movement.objects.filter(kind=kind).aggregate(n=Sum("amount"))["n"] or 0


def escrow_of(order: Order) -> int:
    account = account_ensure(kind=AccountKind.ESCROW, unit=order.unit, order=order)
    return balances(Account.objects.filter(pk=account.pk))[account.pk]


def run_ended(persona, outcome="succeeded", is_changed=False, **columns) -> None:
    """As the engine tells it at the end of a run."""
    import uuid

    from django.utils import timezone

    told = {"id": str(persona.pk), "origin": persona.origin, "is_changed": is_changed}
    outcomes_write(
        run_id=uuid.uuid4(), machine_id=uuid.uuid4(), department=persona.department,
        personas=[told], outcome=outcome, ended_at=timezone.now(), **columns,
    )  # fmt: skip
