"""What is sold: the price of a listing, an order, and the entitlement that it gives."""

import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.urls import reverse

from marketplace.domain.money import UNITS, money_words
from marketplace.domain.orders import ESCROW_DAYS, OrderState, PriceKind
from marketplace.models.listing import Listing
from personas.models import Department
from personas.models.owned import OwnedQuerySet

PRICE_KINDS = [
    (PriceKind.FREE.value, "Free"),
    (PriceKind.ONE_OFF.value, "Once"),
    (PriceKind.PER_RUN.value, "Per run"),
    (PriceKind.SUBSCRIPTION.value, "Per month"),
]
ORDER_STATES = [(state.value, state.value.capitalize()) for state in OrderState]
PROVIDERS = [("credits", "Credits"), ("invoice", "Invoice"), ("stripe", "Card (Stripe)")]


class Terms(models.Model):
    """What a price says, and what an order keeps of it: a later price changes no order."""

    kind = models.CharField(max_length=12, choices=PRICE_KINDS)
    unit_amount = models.PositiveBigIntegerField(
        default=0, help_text="In the smallest unit: cents, or credits."
    )
    unit = models.CharField(max_length=8, choices=UNITS, default="credits")
    seats = models.PositiveIntegerField(
        null=True, blank=True, help_text="How many machines it is for; empty: any number."
    )
    refund_days = models.PositiveIntegerField(
        default=14, help_text="For so long the buyer gets the money back for the asking."
    )
    promised_runs = models.PositiveIntegerField(
        default=0, help_text="Of the first so many runs … (0: no promise, and no escrow)"
    )
    promised_percent = models.PositiveIntegerField(
        default=0, help_text="… at least so many percent succeed, or the money goes back."
    )

    class Meta:
        abstract = True

    @property
    def escrow_days(self) -> int:
        """How long the money waits for a first success; 0: it does not."""
        return max(ESCROW_DAYS, self.refund_days) if self.promised_runs else 0


class PriceQuerySet(OwnedQuerySet):
    department_path = "listing__publisher__department"

    def visible_to(self, user):
        return self.filter(listing__in=Listing.objects.visible_to(user))

    def current(self):
        return self.filter(replaced_at__isnull=True)


class Price(Terms):
    """The row without `replaced_at` holds; a change is a new row."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    listing = models.ForeignKey("marketplace.Listing", models.PROTECT, related_name="prices")
    trial_runs = models.PositiveIntegerField(default=0, help_text="Runs that a department may try before.")
    set_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    set_at = models.DateTimeField(auto_now_add=True)
    replaced_at = models.DateTimeField(null=True, editable=False)

    objects = PriceQuerySet.as_manager()

    class Meta:
        ordering = ["-set_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["listing"], condition=models.Q(replaced_at__isnull=True), name="one_price_holds"
            ),
            models.CheckConstraint(
                condition=models.Q(kind=PriceKind.FREE) | models.Q(unit_amount__gt=0),
                name="what_is_not_free_costs_something",
            ),
            models.CheckConstraint(
                condition=models.Q(promised_percent__lte=100), name="a_promise_is_at_most_all"
            ),
        ]

    def __str__(self):
        return price_words(self)

    @property
    def department(self):
        return self.listing.publisher.department


def price_words(terms: Terms) -> str:
    """`12.00 EUR per month`"""
    if terms.kind == PriceKind.FREE:
        return "Free"
    per = {PriceKind.ONE_OFF: "once", PriceKind.PER_RUN: "per run", PriceKind.SUBSCRIPTION: "per month"}
    return f"{money_words(terms.unit_amount, terms.unit)} {per[PriceKind(terms.kind)]}"


class EntitlementQuerySet(OwnedQuerySet):
    USED_UP = models.Q(is_trial=True, allowance__runs_left=0)

    def in_force(self, now):
        """Bought runs that are used up still show what was bought; a trial's do not."""
        open_still = models.Q(allowance__expires_at__isnull=True) | models.Q(allowance__expires_at__gt=now)
        return self.filter(open_still, ~self.USED_UP, allowance__refusal="")

    def tried(self):
        """Trials without a run left."""
        return self.filter(self.USED_UP)


class Entitlement(models.Model):
    """A department may install and run a listing. How often, on how many machines and until when stands in `allowance`,
    which its persona carries and the engine spends (personas/models/allowance.py)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    department = models.ForeignKey("personas.Department", models.PROTECT, related_name="entitlements")
    listing = models.ForeignKey("marketplace.Listing", models.PROTECT, related_name="entitlements")
    allowance = models.OneToOneField("personas.RunAllowance", models.PROTECT, related_name="+")
    is_trial = models.BooleanField(default=False)
    trial_at = models.DateTimeField(null=True, help_text="When the trial was taken: there is one.")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = EntitlementQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["department", "listing"], name="one_entitlement_per_listing")
        ]

    def __str__(self):
        return f"{self.listing} for {self.department}"

    def get_absolute_url(self):
        return reverse("marketplace:listing_detail", args=[self.listing_id])


class OrderQuerySet(OwnedQuerySet):
    def visible_to(self, user):
        """Those of one's departments, bought or sold."""
        if not user.is_authenticated or user.is_superuser:
            return super().visible_to(user)
        ours = Department.objects.visible_to(user)
        return self.filter(models.Q(department__in=ours) | models.Q(listing__publisher__department__in=ours))

    def live(self):
        return self.filter(state__in=[OrderState.HELD, OrderState.PAID])


class Order(Terms):
    """`department` buys. `reference` is the provider's name for the payment."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    number = models.CharField(max_length=20, unique=True, editable=False)
    department = models.ForeignKey("personas.Department", models.PROTECT, related_name="orders")
    listing = models.ForeignKey("marketplace.Listing", models.PROTECT, related_name="orders")
    entitlement = models.ForeignKey(Entitlement, models.PROTECT, null=True, related_name="orders")
    quantity = models.PositiveIntegerField(default=1, help_text="Runs or months.")
    amount = models.PositiveBigIntegerField()
    fee_basis_points = models.PositiveIntegerField()
    provider = models.CharField(max_length=12, choices=PROVIDERS)
    reference = models.CharField(max_length=200, blank=True)
    pay_url = models.URLField(max_length=2000, blank=True)
    state = models.CharField(max_length=12, choices=ORDER_STATES, default=OrderState.PENDING, db_index=True)
    renews = models.BooleanField(default=False, help_text="Paid for again each month until it is cancelled.")
    subscription = models.ForeignKey(
        "marketplace.Subscription", models.PROTECT, null=True, editable=False, related_name="orders"
    )
    period_at = models.DateTimeField(
        null=True, editable=False, help_text="The month that a renewal is for begins then."
    )
    replaced_runs = models.PositiveIntegerField(
        default=0, help_text="Runs that were left when this order made them unlimited."
    )
    refund_reason = models.CharField(max_length=200, blank=True)
    refunded_amount = models.PositiveBigIntegerField(default=0)
    refund_problem = models.CharField(
        max_length=200,
        blank=True,
        help_text="Why the money could not be sent back; empty: it could, or is on its way.",
    )
    disputed_at = models.DateTimeField(
        null=True,
        editable=False,
        help_text="Since then the buyer's bank decides whether it keeps the payment.",
    )
    promise_settled_at = models.DateTimeField(null=True)
    idempotency_key = models.CharField(max_length=200, blank=True)
    request_sha256 = models.CharField(max_length=64, blank=True)
    ordered_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    ordered_at = models.DateTimeField(auto_now_add=True)
    paid_at = models.DateTimeField(null=True)
    refunded_at = models.DateTimeField(null=True)

    objects = OrderQuerySet.as_manager()

    class Meta:
        ordering = ["-ordered_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["ordered_by", "idempotency_key"],
                condition=~models.Q(idempotency_key=""),
                name="one_order_per_idempotency_key",
            ),
            models.UniqueConstraint(
                fields=["department", "listing"],
                condition=models.Q(
                    kind=PriceKind.ONE_OFF, state__in=[OrderState.PENDING, OrderState.HELD, OrderState.PAID]
                ),
                name="bought_once_is_bought",
            ),
            models.UniqueConstraint(
                fields=["subscription", "period_at"],
                condition=models.Q(
                    subscription__isnull=False,
                    state__in=[OrderState.PENDING, OrderState.HELD, OrderState.PAID],
                ),
                name="a_month_is_paid_for_once",
            ),
            models.CheckConstraint(
                condition=models.Q(refunded_amount__lte=models.F("amount")), name="no_more_back_than_was_paid"
            ),
        ]

    def __str__(self):
        return f"order {self.number}"

    def get_absolute_url(self):
        return reverse("marketplace:order_detail", args=[self.pk])

    @property
    def amount_words(self) -> str:
        return money_words(self.amount, self.unit)

    @property
    def refunded_words(self) -> str:
        return money_words(self.refunded_amount, self.unit)

    @property
    def price_words(self) -> str:
        return price_words(self)

    @property
    def begins_at(self):
        """What it pays for begins then, unless something that is paid ends later."""
        return self.period_at or self.paid_at

    @property
    def escrow_until(self) -> datetime | None:
        """Then it ends, whatever has been run; None where no money waits."""
        return self.paid_at + timedelta(days=self.escrow_days) if self.state == OrderState.HELD else None

    @property
    def seller(self):
        return self.listing.publisher.department


class PaymentEvent(models.Model):
    """What a provider told us, once each: said again, it changes nothing."""

    provider = models.CharField(max_length=12)
    event_id = models.CharField(max_length=200)
    kind = models.CharField(max_length=80)
    order = models.ForeignKey(Order, models.PROTECT, null=True, related_name="payment_events")
    received_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-received_at"]
        constraints = [
            models.UniqueConstraint(fields=["provider", "event_id"], name="one_payment_event_each")
        ]

    def __str__(self):
        return f"{self.provider} {self.kind}"
