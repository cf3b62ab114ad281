"""How the catalogue is searched, narrowed and sorted; the same by page and API."""

from functools import cached_property, partial
from uuid import UUID

import django_filters as filters
from django import forms
from django.db import connection
from django.db.models import Q

from marketplace.domain.orders import PriceKind
from marketplace.models import (
    AbuseReport,
    Account,
    Catalogue,
    Installation,
    Listing,
    Order,
    Price,
    Publisher,
    Release,
    Submission,
    Subscription,
    Takedown,
)
from marketplace.models.ledger import AccountKind
from marketplace.models.listing import Category, Visibility
from marketplace.models.moderation import ReportState
from marketplace.models.order import ORDER_STATES
from marketplace.models.submission import SubmissionState
from marketplace.models.subscription import SUBSCRIPTION_STATES
from marketplace.services.catalogue import Facets, facets_of
from marketplace.services.search import listings_searched
from personas.filters import DepartmentChoice, Searchable, ordered_by
from personas.models import Department

FACET_WORDS = {"category": dict(Category.choices), "verified": {"true": "Yes", "false": "No"}}


class Facet(filters.CharFilter):
    """A page offers what there is, with counts (asked when it is shown); any text is understood."""

    def __init__(self, **kwargs):
        super().__init__(widget=forms.Select, **kwargs)


class ListingFilter(Searchable):
    search_fields = ("search_text",)
    category = filters.ChoiceFilter(choices=Category)
    publisher = filters.CharFilter(
        method="is_publishers", max_length=80, label="Publisher", help_text="Id, namespace, or part of a name."
    )
    visibility = filters.ChoiceFilter(choices=Visibility)
    distribution = Facet(lookup_expr="iexact", help_text="os-release ID, as in debian.")
    licence = Facet(
        lookup_expr="icontains", label="Licence", help_text="An SPDX expression, or a part of one."
    )
    price = filters.ChoiceFilter(
        method="price_is", choices=[("free", "Free"), ("priced", "To be bought")], label="Price"
    )
    signed = filters.BooleanFilter(method="is_signed", label="Signed")
    verified = filters.BooleanFilter(
        field_name="publisher__verified_at", lookup_expr="isnull", exclude=True, label="Publisher proven",
        help_text="Here; what another instance tells of its own is its word.",
    )  # fmt: skip
    ordering = ordered_by("name", "publisher__name", "released_at", "installed_in", "updated_at")

    class Meta:
        model = Listing
        fields: list = []

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        for name in Facets._fields:
            self.filters[name].field.widget.choices = partial(self.choices_of, name)

    @cached_property
    def facets(self) -> Facets:
        rows = Listing.objects.visible_to(self.request.user) if self.request else Listing.objects.none()
        return facets_of(rows)

    def choices_of(self, name: str) -> list[tuple[str, str]]:
        """With what was typed by whoever wrote the address by hand."""
        counts, asked, words = getattr(self.facets, name), self.data.get(name), FACET_WORDS.get(name, {})
        typed = [(asked, asked)] if asked and asked not in counts and not words else []
        told = [(each, f"{words.get(each, each)} ({n})") for each, n in counts.items()]
        return [("", "Any"), *typed, *told]

    def search_in(self, queryset, name, value):
        """PostgreSQL: by index, and forgiving (services/search.py). SQLite: each word."""
        if connection.vendor != "postgresql":
            return super().search_in(queryset, name, value)
        return listings_searched(queryset, value)

    def is_publishers(self, queryset, name, value):
        """A page that offered the publishers would list a thousand."""
        try:
            return queryset.filter(publisher=UUID(value))
        except ValueError:
            named = Publisher.objects.filter(Q(slug=value) | Q(name__icontains=value))
            return queryset.filter(publisher__in=named)

    def price_is(self, queryset, name, value):
        priced = Price.objects.current().exclude(kind=PriceKind.FREE).values("listing")
        return queryset.exclude(pk__in=priced) if value == "free" else queryset.filter(pk__in=priced)

    def is_signed(self, queryset, name, value):
        signed = Release.objects.filter(signatures__isnull=False).values("listing")
        return queryset.filter(pk__in=signed) if value else queryset.exclude(pk__in=signed)


class SubmissionFilter(Searchable):
    search_fields = ("listing__name", "version", "author__username")
    state = filters.ChoiceFilter(choices=SubmissionState)
    ordering = ordered_by("created_at", "listing__name")

    class Meta:
        model = Submission
        fields: list = []


class InstallationFilter(Searchable):
    search_fields = ("listing__name", "persona__name", "release__version")
    department = DepartmentChoice()
    ordering = ordered_by("installed_at", "listing__name", "department__name")

    class Meta:
        model = Installation
        fields: list = []


class OrderFilter(Searchable):
    search_fields = ("number", "listing__name", "department__name", "refund_reason")
    state = filters.ChoiceFilter(choices=ORDER_STATES)
    side = filters.ChoiceFilter(
        method="side_is", choices=[("bought", "Bought"), ("sold", "Sold")], empty_label="Both", label="Side"
    )
    ordering = ordered_by("ordered_at", "listing__name", "department__name", "amount")

    class Meta:
        model = Order
        fields: list = []

    def side_is(self, queryset, name, value):
        column = "department" if value == "bought" else "listing__publisher__department"
        return queryset.filter(**{f"{column}__in": Department.objects.visible_to(self.request.user)})


class SubscriptionFilter(Searchable):
    search_fields = ("listing__name", "department__name")
    state = filters.ChoiceFilter(choices=SUBSCRIPTION_STATES)
    department = DepartmentChoice()
    ordering = ordered_by("started_at", "listing__name", "department__name")

    class Meta:
        model = Subscription
        fields: list = []


class AccountFilter(Searchable):
    search_fields = ("department__name", "unit")
    kind = filters.ChoiceFilter(choices=AccountKind)
    department = DepartmentChoice()
    ordering = ordered_by("kind", "department__name", "unit")

    class Meta:
        model = Account
        fields: list = []


class PublisherFilter(Searchable):
    search_fields = ("name", "slug", "description", "domain")
    ordering = ordered_by("name", "created_at")

    class Meta:
        model = Publisher
        fields: list = []


class CatalogueFilter(Searchable):
    search_fields = ("name", "url")
    department = DepartmentChoice()
    ordering = ordered_by("name", "fetched_at")

    class Meta:
        model = Catalogue
        fields: list = []


class ReportFilter(Searchable):
    search_fields = ("listing__name", "text", "outcome")
    state = filters.ChoiceFilter(choices=ReportState)
    ordering = ordered_by("created_at", "listing__name")

    class Meta:
        model = AbuseReport
        fields: list = []


class TakedownFilter(filters.FilterSet):
    appeal = filters.ChoiceFilter(
        method="appeal_is", choices=[("open", "Open"), ("declined", "Declined")], label="Appeal"
    )

    class Meta:
        model = Takedown
        fields: list = []

    def appeal_is(self, queryset, name, value):
        return queryset.appeal_open() if value == "open" else queryset.filter(declined_at__isnull=False)
