"""The triggers by which the database itself keeps the ledger: append-only, one unit per movement, nothing spent twice.

They answer as a broken constraint does (IntegrityError), whoever writes.
"""

from personas.models.audit_trigger import execute_for

TABLE, ACCOUNTS = "marketplace_movement", "marketplace_account"
HELD = f"""(SELECT COALESCE(SUM(CASE WHEN destination_id = NEW.source_id THEN amount ELSE -amount END), 0)
    FROM {TABLE} WHERE source_id = NEW.source_id OR destination_id = NEW.source_id)"""  # noqa: S608  our own names
NEVER_BELOW_ZERO = "('wallet', 'escrow', 'payable')"  # earnings may be: a refund can come after the payout

INSTALL = {
    "sqlite": [
        *(
            f"CREATE TRIGGER {TABLE}_no_{verb.lower()} BEFORE {verb} ON {TABLE} "
            "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
            for verb in ("UPDATE", "DELETE")
        ),
        f"""CREATE TRIGGER {TABLE}_guard BEFORE INSERT ON {TABLE} BEGIN
            SELECT RAISE(ABORT, 'a movement stays in one unit') WHERE EXISTS (SELECT 1 FROM {ACCOUNTS}
                WHERE id IN (NEW.source_id, NEW.destination_id) AND unit <> NEW.unit);
            SELECT RAISE(ABORT, 'the account holds less than that') WHERE NEW.amount > {HELD}
                AND (SELECT kind FROM {ACCOUNTS} WHERE id = NEW.source_id) IN {NEVER_BELOW_ZERO};
        END""",  # noqa: S608
    ],
    "postgresql": [
        f"""CREATE FUNCTION {TABLE}_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            RAISE EXCEPTION 'the ledger is append-only' USING ERRCODE = 'check_violation'; END $$""",
        f"""CREATE TRIGGER {TABLE}_append_only BEFORE UPDATE OR DELETE ON {TABLE}
            FOR EACH ROW EXECUTE FUNCTION {TABLE}_refuse()""",
        f"""CREATE FUNCTION {TABLE}_check() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF EXISTS (SELECT 1 FROM {ACCOUNTS}
                    WHERE id IN (NEW.source_id, NEW.destination_id) AND unit <> NEW.unit) THEN
                RAISE EXCEPTION 'a movement stays in one unit' USING ERRCODE = 'check_violation';
            END IF;
            IF (SELECT kind FROM {ACCOUNTS} WHERE id = NEW.source_id) IN {NEVER_BELOW_ZERO} THEN
                -- two that spend at once come one after the other, and the second sees what the first has spent
                PERFORM 1 FROM {ACCOUNTS} WHERE id = NEW.source_id FOR NO KEY UPDATE;
                IF NEW.amount > {HELD} THEN
                    RAISE EXCEPTION 'the account holds less than that' USING ERRCODE = 'check_violation';
                END IF;
            END IF;
            RETURN NEW; END $$""",  # noqa: S608
        f"""CREATE TRIGGER {TABLE}_guard BEFORE INSERT ON {TABLE}
            FOR EACH ROW EXECUTE FUNCTION {TABLE}_check()""",
    ],
}
REMOVE = {
    "sqlite": [f"DROP TRIGGER IF EXISTS {TABLE}_{name}" for name in ("no_update", "no_delete", "guard")],
    "postgresql": [
        f"DROP TRIGGER IF EXISTS {TABLE}_append_only ON {TABLE}",
        f"DROP TRIGGER IF EXISTS {TABLE}_guard ON {TABLE}",
        f"DROP FUNCTION IF EXISTS {TABLE}_refuse()",
        f"DROP FUNCTION IF EXISTS {TABLE}_check()",
    ],
}


def install(connection) -> None:
    execute_for(connection, INSTALL)


def remove(connection) -> None:
    execute_for(connection, REMOVE)
