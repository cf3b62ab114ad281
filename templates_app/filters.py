"""How templates are searched, narrowed and sorted; the same by page and API."""

import django_filters as filters

from personas.filters import ArchivableFilter, ordered_by
from personas.models import Persona
from templates_app.models import MigrationTemplate
from templates_app.models.template import SourceKind, TargetKind


def _visible_personas(request):
    return Persona.objects.visible_to(request.user) if request else Persona.objects.none()


class TemplateFilter(ArchivableFilter):
    persona = filters.ModelChoiceFilter(queryset=_visible_personas)
    source_kind = filters.ChoiceFilter(choices=SourceKind, label="Source")
    target_kind = filters.ChoiceFilter(choices=TargetKind, label="Target")
    ordering = ordered_by("name", "department__name", "persona__name", "updated_at", "created_at")

    class Meta:
        model = MigrationTemplate
        fields: list = []
