"""Django's `flush`, which empties every table: the one way to empty what is append-only too, and a deliberate one."""

from django.core.management.commands import flush
from django.db import connections, transaction


class Command(flush.Command):
    def handle(self, **options):
        connection = connections[options["database"]]
        if connection.vendor != "sqlite":  # elsewhere it is a TRUNCATE, which row triggers let through
            return super().handle(**options)
        with transaction.atomic(using=options["database"]), connection.cursor() as cursor:
            cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
            triggers = cursor.fetchall()
            for name, _ in triggers:
                cursor.execute(f'DROP TRIGGER "{name}"')
            super().handle(**options)
            for _, statement in triggers:
                cursor.execute(statement)
