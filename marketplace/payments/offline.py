"""The two that need nobody else: the organisation's own credits, and an invoice that a person sees paid."""

from collections.abc import Mapping

from marketplace.domain.money import CREDITS
from marketplace.payments.base import Begun, Bill, Event, PaymentError


class Credits:
    name = "credits"
    refunds_at_once = True
    renews = True

    def takes(self, unit: str) -> bool:
        return unit == CREDITS

    def begin(self, bill: Bill) -> Begun:
        return Begun(is_paid=True)

    def event(self, body: bytes, headers: Mapping[str, str]) -> Event:
        raise PaymentError("Credits send no events.")

    def refund(self, *, key: str, reference: str, amount: int) -> bool:
        return True


class Invoice:
    name = "invoice"
    refunds_at_once = False
    renews = True

    def takes(self, unit: str) -> bool:
        return unit != CREDITS

    def begin(self, bill: Bill) -> Begun:
        return Begun(is_paid=False, reference=bill.number)

    def event(self, body: bytes, headers: Mapping[str, str]) -> Event:
        raise PaymentError("An invoice sends no events; a person confirms it.")

    def refund(self, *, key: str, reference: str, amount: int) -> bool:
        return False
