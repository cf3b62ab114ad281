"""The admin shows everything of this app that the reader sees elsewhere; steering a run has its own pages, with
confirmation and roles."""

from django.contrib import admin

from migrations_engine.models import (
    CreatedResource,
    Hypervisor,
    MigratedVM,
    MigrationRun,
    RunEvent,
    StepRun,
    TargetEndpoint,
)
from migrations_engine.services import targets
from personas.admin.base import BY_DEPARTMENT, ByService, ReadOnly, ReadOnlyAdmin


class StepInline(ReadOnly, admin.TabularInline):
    model = StepRun
    fields = [
        "order",
        "name",
        "state",
        "attempt",
        "retries",
        "percent",
        "message",
        "started_at",
        "finished_at",
        "error",
    ]
    ordering = ["order"]


class ResourceInline(ReadOnly, admin.TabularInline):
    model = CreatedResource
    fields = readonly_fields = ["kind", "reference", "state", "created_at", "removed_at"]


class EventInline(ReadOnly, admin.TabularInline):
    model = RunEvent
    fields = readonly_fields = ["at", "step", "level", "text"]


@admin.register(MigrationRun)
class MigrationRunAdmin(ReadOnlyAdmin):
    list_display = [
        "vm",
        "persona",
        "template",
        "state",
        "department",
        "created_by",
        "created_at",
        "finished_at",
    ]
    list_filter = ["state", BY_DEPARTMENT]
    search_fields = ["vm__name", "persona__name", "template__name", "root_cause"]
    list_select_related = ["vm", "persona", "template", "department", "created_by"]
    date_hierarchy = "created_at"
    inlines = [StepInline, ResourceInline, EventInline]


@admin.register(MigratedVM)
class MigratedVMAdmin(ReadOnlyAdmin):
    list_display = ["name", "department", "power_state", "created_at", "removed_at"]
    list_filter = ["power_state", BY_DEPARTMENT]
    search_fields = ["name"]


@admin.register(TargetEndpoint)
class TargetEndpointAdmin(ByService):
    list_display = ["name", "kind", "department", "created_at"]
    list_filter = ["kind", BY_DEPARTMENT]
    search_fields = ["name"]

    def get_readonly_fields(self, request, obj=None):
        return ["kind", "department"] if obj else []

    def save_model(self, request, obj, form, change):
        if change:
            stored = TargetEndpoint.objects.get(pk=obj.pk)
            targets.target_update(target=stored, name=obj.name, by=request.user)
            return
        made = targets.target_create(name=obj.name, kind=obj.kind, department=obj.department, by=request.user)
        obj.pk = made.pk

    def delete_model(self, request, obj):
        targets.target_delete(target=obj, by=request.user)


@admin.register(Hypervisor)
class HypervisorAdmin(ReadOnlyAdmin):
    """How a target is reached and what a trial found there; its credential is shown nowhere."""

    list_display = ["target", "address", "pool", "network", "accelerator", "tried_at"]
    list_filter = [("target__department", admin.RelatedOnlyFieldListFilter)]
    search_fields = ["target__name", "address"]
    list_select_related = ["target"]
    fields = [
        "target", "address", "pool", "network", "credential_kind", "pinned_fingerprint", "offered_fingerprint",
        "accelerator", "enforces", "missing", "notes", "tried_at",
    ]  # fmt: skip
    readonly_fields = ["pinned_fingerprint", "offered_fingerprint"]
