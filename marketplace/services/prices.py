"""What a listing costs, and what the platform takes of it."""

from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.utils import timezone

from marketplace.domain.money import MOST
from marketplace.domain.orders import PriceKind
from marketplace.models import Entitlement, FeeRate, Listing, Price
from marketplace.services.keys import require_ours
from personas.errors import BadInput
from personas.models import Persona, Role
from personas.services.access import require
from personas.services.audit import record
from personas.services.rows import checked_save, snapshot

LIMITS = {
    "unit_amount": MOST, "seats": 1_000_000, "trial_runs": 100, "refund_days": 365, "promised_runs": 100
}  # fmt: skip


def price_of(listing: Listing) -> Price | None:
    """The price that holds; None while nothing is asked for it."""
    price = Price.objects.current().filter(listing=listing).first()
    return price if price and price.kind != PriceKind.FREE else None


def prices_of(listings: Iterable[Listing]) -> dict[Any, Price]:
    """{listing's id: the price that holds}, of those that cost something."""
    rows = Price.objects.current().filter(listing__in=list(listings)).exclude(kind=PriceKind.FREE)
    return {price.listing_id: price for price in rows}


@transaction.atomic
def price_set(*, listing: Listing, by, **terms: Any) -> Price:
    """`terms`: columns of Price. It holds for new orders; those that are there keep theirs. Raises BadInput."""
    require(by=by, department=listing.department, role=Role.ADMIN)
    require_ours(listing.publisher)
    price = Price(listing=listing, set_by=by, **terms)
    if wrong := _wrong(price):
        raise BadInput(wrong)
    before = Price.objects.select_for_update().current().filter(listing=listing).first()
    Price.objects.current().filter(listing=listing).update(replaced_at=timezone.now())
    checked_save(price)
    if price.kind == PriceKind.FREE:
        _freed(listing)
    record(
        by=by,
        action="price.set",
        obj=price,
        before=snapshot(before) if before else None,
        after=snapshot(price),
    )
    return price


def _freed(listing: Listing) -> None:
    """What is installed runs freely, as what is installed from now on; what was bought stays on the books."""
    allowances = Entitlement.objects.filter(listing=listing).values("allowance")
    Persona.objects.filter(allowance__in=allowances).update(allowance=None)


def _wrong(price: Price) -> dict[str, list[str]]:
    wrong = {
        field: [f"At most {most:,}."] for field, most in LIMITS.items() if (getattr(price, field) or 0) > most
    }
    if price.kind == PriceKind.FREE:
        price.unit_amount, price.promised_runs, price.promised_percent, price.trial_runs = 0, 0, 0, 0
    elif (persona := price.listing.persona) and persona.department_id is None:
        wrong["kind"] = [
            f"{persona} is the organisation's own, and everybody reads its values: clone it into a department and "
            "publish that, or leave it free."
        ]
    elif not price.unit_amount:
        wrong["unit_amount"] = ["Say how much, or choose free."]
    if price.seats == 0:
        wrong["seats"] = ["At least one machine; empty for any number."]
    if bool(price.promised_runs) != bool(price.promised_percent):
        wrong["promised_percent"] = ["A promise needs both: of how many runs, how many percent."]
    elif price.promised_percent > 100:
        wrong["promised_percent"] = ["At most 100."]
    return wrong


def fee_rate() -> int:
    """Basis points, for new orders."""
    newest = FeeRate.objects.first()
    return newest.basis_points if newest else 0


@transaction.atomic
def fee_set(*, basis_points: int, by) -> FeeRate:
    require(by=by, department=None, role=Role.ADMIN)
    if not 0 <= basis_points <= 10_000:
        raise BadInput({"basis_points": ["From 0 to 10,000 (all of it)."]})
    before, rate = fee_rate(), FeeRate.objects.create(basis_points=basis_points, set_by=by)
    told = {"before": {"basis_points": before}, "after": {"basis_points": basis_points}}
    record(by=by, action="fee.set", obj=rate, **told)
    return rate
