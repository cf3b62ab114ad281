"""The analyzer's rows for the administrator: sources are written through the services, the rest is read."""

from django.contrib import admin

from analyzer.models import (
    Disk,
    Feedback,
    Recommendation,
    Scan,
    SoftwareName,
    SourceEndpoint,
    SuggestionOutcome,
    UsageSeries,
    VirtualMachine,
    VMPersona,
)
from analyzer.services.software_names import (
    software_name_create,
    software_name_delete,
    software_name_update,
)
from analyzer.services.sources import source_create, source_delete, source_update
from analyzer.services.vm_personas import vm_persona_assign, vm_persona_unassign
from personas.admin.base import BY_DEPARTMENT, ByService, ReadOnly, ReadOnlyAdmin
from personas.models import Role
from personas.services.access import allows


@admin.register(SourceEndpoint)
class SourceAdmin(ByService):
    list_display = ["name", "kind", "location", "department", "discovered_at"]
    list_filter = [BY_DEPARTMENT, "kind"]
    search_fields = ["name", "location"]
    readonly_fields = ["discovered_at", "discovery_error", "discovery_report"]

    def get_readonly_fields(self, request, obj=None):
        return [*self.readonly_fields, *(["department", "kind"] if obj else [])]

    def save_model(self, request, obj, form, change):
        if change:
            values = {"name": obj.name, "location": obj.location, "rescan": obj.rescan}
            saved = source_update(source=obj, by=request.user, **values)
        else:
            saved = source_create(
                name=obj.name,
                location=obj.location,
                department=obj.department,
                kind=obj.kind,
                rescan=obj.rescan,
                by=request.user,
            )
        obj.pk, obj.location = saved.pk, saved.location

    def delete_model(self, request, obj):
        source_delete(source=obj, by=request.user)


class DiskInline(ReadOnly, admin.TabularInline):
    model = Disk


@admin.register(VirtualMachine)
class VirtualMachineAdmin(ReadOnlyAdmin):
    list_display = ["name", "os_id", "os_version", "department", "source", "missing_since"]
    list_filter = [BY_DEPARTMENT, "os_id"]
    search_fields = ["name", "hostname", "external_id"]
    inlines = [DiskInline]


@admin.register(VMPersona)
class VMPersonaAdmin(ByService):
    list_display = ["vm", "persona", "use_case", "priority"]
    search_fields = ["vm__name", "persona__name"]
    role = Role.OPERATOR

    def _writable(self, request, obj):
        return allows(by=request.user, department=obj.vm.department, role=self.role)

    def get_readonly_fields(self, request, obj=None):
        return ["vm", "persona", "use_case"] if obj else []

    def save_model(self, request, obj, form, change):
        saved = vm_persona_assign(
            vm=obj.vm, persona=obj.persona, use_case=obj.use_case, priority=obj.priority, by=request.user
        )
        obj.pk = saved.pk

    def delete_model(self, request, obj):
        vm_persona_unassign(vm_persona=obj, by=request.user)


@admin.register(SoftwareName)
class SoftwareNameAdmin(ByService):
    list_display = ["name", "means", "department"]
    list_filter = [BY_DEPARTMENT]
    search_fields = ["name", "means"]

    def get_readonly_fields(self, request, obj=None):
        return ["department"] if obj else []

    def save_model(self, request, obj, form, change):
        values = {"name": obj.name, "means": obj.means}
        if change:
            software_name_update(row=obj, by=request.user, **values)
        else:
            obj.pk = software_name_create(department=obj.department, by=request.user, **values).pk

    def delete_model(self, request, obj):
        software_name_delete(row=obj, by=request.user)


@admin.register(Scan)
class ScanAdmin(ReadOnlyAdmin):
    list_display = ["vm", "state", "coverage_stars", "attempt", "created_at", "finished_at"]
    list_filter = ["state"]
    search_fields = ["vm__name"]


@admin.register(Recommendation)
class RecommendationAdmin(ReadOnlyAdmin):
    list_display = ["vm", "persona", "score", "state", "model_version", "created_at"]
    list_filter = ["state", "model_version"]
    search_fields = ["vm__name"]


@admin.register(Feedback)
class FeedbackAdmin(ReadOnlyAdmin):
    list_display = ["vm", "verdict", "persona", "reason", "by", "created_at"]
    list_filter = ["verdict"]


@admin.register(SuggestionOutcome)
class SuggestionOutcomeAdmin(ReadOnlyAdmin):
    list_display = ["vm", "persona", "kind", "ended_at", "taught_at"]
    list_filter = ["kind"]
    search_fields = ["vm__name"]


@admin.register(UsageSeries)
class UsageSeriesAdmin(ReadOnlyAdmin):
    list_display = ["vm", "metric", "day", "step_s"]
    list_filter = ["metric"]
    search_fields = ["vm__name"]
