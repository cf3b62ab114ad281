"""Stripe Checkout, by the `stripe` SDK (an extra). Verified against the SDK's own signatures and a played server, never
against Stripe itself.

`STRIPE_SECRET_KEY` and `STRIPE_WEBHOOK_SECRET` switch it on. The card is typed on Stripe's page; we never see it.
"""

import importlib.util
import json
from collections.abc import Mapping

from marketplace.domain.money import EXPONENTS
from marketplace.payments.base import (
    Begun,
    Bill,
    Event,
    EventKind,
    PaymentError,
    RefundFailed,
    WrongSignature,
)

TOLERANCE_S = 300  # an older signature may have been recorded by somebody: Stripe's own default
UNITS = {unit for unit, digits in EXPONENTS.items() if unit.isupper() and digits < 3} - {"ISK"}
"""Those of which Stripe counts the same smallest unit as ISO 4217 does."""
KINDS = {
    "checkout.session.completed": EventKind.PAID,
    "checkout.session.async_payment_succeeded": EventKind.PAID,
    "checkout.session.expired": EventKind.GIVEN_UP,
    "checkout.session.async_payment_failed": EventKind.GIVEN_UP,
    "charge.refunded": EventKind.REFUNDED,
    "charge.dispute.created": EventKind.DISPUTED,
}
ENDED = {
    "charge.dispute.closed": {
        "lost": EventKind.DISPUTE_LOST,
        "won": EventKind.DISPUTE_WON,
        "warning_closed": EventKind.DISPUTE_WON,  # a question of the bank that did not become a dispute
    },
    **{
        name: {
            "succeeded": EventKind.REFUND_SENT,
            "failed": EventKind.REFUND_FAILED,
            "canceled": EventKind.REFUND_FAILED,
        }
        for name in ("refund.updated", "refund.failed", "charge.refund.updated")
    },
}
"""What these tell depends on the `status` of their refund or dispute."""
OF_ONE = {EventKind.DISPUTED, *(kind for kinds in ENDED.values() for kind in kinds.values())}
NOT_SENT = ("failed", "canceled")


class StripeCheckout:
    name = "stripe"
    refunds_at_once = False
    renews = False  # a Checkout is paid by somebody who is there

    def __init__(self, *, secret_key: str, webhook_secret: str, api_base: str = ""):
        self.secret_key, self.webhook_secret, self.api_base = secret_key, webhook_secret, api_base

    def takes(self, unit: str) -> bool:
        return unit in UNITS and bool(self.secret_key) and _is_installed()

    def begin(self, bill: Bill) -> Begun:
        line = {
            "quantity": 1,
            "price_data": {
                "currency": bill.unit.lower(),
                "unit_amount": bill.amount,
                "product_data": {"name": bill.title},
            },
        }
        session = self._asked(
            "checkout.sessions.create",
            {
                "mode": "payment",
                "line_items": [line],
                "client_reference_id": bill.key,
                "metadata": {"order": bill.key},
                "payment_intent_data": {"metadata": {"order": bill.key}},
                "success_url": bill.return_url,
                "cancel_url": bill.return_url,
            },
            f"order-{bill.key}",
        )
        return Begun(is_paid=False, reference=session.id, pay_url=session.url)

    def event(self, body: bytes, headers: Mapping[str, str]) -> Event:
        if not (self.webhook_secret and _is_installed()):
            raise PaymentError("Stripe is not set up here.")  # an empty secret would believe everybody
        import stripe  # the extra is installed where this provider is switched on

        try:
            stripe.WebhookSignature.verify_header(
                body.decode(), headers.get("Stripe-Signature", ""), self.webhook_secret, TOLERANCE_S
            )
            document = json.loads(body)
            event = event_of(document)
            payment = document["data"]["object"].get("payment_intent")
        except stripe.SignatureVerificationError:
            raise WrongSignature("The signature is not Stripe's, or too old.") from None
        except (UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError):
            raise PaymentError("This is no event of Stripe.") from None
        if event.kind == EventKind.OTHER or event.key or not payment:
            return event
        intent = self._asked("payment_intents.retrieve", payment)  # a dispute has no metadata of ours
        return event._replace(key=intent.to_dict().get("metadata", {}).get("order", ""))

    def refund(self, *, key: str, reference: str, amount: int) -> bool:
        session = self._asked("checkout.sessions.retrieve", reference)
        there = self._asked("refunds.list", {"payment_intent": session.payment_intent, "limit": 100}).data
        refunds = [each for each in there if each.status not in NOT_SENT]
        if rest := max(0, amount - sum(each.amount for each in refunds)):
            wanted = {"payment_intent": session.payment_intent, "amount": rest, "metadata": {"order": key}}
            refunds.append(self._asked("refunds.create", wanted, f"refund-{key}-{len(there)}"))
        if refunds and refunds[-1].status in NOT_SENT:
            raise RefundFailed(failure_words(refunds[-1].to_dict()))
        return sum(each.amount for each in refunds if each.status == "succeeded") >= amount

    def _asked(self, verb: str, argument, idempotency_key: str = ""):
        import stripe

        addresses = {"base_addresses": {"api": self.api_base}} if self.api_base else {}
        call = stripe.StripeClient(self.secret_key, max_network_retries=1, **addresses).v1
        for name in verb.split("."):
            call = getattr(call, name)
        options = {"options": {"idempotency_key": idempotency_key}} if idempotency_key else {}
        try:
            return call(argument, **options)
        except stripe.StripeError as error:
            raise PaymentError(f"Stripe did not take it: {error.user_message or error}") from None


def _is_installed() -> bool:
    return importlib.util.find_spec("stripe") is not None


def failure_words(refund: dict) -> str:
    return f"Stripe: {(refund.get('failure_reason') or refund.get('status') or '').replace('_', ' ')}"


def event_of(document: dict) -> Event:
    """A checkout session that is `completed` but not yet paid (a slow way of paying) tells nothing yet."""
    words, data = document["type"], document["data"]["object"]
    kind = KINDS.get(words) or ENDED.get(words, {}).get(data.get("status"), EventKind.OTHER)
    if kind in OF_ONE:
        return Event(
            id=f"{data['id']}:{kind}", kind=kind, words=words, key=(data.get("metadata") or {}).get("order", ""),
            reference=data["id"], amount=data["amount"], unit=data["currency"].upper(), reason=failure_words(data),
        )  # fmt: skip
    if kind == EventKind.PAID and data.get("payment_status") not in ("paid", "no_payment_required"):
        kind = EventKind.OTHER
    amount = data.get("amount_refunded") if kind == EventKind.REFUNDED else data.get("amount_total")
    return Event(
        id=document["id"],
        kind=kind,
        words=words,
        key=(data.get("metadata") or {}).get("order", "") or data.get("client_reference_id") or "",
        reference=data["id"] if kind in (EventKind.PAID, EventKind.GIVEN_UP) else "",
        amount=amount,
        unit=(data.get("currency") or "").upper(),
    )
