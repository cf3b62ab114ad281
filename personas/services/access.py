"""Who may do what. Services ask here, so page, API, admin and command line get the same answer."""

from personas.errors import NotAllowed
from personas.models import Department, Role


def allows(*, by, department: Department | None, role: Role) -> bool:
    """Whether `by` has at least `role` in the department; the organisation's rows (None) are a superuser's."""
    if by.is_superuser:
        return True
    if department is None:
        return False
    return department.memberships.filter(user=by.pk, role__in=Role.at_least(role)).exists()


def require(*, by, department: Department | None, role: Role) -> None:
    """Raises NotAllowed unless `allows`."""
    if allows(by=by, department=department, role=role):
        return
    if department is None:
        raise NotAllowed("This belongs to the whole organisation; only a superuser may change it.")
    raise NotAllowed(f"This needs the role {role.label.lower()} in {department}.")
