"""How the catalogue is searched, narrowed and sorted; the same by page and API."""

import django_filters as filters

from marketplace.models import (
    AbuseReport,
    Account,
    Catalogue,
    Installation,
    Listing,
    Order,
    Publisher,
    Submission,
)
from marketplace.models.ledger import AccountKind
from marketplace.models.listing import Category, Visibility
from marketplace.models.moderation import ReportState
from marketplace.models.order import ORDER_STATES
from marketplace.models.submission import SubmissionState
from personas.filters import DepartmentChoice, Searchable, ordered_by
from personas.models import Department


def _publishers(request):
    return (
        Publisher.objects.filter(listings__in=Listing.objects.visible_to(request.user)).distinct()
        if request
        else (Publisher.objects.none())
    )


class ListingFilter(Searchable):
    search_fields = ("name", "slug", "summary", "readme", "publisher__name", "publisher__slug")
    category = filters.ChoiceFilter(choices=Category, empty_label="Any")
    publisher = filters.ModelChoiceFilter(queryset=_publishers, empty_label="Any")
    visibility = filters.ChoiceFilter(choices=Visibility, empty_label="Any")
    ordering = ordered_by("name", "publisher__name", "released_at", "installed_in", "updated_at")

    class Meta:
        model = Listing
        fields: list = []


class SubmissionFilter(Searchable):
    search_fields = ("listing__name", "version", "author__username")
    state = filters.ChoiceFilter(choices=SubmissionState, empty_label="Any")
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
    state = filters.ChoiceFilter(choices=ORDER_STATES, empty_label="Any")
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


class AccountFilter(Searchable):
    search_fields = ("department__name", "unit")
    kind = filters.ChoiceFilter(choices=AccountKind, empty_label="Any")
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
    state = filters.ChoiceFilter(choices=ReportState, empty_label="Any")
    ordering = ordered_by("created_at", "listing__name")

    class Meta:
        model = AbuseReport
        fields: list = []
