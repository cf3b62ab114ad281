"""The triggers by which the database itself keeps the audit trail append-only, whoever writes to it.

PostgreSQL empties tables by TRUNCATE when all data are flushed, which no row trigger sees. SQLite deletes row by
row, so the `flush` command lifts the trigger for its own duration (personas/management/commands/flush.py).
"""

TABLE = "personas_auditentry"

INSTALL = {
    "sqlite": [
        f"CREATE TRIGGER {TABLE}_no_{verb.lower()} BEFORE {verb} ON {TABLE} "
        "BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END"
        for verb in ("UPDATE", "DELETE")
    ],
    "postgresql": [
        f"CREATE OR REPLACE FUNCTION {TABLE}_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the audit trail is append-only'; END $$",
        f"CREATE TRIGGER {TABLE}_append_only BEFORE UPDATE OR DELETE ON {TABLE} "
        f"FOR EACH ROW EXECUTE FUNCTION {TABLE}_refuse()",
    ],
}
REMOVE = {
    "sqlite": [f"DROP TRIGGER IF EXISTS {TABLE}_no_{verb}" for verb in ("update", "delete")],
    "postgresql": [
        f"DROP TRIGGER IF EXISTS {TABLE}_append_only ON {TABLE}",
        f"DROP FUNCTION IF EXISTS {TABLE}_refuse()",
    ],
}


def install(connection) -> None:
    execute_for(connection, INSTALL)


def remove(connection) -> None:
    execute_for(connection, REMOVE)


def execute_for(connection, statements: dict[str, list[str]]) -> None:
    """Those of the statements that are for this kind of database: {vendor: [SQL]}."""
    with connection.cursor() as cursor:
        for statement in statements[connection.vendor]:
            cursor.execute(statement)
