"""The analyzer's rows for the administrator: sources are written through the services, the rest is read."""

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.http import HttpResponseRedirect

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
from personas.errors import Refused


class ReadOnly(admin.ModelAdmin):
    """What the product itself writes: to be looked at, never to be changed behind its back."""

    def has_add_permission(self, request, obj=None):
        return False

    def has_change_permission(self, request, obj=None):
        return False

    def has_delete_permission(self, request, obj=None):
        return False


class ByService(admin.ModelAdmin):
    """Written through the services; what they refuse is told on top of the form."""

    actions = None  # deleting many at once would pass the service by

    def changeform_view(self, request, *args, **kwargs):
        return self._told(request, super().changeform_view, *args, **kwargs)

    def delete_view(self, request, *args, **kwargs):
        return self._told(request, super().delete_view, *args, **kwargs)

    def _told(self, request, view, *args, **kwargs):
        try:
            return view(request, *args, **kwargs)
        except Refused as error:
            self.message_user(request, error.message, messages.ERROR)
        except ValidationError as error:
            self.message_user(request, " ".join(error.messages), messages.ERROR)
        return HttpResponseRedirect(request.path)


@admin.register(SourceEndpoint)
class SourceAdmin(ByService):
    list_display = ["name", "kind", "location", "department", "discovered_at"]
    list_filter = [("department", admin.RelatedOnlyFieldListFilter), "kind"]
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


class DiskInline(admin.TabularInline):
    model = Disk
    extra = 0
    can_delete = False

    def has_add_permission(self, request, obj=None):
        return False

    def has_change_permission(self, request, obj=None):
        return False


@admin.register(VirtualMachine)
class VirtualMachineAdmin(ReadOnly):
    list_display = ["name", "os_id", "os_version", "department", "source", "missing_since"]
    list_filter = [("department", admin.RelatedOnlyFieldListFilter), "os_id"]
    search_fields = ["name", "hostname", "external_id"]
    inlines = [DiskInline]


@admin.register(VMPersona)
class VMPersonaAdmin(ByService):
    list_display = ["vm", "persona", "use_case", "priority"]
    search_fields = ["vm__name", "persona__name"]

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
    list_filter = [("department", admin.RelatedOnlyFieldListFilter)]
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
class ScanAdmin(ReadOnly):
    list_display = ["vm", "state", "coverage_stars", "attempt", "created_at", "finished_at"]
    list_filter = ["state"]
    search_fields = ["vm__name"]


@admin.register(Recommendation)
class RecommendationAdmin(ReadOnly):
    list_display = ["vm", "persona", "score", "state", "model_version", "created_at"]
    list_filter = ["state", "model_version"]
    search_fields = ["vm__name"]


@admin.register(Feedback)
class FeedbackAdmin(ReadOnly):
    list_display = ["vm", "verdict", "persona", "reason", "by", "created_at"]
    list_filter = ["verdict"]


@admin.register(SuggestionOutcome)
class SuggestionOutcomeAdmin(ReadOnly):
    list_display = ["vm", "persona", "kind", "ended_at", "taught_at"]
    list_filter = ["kind"]
    search_fields = ["vm__name"]


@admin.register(UsageSeries)
class UsageSeriesAdmin(ReadOnly):
    list_display = ["vm", "metric", "day", "step_s"]
    list_filter = ["metric"]
    search_fields = ["vm__name"]
