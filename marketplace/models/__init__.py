from marketplace.models.installation import Installation
from marketplace.models.keys import KeyStatement, ReleaseSignature, SigningKey, TrustedKey
from marketplace.models.ledger import Account, Budget, FeeRate, Movement, Payout
from marketplace.models.listing import Listing, Release
from marketplace.models.moderation import AbuseReport, Takedown
from marketplace.models.order import Entitlement, Order, PaymentEvent, Price
from marketplace.models.publisher import Publisher
from marketplace.models.remote import Catalogue, FeedIssue
from marketplace.models.review import Review
from marketplace.models.submission import Submission
from marketplace.models.subscription import Subscription

__all__ = [
    "AbuseReport",
    "Account",
    "Budget",
    "Catalogue",
    "Entitlement",
    "FeeRate",
    "FeedIssue",
    "Installation",
    "KeyStatement",
    "Listing",
    "Movement",
    "Order",
    "PaymentEvent",
    "Payout",
    "Price",
    "Publisher",
    "Release",
    "ReleaseSignature",
    "Review",
    "SigningKey",
    "Submission",
    "Subscription",
    "Takedown",
    "TrustedKey",
]
