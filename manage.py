#!/usr/bin/env python3
"""The one command. On any Python 3.11+ with nothing installed it first prepares `.venv/`, then goes on in there."""

import os
import sys

OLDEST_PYTHON = (3, 11)
DEVELOPER_COMMANDS = {"test", "lint", "bench"}  # need the packages of requirements-dev.lock as well


def main(arguments):
    if sys.version_info < OLDEST_PYTHON:
        sys.exit(
            "Python {}.{} is too old: 3.11 or newer is needed. Run: python3.11 manage.py {}".format(
                sys.version_info[0], sys.version_info[1], " ".join(arguments)
            )
        )
    from config.bootstrap import environment

    command = arguments[0] if arguments else ""
    environment.enter("dev" if command in DEVELOPER_COMMANDS else "run")

    if command in ("test", "lint"):  # the suite starts pytest as a child: this process needs no settings
        from tests import suite

        sys.exit(suite.main(command, arguments[1:]))
    if command == "bench":
        from tests.bench import command as bench

        sys.exit(bench.main(arguments[1:]))

    if command == "merge":  # files in, JSON out: no settings, so that no `var/` is made for it
        from django.conf import settings
        from django.core.management import load_command_class

        settings.configure()
        return load_command_class("templates_app", "merge").run_from_argv(sys.argv)

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.core.management import execute_from_command_line
    from django.db.utils import OperationalError, ProgrammingError

    try:
        execute_from_command_line(sys.argv)
    except (
        OperationalError,
        ProgrammingError,
    ):  # what SQLite and PostgreSQL raise for a table that is not there
        from config.schema_state import missing_schema

        if not (told := missing_schema()):
            raise
        sys.exit(told)


if __name__ == "__main__":
    main(sys.argv[1:])
