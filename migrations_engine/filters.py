"""How runs, migrated machines and targets are searched, narrowed and sorted; the same by page and API."""

import django_filters as filters
from django import forms

from migrations_engine.domain.states import RunState
from migrations_engine.domain.waves import WaveState
from migrations_engine.models import MigratedVM, MigrationRun, TargetEndpoint, Wave, Webhook
from migrations_engine.models.run import MODES
from personas.filters import DepartmentChoice, EndedFilter, Searchable, ordered_by
from personas.models import Persona
from templates_app.models import MigrationTemplate


def visible(model):
    """For a ModelChoiceFilter: the rows that the reader may see."""
    return lambda request: model.objects.visible_to(request.user) if request else model.objects.none()


class RunFilter(Searchable):
    search_fields = ("vm__name", "template__name", "persona__name", "root_cause")
    state = filters.ChoiceFilter(
        choices=[(s.value, s.value.replace("_", " ").capitalize()) for s in RunState], label="State"
    )
    mode = filters.ChoiceFilter(choices=MODES, label="Kind")
    department = DepartmentChoice()
    persona = filters.ModelChoiceFilter(queryset=visible(Persona))
    template = filters.ModelChoiceFilter(queryset=visible(MigrationTemplate))
    vm = filters.UUIDFilter(field_name="vm_id", label="Machine (id)", widget=forms.HiddenInput)
    ordering = ordered_by("created_at", "finished_at", "state", "vm__name", "template__name", "persona__name")

    class Meta:
        model = MigrationRun
        fields = ["state", "mode", "department", "persona", "template", "vm"]


class MigratedVMFilter(Searchable):
    search_fields = ("name", "run__persona__name", "run__target__name")
    power_state = filters.ChoiceFilter(
        choices=[("on", "On"), ("off", "Off"), ("unknown", "Unknown")], label="Power"
    )
    removed = EndedFilter(field_name="removed_at", before="There", after="Removed")
    department = DepartmentChoice()
    ordering = ordered_by("created_at", "name", "power_state", "run__persona__name")

    class Meta:
        model = MigratedVM
        fields = ["power_state", "removed", "department"]


class TargetFilter(Searchable):
    search_fields = ("name",)
    department = DepartmentChoice()
    ordering = ordered_by("name", "created_at")

    class Meta:
        model = TargetEndpoint
        fields = ["department"]


class WaveFilter(Searchable):
    search_fields = ("name", "description")
    state = filters.ChoiceFilter(choices=[(s.value, s.value.capitalize()) for s in WaveState], label="State")
    department = DepartmentChoice()
    ordering = ordered_by("created_at", "name", "state", "started_at")

    class Meta:
        model = Wave
        fields = ["state", "department"]


class WebhookFilter(Searchable):
    search_fields = ("name", "url")
    department = DepartmentChoice()
    is_enabled = filters.BooleanFilter(label="Enabled")
    ordering = ordered_by("name", "created_at")

    class Meta:
        model = Webhook
        fields = ["department", "is_enabled"]
