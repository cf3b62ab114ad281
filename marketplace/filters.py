"""How the catalogue is searched, narrowed and sorted; the same by page and API."""

import django_filters as filters

from marketplace.models import Installation, Listing, Publisher, Submission
from marketplace.models.listing import Category, Visibility
from marketplace.models.submission import SubmissionState
from personas.filters import DepartmentChoice, Searchable, ordered_by


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
