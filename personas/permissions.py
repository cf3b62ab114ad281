"""What the API lets through before a service decides: login, the token's scopes, the role for writing."""

from rest_framework.permissions import SAFE_METHODS, IsAuthenticated

from personas.models import Department, Role
from personas.models.token import Scope


class DepartmentPermission(IsAuthenticated):
    """A view says `write_role` (default admin) and `write_scope` (default write). Rows a user may not see are 404
    by the queryset; a row seen but not writable is 403."""

    message = "Your role does not allow this."

    def has_permission(self, request, view):
        if not super().has_permission(request, view):
            return False
        if not self._scope_allows(request, view):
            self.message = f"The token lacks the scope {self._scope(view).value}."
            return False
        if request.method in SAFE_METHODS or request.user.is_superuser:
            return True
        return (
            Department.objects.visible_to(request.user)
            .filter(memberships__user=request.user, memberships__role__in=Role.at_least(self._role(view)))
            .exists()
        )

    def has_object_permission(self, request, view, obj):
        if request.method in SAFE_METHODS or request.user.is_superuser:
            return True
        if obj._meta.model is Department:
            return Department.objects.administered_by(request.user).filter(pk=obj.pk).exists()
        department = self._department(obj)
        return (
            department is not None
            and department.memberships.filter(
                user=request.user, role__in=Role.at_least(self._role(view))
            ).exists()
        )

    @staticmethod
    def _role(view) -> Role:
        return getattr(view, "write_role", Role.ADMIN)

    @staticmethod
    def _department(obj):
        path = getattr(type(obj)._default_manager.all(), "department_path", "department")
        for name in path.split("__"):
            obj = getattr(obj, name)
        return obj

    @staticmethod
    def _scope_allows(request, view) -> bool:
        if request.auth is None:
            return True
        scopes = set(request.auth.scopes)
        if request.method in SAFE_METHODS:
            return bool(scopes)
        return DepartmentPermission._scope(view) in scopes

    @staticmethod
    def _scope(view) -> Scope:
        return getattr(view, "write_scope", Scope.WRITE)


class OwnTokensPermission(IsAuthenticated):
    """Everyone has tokens of his own, whatever his role; a token needs the scope write to revoke one."""

    def has_permission(self, request, view):
        return super().has_permission(request, view) and DepartmentPermission._scope_allows(request, view)
