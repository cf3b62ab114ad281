"""Django's `flush`, which empties every table: the one way to empty the audit trail too, and a deliberate one."""

from django.core.management.commands import flush
from django.db import connections, transaction

from personas.models import audit_trigger


class Command(flush.Command):
    def handle(self, **options):
        connection = connections[options["database"]]
        if connection.vendor != "sqlite":  # elsewhere it is a TRUNCATE, which row triggers let through
            return super().handle(**options)
        with transaction.atomic(using=options["database"]):
            audit_trigger.remove(connection)
            super().handle(**options)
            audit_trigger.install(connection)
