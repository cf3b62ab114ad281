"""What lists can be searched, filtered and sorted by: the same classes for the pages and for the API."""

import django_filters as filters
from django import forms
from django.db.models import Q

from personas.models import (
    ApiToken,
    AuditEntry,
    Department,
    DriverSet,
    NetworkProfile,
    Persona,
    ResourceProfile,
    Script,
    Secret,
)


class Day(forms.DateInput):
    input_type = "date"


class Searchable(filters.FilterSet):
    """`search` looks into `search_fields`; subclasses add `ordering = ordered_by(...)`."""

    search_fields = ("name", "slug", "description")
    # each word is another condition, and SQLite takes a thousand of them
    search = filters.CharFilter(label="Search", method="search_in", max_length=200)

    def search_in(self, queryset, name, value):
        for word in value.split():
            any_field = Q()
            for field in self.search_fields:
                any_field |= Q(**{f"{field}__icontains": word})
            queryset = queryset.filter(any_field)
        return queryset


def ordered_by(*fields: str) -> filters.OrderingFilter:
    return filters.OrderingFilter(fields=[(field, field.replace("__", "_")) for field in fields])


class DepartmentChoice(filters.ModelChoiceFilter):
    """Among the departments that the reader sees."""

    def __init__(self, **kwargs):
        kwargs.setdefault("null_label", "The organisation")
        kwargs.setdefault("empty_label", "All departments")
        super().__init__(queryset=_visible_departments, **kwargs)


def _visible_departments(request):
    return Department.objects.visible_to(request.user) if request else Department.objects.none()


class OwnedFilter(Searchable):
    department = DepartmentChoice()
    ordering = ordered_by("name", "updated_at", "created_at", "department__name")


class EndedFilter(filters.ChoiceFilter):
    """By a moment that is empty until the row has ended; `before` and `after` are what it is called until then and
    since."""

    def __init__(self, *, field_name: str, before: str, after: str):
        only = f"false: only what is {before.lower()}; true: only what is {after.lower()}"
        super().__init__(
            field_name=field_name,
            label="State",
            choices=[("false", before), ("true", after), ("any", f"{before} or {after.lower()}")],
            empty_label=None,
            help_text=f"{only}; any, or left out: both",
        )

    def filter(self, qs, value):
        if value not in ("false", "true"):
            return qs
        return qs.filter(**{f"{self.field_name}__isnull": value == "false"})


class ArchivableFilter(OwnedFilter):
    archived = EndedFilter(field_name="archived_at", before="In use", after="Archived")


class PersonaFilter(ArchivableFilter):
    distribution = filters.CharFilter(
        field_name="default_distribution_name", lookup_expr="iexact", label="Distribution"
    )
    driver_set = filters.CharFilter(field_name="default_driver_set__slug", label="Driver set")

    class Meta:
        model = Persona
        fields = ["search", "department", "archived", "distribution", "driver_set"]


class DriverSetFilter(OwnedFilter):
    class Meta:
        model = DriverSet
        fields = ["search", "department"]


class ResourceProfileFilter(OwnedFilter):
    ordering = ordered_by("name", "vcpus", "memory_mib", "root_disk_gib", "updated_at", "department__name")

    class Meta:
        model = ResourceProfile
        fields = ["search", "department"]


class NetworkProfileFilter(OwnedFilter):
    ordering = ordered_by("name", "bandwidth_mbps", "updated_at", "department__name")

    class Meta:
        model = NetworkProfile
        fields = ["search", "department"]


class ScriptFilter(ArchivableFilter):
    class Meta:
        model = Script
        fields = ["search", "department", "archived"]


class SecretFilter(OwnedFilter):
    ordering = ordered_by("name", "value_changed_at", "department__name")

    class Meta:
        model = Secret
        fields = ["search", "department"]


class DepartmentFilter(Searchable):
    search_fields = ("name", "slug")
    ordering = ordered_by("name", "created_at")

    class Meta:
        model = Department
        fields = ["search"]


class TokenFilter(Searchable):
    search_fields = ("name", "prefix")
    revoked = filters.BooleanFilter(
        field_name="revoked_at", lookup_expr="isnull", exclude=True, label="Revoked"
    )
    ordering = ordered_by("name", "created_at", "last_used_at", "expires_at")

    class Meta:
        model = ApiToken
        fields = ["search", "revoked"]


class AuditFilter(Searchable):
    search_fields = ("actor_name", "action", "object_name", "object_id", "request_id")
    actor = filters.CharFilter(field_name="actor_name", lookup_expr="iexact", label="Who")
    action = filters.CharFilter(lookup_expr="istartswith", label="Action begins with")
    object_type = filters.CharFilter(method="of_kind", label="Kind of object")
    object_id = filters.CharFilter(label="Object (id)")
    department = DepartmentChoice()
    since = filters.DateFilter(field_name="at", lookup_expr="date__gte", label="Since", widget=Day())
    until = filters.DateFilter(field_name="at", lookup_expr="date__lte", label="Until", widget=Day())
    ordering = ordered_by("at", "actor_name", "action", "object_name")

    class Meta:
        model = AuditEntry
        fields = ["search", "actor", "action", "object_type", "object_id", "department", "since", "until"]

    def of_kind(self, rows, name, value):
        """In the words that the page shows (virtual machine), or as it is stored (virtualmachine)."""
        return rows.filter(object_type__iexact=value.replace(" ", ""))
