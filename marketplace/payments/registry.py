"""Every provider there is. One table; the settings say which are set up."""

from django.conf import settings

from marketplace.payments.base import PaymentProvider
from marketplace.payments.offline import Credits, Invoice
from marketplace.payments.stripe_checkout import StripeCheckout


def _stripe() -> StripeCheckout:
    return StripeCheckout(
        secret_key=settings.STRIPE_SECRET_KEY,
        webhook_secret=settings.STRIPE_WEBHOOK_SECRET,
        api_base=settings.STRIPE_API_BASE,
    )


PROVIDERS = {"credits": Credits, "invoice": Invoice, "stripe": _stripe}


def provider_of(name: str) -> PaymentProvider:
    """Raises KeyError for a name that is not in the table."""
    return PROVIDERS[name]()


def providers_for(unit: str) -> list[str]:
    """Names of those that move this currency here."""
    return [name for name in PROVIDERS if provider_of(name).takes(unit)]
