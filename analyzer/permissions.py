"""Roles of the analyzer's endpoints; the services ask again, with the department at hand."""

from personas.models import Role
from personas.models.token import Scope


class OperatorWrites:
    """Mixin: operators do the daily work (discover, scan, answer, push usage)."""

    write_role = Role.OPERATOR
    write_scope = Scope.WRITE
