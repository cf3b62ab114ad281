"""Roles of the analyzer's endpoints and pages; the services ask again, with the department at hand."""

from personas.errors import NotAllowed
from personas.models import Department, Role
from personas.models.token import Scope
from personas.services.access import require


class OperatorWrites:
    """Mixin: operators do the daily work (discover, scan, answer, push usage)."""

    write_role = Role.OPERATOR
    write_scope = Scope.WRITE


def may(user, department: Department | None, role: Role) -> bool:
    """Whether a page shows a button; the answer that counts is the service's."""
    try:
        require(by=user, department=department, role=role)
    except NotAllowed:
        return False
    return True
