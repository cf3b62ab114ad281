"""Who may do what. Services ask here, so page, API, admin and command line get the same answer."""

from personas.errors import NotAllowed
from personas.models import Department, Role


def require(*, by, department: Department | None, role: Role) -> None:
    """Raises NotAllowed unless `by` has at least `role` in the department; the organisation's rows (None) are a
    superuser's."""
    if by.is_superuser:
        return
    if department is None:
        raise NotAllowed("This belongs to the whole organisation; only a superuser may change it.")
    if not Department.objects.filter(
        pk=department.pk, memberships__user=by, memberships__role__in=Role.at_least(role)
    ).exists():
        raise NotAllowed(f"This needs the role {role.label.lower()} in {department}.")
