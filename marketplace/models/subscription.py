"""What is paid for again at the end of each month, until somebody cancels it."""

import uuid

from django.conf import settings
from django.db import models
from django.urls import reverse

from marketplace.domain.subscriptions import SubscriptionState
from marketplace.models.order import price_words
from personas.models.owned import OwnedQuerySet

SUBSCRIPTION_STATES = [
    (SubscriptionState.RENEWING.value, "Renews by itself"),
    (SubscriptionState.ENDING.value, "Cancelled, still paid"),
    (SubscriptionState.GRACE.value, "Not paid, in grace"),
    (SubscriptionState.LAPSED.value, "Lapsed"),
    (SubscriptionState.ENDED.value, "Ended"),
]


class Subscription(models.Model):
    """One of each department and listing. `terms` is the order whose price holds for it: a price that the publisher
    changes later is for new orders. How long it is paid for is told by the orders in force, not kept here."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    department = models.ForeignKey("personas.Department", models.PROTECT, related_name="subscriptions")
    listing = models.ForeignKey("marketplace.Listing", models.PROTECT, related_name="subscriptions")
    entitlement = models.OneToOneField("marketplace.Entitlement", models.PROTECT, related_name="subscription")
    terms = models.ForeignKey("marketplace.Order", models.PROTECT, related_name="+")
    state = models.CharField(
        max_length=8, choices=SUBSCRIPTION_STATES, default=SubscriptionState.RENEWING, db_index=True
    )
    problem = models.CharField(max_length=300, blank=True, help_text="Why it could not be paid for.")
    started_at = models.DateTimeField(auto_now_add=True)
    cancelled_at = models.DateTimeField(null=True)
    cancelled_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")

    objects = OwnedQuerySet.as_manager()

    class Meta:
        ordering = ["-started_at"]
        constraints = [
            models.UniqueConstraint(fields=["department", "listing"], name="one_subscription_per_listing")
        ]

    def __str__(self):
        return f"{self.listing} for {self.department}"

    def get_absolute_url(self):
        return reverse("marketplace:subscription_list")

    @property
    def price_words(self) -> str:
        return price_words(self.terms)

    @property
    def renews(self) -> bool:
        return self.state in (SubscriptionState.RENEWING, SubscriptionState.GRACE)

    @property
    def may_be_kept(self) -> bool:
        return self.state == SubscriptionState.ENDING
