"""What every admin of the product has: rows of the reader's departments, roles instead of Django's permissions."""

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import HttpResponseRedirect

from personas.errors import Refused
from personas.models import Department, Role
from personas.services.access import allows
from personas.services.rows import row_delete

BY_DEPARTMENT = ("department", admin.RelatedOnlyFieldListFilter)
"""Offers the departments of the rows that the reader sees, and no other."""


class Scoped:
    """Rows that the reader does not see are not there: neither in lists and pages, nor to be chosen."""

    def get_queryset(self, request):
        return super().get_queryset(request).visible_to(request.user)

    def get_field_queryset(self, db, db_field, request):
        rows = super().get_field_queryset(db, db_field, request)
        rows = db_field.remote_field.model._default_manager.all() if rows is None else rows
        return rows.visible_to(request.user) if hasattr(rows, "visible_to") else rows.none()


class ForStaff:
    """Who may look at what is a question of the department, not of Django's permissions."""

    def has_module_permission(self, request):
        return self.has_view_permission(request)

    def has_view_permission(self, request, obj=None):
        return request.user.is_active and request.user.is_staff


class ReadOnly(ForStaff):
    """For what has its own pages, or is history: to be looked at, never to be changed behind their back."""

    def has_add_permission(self, request, obj=None):
        return False

    def has_change_permission(self, request, obj=None):
        return False

    def has_delete_permission(self, request, obj=None):
        return False


class ReadOnlyAdmin(Scoped, ReadOnly, admin.ModelAdmin):
    pass


class ByRole(Scoped, ForStaff):
    """Who may change what is a question of the role."""

    role = Role.ADMIN
    actions = None  # a bulk deletion would go around the services

    def has_add_permission(self, request):
        user = request.user
        mine = user.is_superuser or Department.objects.with_role(user, self.role).exists()
        return mine and self.has_view_permission(request)

    def has_change_permission(self, request, obj=None):
        return self.has_view_permission(request) and (obj is None or self._writable(request, obj))

    has_delete_permission = has_change_permission

    def _writable(self, request, obj) -> bool:
        return allows(by=request.user, department=obj.department, role=self.role)


class Told:
    """What a service refuses is told on top of the form."""

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


class ByService(Told, ByRole, admin.ModelAdmin):
    """Written through the services, in Django's own form."""


class ByTrail:
    """The audit trail tells what was done, and the service what is in the way: Django says neither again."""

    def construct_change_message(self, request, form, formsets, add=False):
        return []

    def log_addition(self, request, obj, message):
        return None

    def log_change(self, request, obj, message):
        return None

    def log_deletions(self, request, queryset):
        return None

    def get_deleted_objects(self, objs, request):
        """The row itself: what is its own goes with it, and whether anything needs it is the service's to say."""
        return [str(row) for row in objs], {}, set(), []


class RowAdmin(ByTrail, ByRole, admin.ModelAdmin):
    """A row with a name, written in the page's form; `create` and `change` are services."""

    list_display = ["name", "slug", "department", "updated_at"]
    list_filter = [BY_DEPARTMENT]
    search_fields = ["name", "slug", "description"]

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

    def delete_view(self, request, object_id, extra_context=None):
        """A refusal is told on the row's own page."""
        try:
            return super().delete_view(request, object_id, extra_context)
        except Refused as error:
            messages.error(request, error.message)
            return self._response_post_save(request, self.get_object(request, object_id))

    def delete_model(self, request, obj):
        row_delete(row=obj, by=request.user)
