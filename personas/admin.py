"""The admin over the same services as the pages: roles are checked, revisions and audit rows are written."""

from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.db import transaction

from personas.errors import Refused
from personas.forms.rows import (
    DepartmentForm,
    DriverSetForm,
    NetworkProfileForm,
    PersonaForm,
    ResourceProfileForm,
    ScriptForm,
    SecretForm,
)
from personas.models import (
    ApiToken,
    AuditEntry,
    Department,
    DriverSet,
    Membership,
    NetworkProfile,
    Persona,
    PersonaRevision,
    ResourceProfile,
    Role,
    Script,
    ScriptRevision,
    Secret,
)
from personas.services import departments, parts, personas, scripts, secrets, tokens
from personas.services.access import allows
from personas.services.rows import row_delete

admin.site.unregister(Group)  # roles are memberships of departments; Django's groups would say nothing


BY_DEPARTMENT = ("department", admin.RelatedOnlyFieldListFilter)
"""Offers the departments of the rows that the reader sees, and no other."""


class ReadOnlyAdmin(admin.ModelAdmin):
    """For what has its own pages, or is history."""

    def get_queryset(self, request):
        return super().get_queryset(request).visible_to(request.user)

    def has_add_permission(self, request):
        return False

    def has_change_permission(self, request, obj=None):
        return False

    def has_delete_permission(self, request, obj=None):
        return False

    def has_view_permission(self, request, obj=None):
        return request.user.is_active and request.user.is_staff


class RowAdmin(admin.ModelAdmin):
    """`create` and `change` are services; who may do what is a question of the role, not of Django's
    permissions, and rows of departments that the reader does not see are not there."""

    list_display = ["name", "slug", "department", "updated_at"]
    list_filter = [BY_DEPARTMENT]
    search_fields = ["name", "slug", "description"]
    actions = None  # a bulk deletion would go around the services

    def get_queryset(self, request):
        return super().get_queryset(request).visible_to(request.user)

    def has_view_permission(self, request, obj=None):
        return request.user.is_active and request.user.is_staff

    def has_add_permission(self, request):
        user = request.user
        mine = user.is_superuser or Department.objects.administered_by(user).exists()
        return mine and self.has_view_permission(request)

    def has_change_permission(self, request, obj=None):
        return self.has_view_permission(request) and (obj is None or self._writable(request, obj))

    has_delete_permission = has_change_permission

    def _writable(self, request, obj) -> bool:
        return allows(by=request.user, department=obj.department, role=Role.ADMIN)

    def get_form(self, request, obj=None, change=False, **kwargs):
        """The page's form, which knows who asks."""

        class Form(self.form):
            def __init__(form, *args, **given):
                super().__init__(*args, user=request.user, **given)

        return Form

    def get_fieldsets(self, request, obj=None):
        shown = self.form(user=request.user, instance=obj or self.model())
        return [(None, {"fields": list(shown.fields)})]

    @transaction.atomic
    def save_model(self, request, obj, form, change):
        try:
            if change:
                row = self.change(
                    obj, by=request.user, expected=form.cleaned_data["version"], **form.values()
                )
            else:
                row = self.create(by=request.user, **form.values())
        except Refused as error:
            raise PermissionDenied(error.message) from error
        obj.pk = row.pk

    def save_related(self, request, form, formsets, change):
        """Nothing besides the row itself."""

    def construct_change_message(self, request, form, formsets, add=False):
        return []  # the audit trail tells it

    def log_addition(self, request, obj, message):
        return None

    def log_change(self, request, obj, message):
        return None

    def get_deleted_objects(self, objs, request):
        """The row itself: its revisions go with it, and whether anything needs it is the service's to say."""
        return [str(row) for row in objs], {}, set(), []

    def delete_view(self, request, object_id, extra_context=None):
        """A refusal is told on the row's own page."""
        try:
            return super().delete_view(request, object_id, extra_context)
        except Refused as error:
            messages.error(request, error.message)
            return self._response_post_save(request, self.get_object(request, object_id))

    def delete_model(self, request, obj):
        row_delete(row=obj, by=request.user)

    def log_deletions(self, request, queryset):
        return None


@admin.register(Persona)
class PersonaAdmin(RowAdmin):
    form = PersonaForm
    list_filter = [BY_DEPARTMENT, ("default_driver_set", admin.RelatedOnlyFieldListFilter)]

    def create(self, **fields):
        return personas.persona_create(**fields)

    def change(self, persona, **fields):
        return personas.persona_update(persona=persona, **fields)


class PartAdmin(RowAdmin):
    def create(self, **fields):
        return parts.part_create(model=self.model, **fields)

    def change(self, part, **fields):
        return parts.part_update(part=part, **fields)


@admin.register(DriverSet)
class DriverSetAdmin(PartAdmin):
    form = DriverSetForm


@admin.register(ResourceProfile)
class ResourceProfileAdmin(PartAdmin):
    form = ResourceProfileForm
    list_display = ["name", "vcpus", "memory_mib", "root_disk_gib", "department"]


@admin.register(NetworkProfile)
class NetworkProfileAdmin(PartAdmin):
    form = NetworkProfileForm


@admin.register(Script)
class ScriptAdmin(RowAdmin):
    form = ScriptForm

    def create(self, **fields):
        return scripts.script_create(**fields)

    def change(self, script, **fields):
        return scripts.script_update(script=script, **fields)


@admin.register(Secret)
class SecretAdmin(RowAdmin):
    form = SecretForm
    list_display = ["name", "slug", "department", "value_changed_at"]

    def create(self, **fields):
        return secrets.secret_create(**fields)

    def change(self, secret, **fields):
        return secrets.secret_update(secret=secret, **fields)


@admin.register(Department)
class DepartmentAdmin(RowAdmin):
    form = DepartmentForm
    list_display = ["name", "slug", "created_at"]
    list_filter = []
    search_fields = ["name", "slug"]

    def has_add_permission(self, request):
        return request.user.is_superuser

    def has_delete_permission(self, request, obj=None):
        return request.user.is_superuser

    def _writable(self, request, obj):
        return allows(by=request.user, department=obj, role=Role.ADMIN)

    def create(self, **fields):
        return departments.department_create(**fields)

    def change(self, department, **fields):
        return departments.department_update(department=department, **fields)

    def delete_model(self, request, obj):
        departments.department_delete(department=obj, by=request.user)


@admin.register(Membership)
class MembershipAdmin(ReadOnlyAdmin):
    """Members are managed on the department's page."""

    list_display = ["user", "department", "role"]
    list_filter = [BY_DEPARTMENT, "role"]

    def get_queryset(self, request):
        mine = Department.objects.visible_to(request.user)
        return Membership.objects.filter(department__in=mine)


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnlyAdmin):
    """One's own tokens; they are made on their page, where the secret is shown. A superuser revokes anybody's."""

    list_display = ["name", "user", "prefix", "created_at", "last_used_at", "revoked_at"]
    exclude = ["secret_sha256"]
    actions = ["revoke"]

    def get_queryset(self, request):
        rows = ApiToken.objects.all()
        return rows if request.user.is_superuser else rows.visible_to(request.user)

    @admin.action(description="Revoke the selected tokens", permissions=["view"])
    def revoke(self, request, queryset):
        for token in queryset:
            tokens.token_revoke(token=token, by=request.user)
        messages.success(request, "Revoked.")


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ["at", "actor_name", "action", "object_type", "object_name", "department"]
    list_filter = ["action", "object_type", BY_DEPARTMENT]
    search_fields = ["actor_name", "object_name", "object_id", "request_id"]
    date_hierarchy = "at"


class RevisionAdmin(ReadOnlyAdmin):
    """Revisions of what the reader sees. `parent` is the foreign key."""

    parent = ""
    list_display = ["__str__", "number", "sha256", "created_by", "created_at"]

    def get_queryset(self, request):
        related = self.model._meta.get_field(self.parent).related_model
        return self.model.objects.filter(**{f"{self.parent}__in": related.objects.visible_to(request.user)})


@admin.register(PersonaRevision)
class PersonaRevisionAdmin(RevisionAdmin):
    parent = "persona"


@admin.register(ScriptRevision)
class ScriptRevisionAdmin(RevisionAdmin):
    parent = "script"
