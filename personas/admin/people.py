"""Users, departments, who belongs to them, and what was done by whom."""

from copy import copy
from functools import partial

from django.contrib import admin, messages
from django.contrib.auth import admin as auth
from django.contrib.auth.models import Group, User

from personas.admin.base import BY_DEPARTMENT, ByTrail, ReadOnlyAdmin, RowAdmin, Told
from personas.forms.passwords import PasswordForm
from personas.forms.rows import DepartmentForm
from personas.models import ApiToken, AuditEntry, Department, Membership, Role
from personas.services import departments, tokens, users
from personas.services.access import allows

admin.site.unregister(Group)  # roles are memberships of departments; Django's groups would say nothing
admin.site.unregister(User)


@admin.register(User)
class UserAdmin(ByTrail, Told, auth.UserAdmin):
    """For superusers: who writes users could make himself one."""

    fieldsets = [
        (None, {"fields": ["username", "password"]}),
        ("Personal info", {"fields": ["first_name", "last_name", "email"]}),
        ("Permissions", {"fields": ["is_active", "is_staff", "is_superuser"]}),
        ("Important dates", {"fields": ["last_login", "date_joined"]}),
    ]
    readonly_fields = ["last_login", "date_joined"]
    list_filter = ["is_staff", "is_superuser", "is_active"]
    filter_horizontal = []
    actions = None  # a bulk deletion would go around the service

    def has_module_permission(self, request, obj=None):
        return request.user.is_active and request.user.is_superuser

    has_view_permission = has_add_permission = has_module_permission
    has_change_permission = has_delete_permission = has_module_permission

    def save_model(self, request, obj, form, change):
        save = users.user_update if change else users.user_create
        save(user=obj, by=request.user)

    def user_change_password(self, request, id, form_url=""):
        asked = copy(self)  # one for each request, because its form knows who asks
        asked.change_password_form = partial(PasswordForm, by=request.user)
        return super(UserAdmin, asked).user_change_password(request, id, form_url)

    def delete_model(self, request, obj):
        users.user_delete(user=obj, by=request.user)


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
