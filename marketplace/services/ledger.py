"""Booking: what moves, what an account holds. Callers decide and are inside a transaction."""

import uuid
from datetime import datetime
from typing import NamedTuple

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet, Sum
from django.utils import timezone

from marketplace.domain.money import money_words
from marketplace.models import Account, Movement, Order
from marketplace.models.ledger import AccountKind, MovementKind
from personas.errors import Refused
from personas.models import Department


class NotEnough(Refused):
    """The account holds less than that."""

    status = 402


def account_ensure(
    *, kind: AccountKind, unit: str, department: Department | None = None, order: Order | None = None
) -> Account:
    owner = order or department
    key = f"{kind}:{owner.pk if owner else ''}:{unit}"
    found, _ = Account.objects.get_or_create(
        key=key, defaults={"kind": kind, "unit": unit, "department": department}
    )
    return found


def account_locked(account: Account) -> Account:
    """Whoever spends from it next waits until this transaction ends."""
    return Account.objects.select_for_update(no_key=True).get(pk=account.pk)


def balance_of(account: Account, *, before: datetime | None = None, order: Order | None = None) -> int:
    """With `order`: what of it is there."""
    rows = Movement.objects.filter(at__lt=before) if before else Movement.objects.all()
    rows = rows.filter(order=order) if order else rows
    came = rows.filter(destination=account).aggregate(n=Sum("amount"))["n"] or 0
    went = rows.filter(source=account).aggregate(n=Sum("amount"))["n"] or 0
    return came - went


def movement_book(
    *,
    kind: MovementKind,
    source: Account,
    destination: Account,
    amount: int,
    by,
    order: Order | None = None,
    memo: str = "",
) -> Movement:
    """Raises NotEnough where the source may not go below zero."""
    movement = Movement(
        at=timezone.now(), kind=kind, source=source, destination=destination, amount=amount,
        unit=source.unit, order=order, memo=memo, booked_by=by,
    )  # fmt: skip
    try:
        with transaction.atomic():
            movement.save()
    except IntegrityError as error:
        if "holds less" not in str(error):
            raise
        held = balance_of(source)
        told = (
            f"{source} holds {money_words(held, source.unit)}, needed are {money_words(amount, source.unit)}."
        )
        raise NotEnough(told, balance=held, needed=amount, unit=source.unit) from None
    return movement


class Line(NamedTuple):
    """A movement as one of its accounts sees it: `amount` is signed, `balance` is after it."""

    movement: Movement
    amount: int
    balance: int


class Statement(NamedTuple):
    account: Account
    start: datetime
    end: datetime
    opening: int
    lines: list[Line]
    closing: int


def movements_of(account: Account) -> QuerySet[Movement]:
    rows = Movement.objects.filter(Q(source=account) | Q(destination=account))
    return rows.select_related("order__listing__publisher", "order__department").order_by("at", "id")


def statement_of(*, account: Account, start: datetime, end: datetime) -> Statement:
    """What moved from `start` up to, not including, `end`."""
    balance = opening = balance_of(account, before=start)
    lines = []
    for movement in movements_of(account).filter(at__gte=start, at__lt=end):
        amount = movement.amount if movement.destination_id == account.pk else -movement.amount
        balance += amount
        lines.append(Line(movement, amount, balance))
    return Statement(account, start, end, opening, lines, balance)


def balances(accounts: QuerySet[Account]) -> dict[uuid.UUID, int]:
    """{account's id: what it holds}, in two queries."""
    found = dict.fromkeys(accounts.values_list("pk", flat=True), 0)
    for column, sign in (("destination", 1), ("source", -1)):
        sums = Movement.objects.filter(**{f"{column}__in": found}).order_by().values_list(column)
        for pk, amount in sums.annotate(n=Sum("amount")):
            found[pk] += sign * amount
    return found
