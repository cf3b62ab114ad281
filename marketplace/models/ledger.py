"""The ledger: accounts, and movements from one to another. A movement that does not balance cannot be written."""

import uuid

from django.conf import settings
from django.db import models
from django.urls import reverse

from marketplace.domain.money import UNITS, money_words
from personas.models.owned import OwnedQuerySet


class AccountKind(models.TextChoices):
    WALLET = "wallet", "Wallet"
    EARNINGS = "earnings", "Earnings"
    PAYABLE = "payable", "Payout on its way"
    ESCROW = "escrow", "Escrow of an order"
    FEE = "fee", "Fees of the platform"
    EXTERNAL = "external", "Outside"


class AccountQuerySet(OwnedQuerySet):
    def visible_to(self, user):
        """A department's accounts are its members'; those of the platform, a superuser's."""
        rows = super().visible_to(user)
        return rows if user.is_superuser else rows.filter(department__isnull=False)


class Account(models.Model):
    """`key` names it once and for all, so that two who need it at once make one. It has no balance: that is the sum of
    its movements (marketplace/services/ledger.py)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    key = models.CharField(max_length=100, unique=True, editable=False)
    kind = models.CharField(max_length=8, choices=AccountKind)
    unit = models.CharField(max_length=8, choices=UNITS)
    department = models.ForeignKey("personas.Department", models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = AccountQuerySet.as_manager()

    class Meta:
        ordering = ["kind", "key"]

    def __str__(self):
        return f"{self.get_kind_display()}{f' of {self.department}' if self.department else ''} ({self.unit})"

    def get_absolute_url(self):
        return reverse("marketplace:account_detail", args=[self.pk])


class MovementKind(models.TextChoices):
    GRANT = "grant", "Grant"
    WITHDRAWAL = "withdrawal", "Grant taken back"
    TRANSFER = "transfer", "Transfer"
    PAYMENT = "payment", "Payment"
    CAPTURE = "capture", "Earned"
    FEE = "fee", "Fee"
    REVERSAL = "reversal", "Earning reversed"
    FEE_REVERSAL = "fee_reversal", "Fee reversed"
    REFUND = "refund", "Refund"
    REFUND_FAILED = "refund_failed", "Refund came back"
    CHARGEBACK = "chargeback", "Taken back by the bank"
    PAYOUT = "payout", "Payout asked for"
    PAID_OUT = "paid_out", "Paid out"
    PAYOUT_REFUSED = "payout_refused", "Payout refused"


class Immutable(TypeError):
    """What has been booked is corrected by another movement."""


class MovementQuerySet(models.QuerySet):
    def visible_to(self, user):
        """Those of the accounts that one sees."""
        accounts = Account.objects.visible_to(user)
        return self.filter(models.Q(source__in=accounts) | models.Q(destination__in=accounts))


class Movement(models.Model):
    """`amount` leaves `source` and arrives at `destination`: both entries are one row, so they are equal. Triggers
    (ledger_trigger.py) refuse a change, another unit, and a wallet or an escrow below zero."""

    at = models.DateTimeField(db_index=True)
    kind = models.CharField(max_length=16, choices=MovementKind)
    source = models.ForeignKey(Account, models.PROTECT, related_name="outgoing")
    destination = models.ForeignKey(Account, models.PROTECT, related_name="incoming")
    amount = models.BigIntegerField()
    unit = models.CharField(max_length=8)
    order = models.ForeignKey("marketplace.Order", models.PROTECT, null=True, related_name="movements")
    memo = models.CharField(max_length=200, blank=True)
    booked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.DO_NOTHING, null=True, related_name="+", db_constraint=False
    )

    objects = MovementQuerySet.as_manager()

    class Meta:
        ordering = ["at", "id"]
        constraints = [
            models.CheckConstraint(condition=models.Q(amount__gt=0), name="a_movement_moves_something"),
            models.CheckConstraint(
                condition=~models.Q(source=models.F("destination")), name="a_movement_has_two_accounts"
            ),
            models.UniqueConstraint(
                fields=["order", "kind"],
                # a refund that came back is sent again: the escrow, never below zero, holds it to once; what a bank
                # takes comes from several accounts, each dispute once (PaymentEvent)
                condition=models.Q(order__isnull=False)
                & ~models.Q(kind__in=["refund", "refund_failed", "chargeback"]),
                name="an_order_moves_money_once_of_each_kind",
            ),
        ]

    def __str__(self):
        return f"{self.kind} {self.amount} {self.unit}"

    def save(self, *args, **kwargs):
        if not self._state.adding:
            raise Immutable("A movement never changes; book another one.")
        super().save(*args, **kwargs)

    def delete(self, *args, **kwargs):
        raise Immutable("A movement is never deleted; book the way back.")

    @property
    def amount_words(self) -> str:
        return money_words(self.amount, self.unit)


class FeeRate(models.Model):
    """What the platform takes of a sale; the newest row holds for new orders."""

    basis_points = models.PositiveIntegerField(help_text="Hundredths of a percent: 250 are 2.5 %.")
    set_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    set_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-set_at", "-id"]
        constraints = [
            models.CheckConstraint(condition=models.Q(basis_points__lte=10_000), name="a_fee_is_at_most_all")
        ]

    def __str__(self):
        return f"{self.basis_points} bp"


class Budget(models.Model):
    """The most that a department spends in one calendar month (UTC) in one unit; without a row: what it has."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    department = models.ForeignKey("personas.Department", models.CASCADE, related_name="+")
    unit = models.CharField(max_length=8, choices=UNITS)
    monthly_amount = models.PositiveBigIntegerField()

    objects = OwnedQuerySet.as_manager()

    class Meta:
        ordering = ["department", "unit"]
        constraints = [models.UniqueConstraint(fields=["department", "unit"], name="one_budget_per_unit")]

    def __str__(self):
        return f"budget of {self.department} in {self.unit}"

    @property
    def amount_words(self) -> str:
        return money_words(self.monthly_amount, self.unit)


class PayoutState(models.TextChoices):
    REQUESTED = "requested", "Asked for"
    PAID = "paid", "Paid"
    REFUSED = "refused", "Refused"


class Payout(models.Model):
    """Earnings on their way to the publisher's bank; a superuser says when they have left."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    department = models.ForeignKey("personas.Department", models.PROTECT, related_name="+")
    unit = models.CharField(max_length=8, choices=UNITS)
    amount = models.PositiveBigIntegerField()
    state = models.CharField(max_length=10, choices=PayoutState, default=PayoutState.REQUESTED)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    requested_at = models.DateTimeField(auto_now_add=True)
    settled_at = models.DateTimeField(null=True)
    reference = models.CharField(max_length=120, blank=True)

    objects = OwnedQuerySet.as_manager()

    class Meta:
        ordering = ["-requested_at"]

    def __str__(self):
        return f"payout to {self.department}"

    @property
    def amount_words(self) -> str:
        return money_words(self.amount, self.unit)
