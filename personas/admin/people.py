"""Users, departments, who belongs to them, and what was done by whom."""

from django.contrib import admin, messages
from django.contrib.auth import admin as auth
from django.contrib.auth.models import Group, User

from personas.admin.base import BY_DEPARTMENT, ReadOnlyAdmin, RowAdmin
from personas.forms.rows import DepartmentForm
from personas.models import ApiToken, AuditEntry, Department, Membership, Role
from personas.services import departments, tokens
from personas.services.access import allows

admin.site.unregister(Group)  # roles are memberships of departments; Django's groups would say nothing
admin.site.unregister(User)


@admin.register(User)
class UserAdmin(auth.UserAdmin):
    """For superusers: who writes users could make himself one."""

    def has_module_permission(self, request, obj=None):
        return request.user.is_active and request.user.is_superuser

    has_view_permission = has_add_permission = has_module_permission
    has_change_permission = has_delete_permission = has_module_permission


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
