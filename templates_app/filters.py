"""How templates are searched, narrowed and sorted; the same by page and API."""

import django_filters
from django.db.models import Q

from personas.models import Department, Persona
from templates_app.models import MigrationTemplate
from templates_app.models.template import SourceKind, TargetKind


def departments_of(request):
    return Department.objects.visible_to(request.user) if request else Department.objects.none()


def personas_of(request):
    return Persona.objects.visible_to(request.user) if request else Persona.objects.none()


class TemplateFilter(django_filters.FilterSet):
    search = django_filters.CharFilter(method="matching", label="Search")
    department = django_filters.ModelChoiceFilter(queryset=departments_of)
    persona = django_filters.ModelChoiceFilter(queryset=personas_of)
    source_kind = django_filters.ChoiceFilter(choices=SourceKind, label="Source")
    target_kind = django_filters.ChoiceFilter(choices=TargetKind, label="Target")
    state = django_filters.ChoiceFilter(
        choices=[("active", "Active"), ("archived", "Archived")], method="in_state", label="State"
    )
    ordering = django_filters.OrderingFilter(
        fields=["name", "department__name", "persona__name", "updated_at", "created_at"], label="Order"
    )

    class Meta:
        model = MigrationTemplate
        fields: list = []

    def matching(self, rows, name, value):
        return rows.filter(
            Q(name__icontains=value) | Q(slug__icontains=value) | Q(description__icontains=value)
        )

    def in_state(self, rows, name, value):
        return rows.filter(archived_at__isnull=value == "active")
