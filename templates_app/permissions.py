"""Who may ask what computes and stores nothing."""

from personas.permissions import DepartmentPermission


class AskPermission(DepartmentPermission):
    """A POST that writes nothing: whoever may read may ask, by session or with any token."""

    def has_permission(self, request, view):
        return bool(request.user and request.user.is_authenticated) and (
            request.auth is None or bool(request.auth.scopes)
        )
