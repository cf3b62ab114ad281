"""How money comes and goes back. A provider talks to the world; what it says is booked by the services."""

from collections.abc import Mapping
from enum import StrEnum
from typing import ClassVar, NamedTuple, Protocol


class PaymentError(Exception):
    """The provider could not do it; the message is for the buyer. The order stays as it is and can be tried again."""


class RefundFailed(PaymentError):
    """The bank does not take the money back: asking the same again would not help, a person has to look."""


class WrongSignature(PaymentError):
    """Somebody else than the provider sent this."""


class Bill(NamedTuple):
    """What is to be paid. `key` is the order's id: said twice to a provider, one payment."""

    key: str
    number: str
    title: str
    amount: int
    unit: str
    return_url: str


class Begun(NamedTuple):
    """`is_paid`: the money is there already. Else the buyer goes to `pay_url`, or waits for a person."""

    is_paid: bool
    reference: str = ""
    pay_url: str = ""


class EventKind(StrEnum):
    PAID = "paid"
    GIVEN_UP = "given_up"
    REFUNDED = "refunded"
    REFUND_SENT = "refund_sent"
    REFUND_FAILED = "refund_failed"
    DISPUTED = "disputed"
    DISPUTE_WON = "dispute_won"
    DISPUTE_LOST = "dispute_lost"
    OTHER = "other"


class Event(NamedTuple):
    """What a provider tells of an order (`key`); `amount` and `unit` as it knows them. `id` names what is told: of one
    refund or dispute (`reference`) the same is told once, whatever it comes in."""

    id: str
    kind: EventKind
    words: str
    key: str = ""
    reference: str = ""
    amount: int | None = None
    unit: str = ""
    reason: str = ""


class PaymentProvider(Protocol):
    """Example: `begin(Bill("7…", "A-12", "Tuned database", 1250, "EUR", "https://…"))` gives
    `Begun(False, "cs_1", "https://…/pay")`; later `event(body, headers)` gives `Event("evt_1", PAID, …, "7…", …)`.
    """

    name: ClassVar[str]
    refunds_at_once: ClassVar[bool]
    renews: ClassVar[bool]
    """Whether the next month of a subscription is asked for without the buyer being there."""

    def takes(self, unit: str) -> bool:
        """Whether it moves that currency. SHALL be False while it is not set up."""

    def begin(self, bill: Bill) -> Begun:
        """SHALL give one payment for one `key`, however often it is said. Raises PaymentError."""

    def event(self, body: bytes, headers: Mapping[str, str]) -> Event:
        """SHALL check that the provider sent it. Raises WrongSignature, PaymentError."""

    def refund(self, *, key: str, reference: str, amount: int) -> bool:
        """Sends back; True when it has left. MAY be said twice. False: it has not left yet (or a person does it and
        confirms); say it again to know. Raises PaymentError; RefundFailed when only a person can help."""
