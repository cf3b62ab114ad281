"""Credits of a department: granted, passed on, held to a budget; earnings on their way out."""

from django.db import transaction
from django.utils import timezone

from marketplace.domain.money import CREDITS, MOST, money_words
from marketplace.models import Account, Budget, Movement, Payout
from marketplace.models.ledger import AccountKind, MovementKind, PayoutState
from marketplace.services.ledger import NotEnough, account_ensure, account_locked, balance_of, movement_book
from personas.errors import BadInput, Refused
from personas.models import Department, Role
from personas.services.access import require
from personas.services.audit import record


def wallet_of(department: Department) -> Account:
    return account_ensure(kind=AccountKind.WALLET, unit=CREDITS, department=department)


def _require_amount(amount: int) -> None:
    if not 1 <= amount <= MOST:
        raise BadInput({"amount": [f"Give an amount from 1 to {MOST:,}."]})


@transaction.atomic
def credits_grant(*, department: Department, amount: int, by, memo: str = "") -> Movement:
    """The organisation gives a department credits. Only a superuser."""
    require(by=by, department=None, role=Role.ADMIN)
    _require_amount(amount)
    outside = account_ensure(kind=AccountKind.EXTERNAL, unit=CREDITS)
    return _told(MovementKind.GRANT, outside, wallet_of(department), amount, by, memo, department)


@transaction.atomic
def credits_withdraw(*, department: Department, amount: int, by, memo: str = "") -> Movement:
    """What was granted and is not spent goes back to the organisation. Raises NotEnough."""
    require(by=by, department=None, role=Role.ADMIN)
    _require_amount(amount)
    outside = account_ensure(kind=AccountKind.EXTERNAL, unit=CREDITS)
    return _told(MovementKind.WITHDRAWAL, wallet_of(department), outside, amount, by, memo, department)


@transaction.atomic
def credits_transfer(*, source: Department, destination: Department, amount: int, by, memo: str) -> Movement:
    """One department charges itself for what another did. Raises NotEnough."""
    require(by=by, department=source, role=Role.ADMIN)
    _require_amount(amount)
    if source == destination:
        raise BadInput({"destination": ["Choose another department."]})
    return _told(MovementKind.TRANSFER, wallet_of(source), wallet_of(destination), amount, by, memo, source)


def _told(kind, source, destination, amount, by, memo, department) -> Movement:
    movement = movement_book(
        kind=kind, source=source, destination=destination, amount=amount, by=by, memo=memo.strip()[:200]
    )
    told = {"to": str(destination), "amount": money_words(amount, source.unit), "memo": movement.memo}
    record(by=by, action=f"credits.{kind}", obj=department, after=told)
    return movement


@transaction.atomic
def budget_set(*, department: Department, unit: str, monthly_amount: int | None, by) -> Budget | None:
    """None: no limit but what there is. Only a superuser."""
    require(by=by, department=None, role=Role.ADMIN)
    there = Budget.objects.select_for_update().filter(department=department, unit=unit).first()
    before = {"monthly_amount": there.monthly_amount} if there else None
    budget = None
    if monthly_amount is None:
        Budget.objects.filter(department=department, unit=unit).delete()
    else:
        budget = there or Budget(department=department, unit=unit)
        budget.monthly_amount = monthly_amount
        budget.full_clean()
        budget.save()
    after = {"unit": unit, "monthly_amount": monthly_amount}
    record(by=by, action="budget.set", obj=department, before=before, after=after)
    return budget


@transaction.atomic
def payout_request(*, department: Department, unit: str, amount: int, by) -> Payout | None:
    """Earnings to the publisher: credits arrive in the department's wallet at once (None); money waits for a superuser
    to send it. Raises NotEnough."""
    require(by=by, department=department, role=Role.ADMIN)
    _require_amount(amount)
    earnings = account_locked(account_ensure(kind=AccountKind.EARNINGS, unit=unit, department=department))
    if (held := balance_of(earnings)) < amount:
        raise NotEnough(
            f"Earned are {money_words(max(held, 0), unit)}.", balance=held, needed=amount, unit=unit
        )
    if unit == CREDITS:
        _told(MovementKind.PAYOUT, earnings, wallet_of(department), amount, by, "", department)
        return None
    payout = Payout.objects.create(department=department, unit=unit, amount=amount, requested_by=by)
    payable = account_ensure(kind=AccountKind.PAYABLE, unit=unit, department=department)
    _told(MovementKind.PAYOUT, earnings, payable, amount, by, str(payout.pk), department)
    return payout


@transaction.atomic
def payout_settle(*, payout: Payout, by, is_paid: bool, reference: str = "") -> Payout:
    """The money has left, or the request is refused and the earnings are there again. Only a superuser, once."""
    require(by=by, department=None, role=Role.ADMIN)
    payout = Payout.objects.select_for_update(of=("self",)).select_related("department").get(pk=payout.pk)
    if payout.state != PayoutState.REQUESTED:
        raise Refused(f"This payout is {payout.get_state_display().lower()} already.")
    owner = {"unit": payout.unit, "department": payout.department}
    payable = account_ensure(kind=AccountKind.PAYABLE, **owner)
    kind, to = MovementKind.PAID_OUT, account_ensure(kind=AccountKind.EXTERNAL, unit=payout.unit)
    if not is_paid:
        kind, to = MovementKind.PAYOUT_REFUSED, account_ensure(kind=AccountKind.EARNINGS, **owner)
    _told(kind, payable, to, payout.amount, by, reference, payout.department)
    payout.state = PayoutState.PAID if is_paid else PayoutState.REFUSED
    payout.settled_at, payout.reference = timezone.now(), reference[:120]
    payout.save()
    return payout
