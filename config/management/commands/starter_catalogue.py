"""`python3 manage.py starter_catalogue`: the starter personas, templates and local target for an instance."""

from django.core.management.base import BaseCommand, CommandError

from config.quickstart.company import first_admin
from config.quickstart.starter import starter_ensure


class Command(BaseCommand):
    help = "Installs the starter personas with their parts, the templates and the local target; what is there stays."

    def handle(self, **options):
        admin = first_admin()
        if admin is None:
            raise CommandError(
                "There is no superuser yet, in whose name it is done: run createsuperuser first."
            )
        made = starter_ensure(by=admin)
        told = [f"{count} {kind.replace('_', ' ')}" for kind, count in made.items() if count]
        self.stdout.write(
            f"Installed {', '.join(told)}." if told else "Nothing to install: all of it is there."
        )
