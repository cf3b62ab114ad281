"""The ledger: what the database itself refuses, and what services make of it."""

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from marketplace.domain.money import CREDITS, WrongAmount, fee_of, money_of, money_words
from marketplace.models import Account, Movement, Payout
from marketplace.models.ledger import AccountKind, Immutable
from marketplace.services.accounts import (
    credits_transfer,
    credits_withdraw,
    payout_request,
    payout_settle,
    wallet_of,
)
from marketplace.services.ledger import NotEnough, account_ensure, balance_of, movement_book, statement_of
from personas.errors import BadInput, NotAllowed, Refused
from tests.factories import make_member
from tests.marketplace.shop import grant, held, ledger_is_balanced, superuser

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("words", "unit", "amount"),
    [("12.5", "EUR", 1250), ("1200", "JPY", 1200), ("0.001", "KWD", 1), ("7", CREDITS, 7)],
)
def test_money_is_counted_in_the_smallest_unit(words, unit, amount):
    assert money_of(words, unit) == amount
    assert money_of(money_words(amount, unit).split()[0].replace(",", ""), unit) == amount


@pytest.mark.parametrize(
    ("words", "unit"),
    [("1.005", "EUR"), ("1.5", "JPY"), ("-1", "EUR"), ("NaN", "EUR"), ("x", "EUR"), ("1e999999", "EUR")],
)
def test_what_the_currency_does_not_have_is_refused(words, unit):
    with pytest.raises(WrongAmount):
        money_of(words, unit)


def test_the_fee_is_rounded_in_favour_of_the_publisher():
    assert [fee_of(999, bp) for bp in (0, 250, 10_000)] == [0, 24, 999]


@pytest.fixture
def wallet(buyer):
    grant(buyer, 100)
    return wallet_of(buyer)


def raw(sql, *values):
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql, values)


def test_the_database_refuses_to_change_or_to_delete_a_movement(wallet):
    movement = Movement.objects.get()
    for statement in (
        "UPDATE marketplace_movement SET amount = 1",
        "UPDATE marketplace_movement SET memo = 'x'",
        "DELETE FROM marketplace_movement",
    ):
        with pytest.raises(IntegrityError, match="append-only"):
            raw(statement)
    with pytest.raises(Immutable):
        movement.save()
    with pytest.raises(Immutable):
        movement.delete()


def movement(source, destination, amount, unit=CREDITS):
    return Movement(
        at=timezone.now(), kind="transfer", source=source, destination=destination, amount=amount, unit=unit
    )


def test_the_database_refuses_what_would_not_balance(wallet, seller):
    other = wallet_of(seller)
    euros = account_ensure(kind=AccountKind.EARNINGS, unit="EUR", department=seller)
    outside = account_ensure(kind=AccountKind.EXTERNAL, unit=CREDITS)
    for wrong, told in (
        (movement(wallet, other, 0), "moves_something|amount"),
        (movement(wallet, other, -5), "moves_something|amount"),
        (movement(wallet, wallet, 5), "two_accounts"),
        (movement(wallet, euros, 5), "one unit"),
        (movement(wallet, other, 5, unit="EUR"), "one unit"),
        (movement(wallet, other, 101), "holds less"),
    ):
        with pytest.raises(IntegrityError, match=told), transaction.atomic():
            Movement.objects.bulk_create([wrong])  # past save(): the database is asked itself
    Movement.objects.bulk_create([movement(wallet, other, 100), movement(outside, wallet, 1)])
    assert ledger_is_balanced()


def test_an_account_is_made_once(buyer):
    assert {wallet_of(buyer).pk for _ in range(3)} == {Account.objects.get(kind="wallet").pk}


def test_only_a_superuser_grants_and_takes_back(buyer, bob, wallet):
    with pytest.raises(NotAllowed):
        credits_withdraw(department=buyer, amount=1, by=bob)
    credits_withdraw(department=buyer, amount=40, by=superuser())
    assert balance_of(wallet) == 60
    with pytest.raises(NotEnough):
        credits_withdraw(department=buyer, amount=61, by=superuser())


def test_a_department_passes_credits_on(buyer, bob, seller, alice, wallet):
    credits_transfer(source=buyer, destination=seller, amount=30, by=bob, memo="licences")
    assert (held("wallet", buyer), held("wallet", seller)) == (70, 30)
    with pytest.raises(NotAllowed):
        credits_transfer(source=buyer, destination=seller, amount=30, by=alice, memo="mine")
    with pytest.raises(NotEnough) as refused:
        credits_transfer(source=buyer, destination=seller, amount=71, by=bob, memo="")
    assert (refused.value.status, refused.value.extra["balance"]) == (402, 70)
    with pytest.raises(BadInput):
        credits_transfer(source=buyer, destination=seller, amount=0, by=bob, memo="")
    assert ledger_is_balanced()


def test_a_statement_opens_with_what_was_before_and_closes_with_what_is(buyer, seller, bob, wallet):
    start = timezone.now()
    credits_transfer(source=buyer, destination=seller, amount=30, by=bob, memo="a")
    credits_transfer(source=buyer, destination=seller, amount=20, by=bob, memo="b")
    told = statement_of(account=wallet, start=start, end=timezone.now())
    assert (told.opening, told.closing) == (100, 50)
    assert [(line.amount, line.balance) for line in told.lines] == [(-30, 70), (-20, 50)]


@pytest.fixture
def earned(seller):
    earnings = account_ensure(kind=AccountKind.EARNINGS, unit="EUR", department=seller)
    outside = account_ensure(kind=AccountKind.EXTERNAL, unit="EUR")
    movement_book(kind="capture", source=outside, destination=earnings, amount=500, by=None)
    return earnings


def test_a_payout_leaves_when_a_superuser_has_sent_it(seller, alice, earned):
    payout = payout_request(department=seller, unit="EUR", amount=300, by=alice)
    assert (held("earnings", seller, "EUR"), held("payable", seller, "EUR")) == (200, 300)
    with pytest.raises(NotEnough):
        payout_request(department=seller, unit="EUR", amount=201, by=alice)
    with pytest.raises(NotAllowed):
        payout_settle(payout=payout, by=alice, is_paid=True)
    payout_settle(payout=payout, by=superuser(), is_paid=True, reference="SEPA 4711")
    assert (held("payable", seller, "EUR"), held("external", unit="EUR")) == (0, -200)
    with pytest.raises(Refused, match="already"):
        payout_settle(payout=payout, by=superuser(), is_paid=False)


def test_a_refused_payout_is_earned_again(seller, alice, earned):
    payout = payout_request(department=seller, unit="EUR", amount=500, by=alice)
    payout_settle(payout=payout, by=superuser(), is_paid=False)
    assert held("earnings", seller, "EUR") == 500
    assert Payout.objects.get().state == "refused"
    assert ledger_is_balanced()


def test_earned_credits_are_in_the_wallet_at_once(seller, alice, buyer, wallet):
    earnings = account_ensure(kind=AccountKind.EARNINGS, unit=CREDITS, department=seller)
    movement_book(kind="capture", source=wallet, destination=earnings, amount=40, by=None)
    assert payout_request(department=seller, unit=CREDITS, amount=40, by=alice) is None
    assert held("wallet", seller) == 40


def test_a_member_sees_the_accounts_of_the_own_department_only(buyer, bob, seller, alice, wallet, earned):
    assert [row.department for row in Account.objects.visible_to(bob)] == [buyer]
    assert not Account.objects.visible_to(make_member(role="viewer")).exists()
    assert Account.objects.visible_to(superuser()).filter(kind="external").exists()
