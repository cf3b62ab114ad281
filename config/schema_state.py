"""Whether the database has the tables of this code."""

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

FIRST = "First run: python3 manage.py quickstart (or, on a database of your own, python3 manage.py migrate)."


def missing_schema() -> str:
    """One sentence that says what to do when tables are missing or old; empty when they are as the code wants them."""
    try:
        executor = MigrationExecutor(connection)
        pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError:
        return ""  # not about tables: the first error tells more
    if not pending:
        return ""
    name = connection.settings_dict["NAME"]
    kind = "is not up to date" if executor.loader.applied_migrations else "has no tables yet"
    return f"The database {name} {kind}. {FIRST}"
