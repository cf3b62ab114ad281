"""The marketplace in the admin: to look at; what changes goes through its pages and API."""

from django.contrib import admin

from marketplace.domain.money import money_words
from marketplace.models import (
    Account,
    Entitlement,
    Installation,
    Listing,
    Movement,
    Order,
    Payout,
    Publisher,
    Release,
    Subscription,
)
from marketplace.services.ledger import balance_of
from personas.admin.base import ReadOnlyAdmin


@admin.register(Publisher)
class PublisherAdmin(ReadOnlyAdmin):
    list_display = ["name", "slug", "department", "created_at"]


@admin.register(Listing)
class ListingAdmin(ReadOnlyAdmin):
    list_display = ["name", "publisher", "category", "visibility", "updated_at"]
    list_filter = ["category", "visibility"]


@admin.register(Release)
class ReleaseAdmin(ReadOnlyAdmin):
    list_display = ["listing", "version", "licence", "published_at", "yanked_at"]
    exclude = ["bundle"]


@admin.register(Installation)
class InstallationAdmin(ReadOnlyAdmin):
    list_display = ["listing", "release", "department", "installed_at"]


@admin.register(Order)
class OrderAdmin(ReadOnlyAdmin):
    list_display = ["number", "listing", "department", "amount_words", "provider", "state", "ordered_at"]
    list_filter = ["state", "provider", "kind"]
    list_select_related = ["listing", "department"]
    search_fields = ["number", "reference", "listing__name"]


@admin.register(Entitlement)
class EntitlementAdmin(ReadOnlyAdmin):
    list_display = ["listing", "department", "is_trial", "runs_left", "expires_at", "refusal"]
    list_filter = ["is_trial"]
    list_select_related = ["listing", "department", "allowance"]

    @admin.display(description="runs left")
    def runs_left(self, row):
        return "any number" if row.allowance.runs_left is None else row.allowance.runs_left

    @admin.display(description="until")
    def expires_at(self, row):
        return row.allowance.expires_at

    @admin.display(description="why it does not run")
    def refusal(self, row):
        return row.allowance.refusal


@admin.register(Subscription)
class SubscriptionAdmin(ReadOnlyAdmin):
    list_display = ["listing", "department", "state", "price_words", "started_at", "problem"]
    list_filter = ["state"]
    list_select_related = ["listing", "department", "terms"]


@admin.register(Account)
class AccountAdmin(ReadOnlyAdmin):
    list_display = ["__str__", "kind", "unit", "department", "holds"]
    list_filter = ["kind", "unit"]
    list_select_related = ["department"]

    @admin.display
    def holds(self, account):
        return money_words(balance_of(account), account.unit)


@admin.register(Movement)
class MovementAdmin(ReadOnlyAdmin):
    list_display = ["at", "kind", "source", "destination", "amount_words", "order", "memo"]
    list_filter = ["kind", "unit"]
    list_select_related = ["source__department", "destination__department", "order"]
    date_hierarchy = "at"


@admin.register(Payout)
class PayoutAdmin(ReadOnlyAdmin):
    list_display = ["department", "amount_words", "state", "requested_at", "settled_at", "reference"]
    list_filter = ["state"]
    list_select_related = ["department"]
