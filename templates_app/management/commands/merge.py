"""`manage.py merge`: the merge of documents in files, as JSON; needs no database."""

import json
import sys

from django.core.management.base import BaseCommand

from personas.domain.catalogue import catalogue
from personas.domain.settings import InvalidSettings
from templates_app.domain.layers import Kind
from templates_app.domain.merge import merge
from templates_app.services.document_files import UnreadableDocument, driver_sets_in, layer_in


class Command(BaseCommand):
    help = (
        "Merge a template, personas and overrides from JSON or YAML files and print the effective settings, who set "
        "each value and what it beat. Personas are ordered by priority, then by name; the later one wins. A file holds "
        "a bare document, or {name:, priority:, settings:}; without a name the file's own is taken."
    )
    requires_system_checks: list = []

    def add_arguments(self, parser):
        parser.add_argument(
            "--template", metavar="FILE", action="append", default=[], help="the template's document"
        )
        parser.add_argument(
            "--department", metavar="FILE", action="append", default=[], help="a department's defaults"
        )
        parser.add_argument(
            "--persona", metavar="FILE", action="append", default=[], help="may be given several times"
        )
        parser.add_argument(
            "--override", metavar="FILE", action="append", default=[], help="what a launch asks for"
        )
        parser.add_argument(
            "--driver-sets",
            metavar="FILE",
            help="slug: [drivers]; without it the starter catalogue's driver sets",
        )

    def handle(self, *args, **options):
        try:
            merged = self._merged(options)
        except (InvalidSettings, UnreadableDocument) as error:
            for line in error.lines():
                self.stderr.write(line)
            sys.exit(2)
        self.stdout.write(json.dumps(merged.as_dict(), indent=2, ensure_ascii=False))

    @staticmethod
    def _merged(options):
        files = {
            Kind.TEMPLATE: options["template"],
            Kind.DEPARTMENT: options["department"],
            Kind.PERSONA: options["persona"],
            Kind.LAUNCH: options["override"],
        }
        layers = [layer_in(file, kind) for kind, named in files.items() for file in named]
        given = options["driver_sets"]
        return merge(layers, driver_sets_in(given) if given else catalogue().drivers_by_set())
