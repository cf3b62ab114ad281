from marketplace.models.installation import Installation
from marketplace.models.ledger import Account, Budget, FeeRate, Movement, Payout
from marketplace.models.listing import Listing, Release
from marketplace.models.order import Entitlement, Order, PaymentEvent, Price
from marketplace.models.publisher import Publisher
from marketplace.models.submission import Submission

__all__ = [
    "Account",
    "Budget",
    "Entitlement",
    "FeeRate",
    "Installation",
    "Listing",
    "Movement",
    "Order",
    "PaymentEvent",
    "Payout",
    "Price",
    "Publisher",
    "Release",
    "Submission",
]
