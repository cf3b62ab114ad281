"""`python3 manage.py quickstart`: set everything up, migrate a real machine as a persona, leave the pages running."""

import logging
import signal
import sys
import time

from django.conf import settings
from django.core.management import BaseCommand, CommandError, call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from rich.console import Console
from rich.markup import escape

from config.bootstrap import debian
from config.bootstrap.progress import private_dir
from config.quickstart import demo
from config.quickstart.children import ChildFailed, Children, free_port
from config.quickstart.company import ADMIN, admin_ensure, company_ensure
from config.quickstart.instance import AlreadyRunning, only_instance
from config.quickstart.machines import power_off_machines, power_on_machines

# SIGINT too: a shell that started us in the background has made us ignore it
SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
PLAIN_WIDTH = 110  # of a file or a pipe, which has none of its own


class Stop(Exception):
    """One of SIGNALS arrived."""


class Command(BaseCommand):
    help = "Sets everything up, migrates a real VM as a persona and leaves the web application running on 127.0.0.1."
    requires_system_checks = []

    def add_arguments(self, parser):
        parser.add_argument(
            "--port", type=int, help="port on 127.0.0.1 (default: 8000, or the next free one)"
        )
        parser.add_argument(
            "--no-demo", action="store_true", help="an empty instance: no company, no sample migration"
        )

    def handle(self, *, port, no_demo, **options):
        self.console = Console() if sys.stdout.isatty() else Console(width=PLAIN_WIDTH)
        log_to_file()
        for number in SIGNALS:
            signal.signal(number, self._stop)
        try:
            debian.ensure(["run"])
            with only_instance(settings.VAR_DIR):
                children = Children(free_port(port), settings.VAR_DIR)
                self._prepare(with_demo=not no_demo)
                try:
                    with children:
                        self._serve(children, with_demo=not no_demo)
                finally:
                    power_off_machines(self.console)
        except Stop:
            self.console.print(
                f"Stopped. Everything is kept in {escape(str(settings.VAR_DIR))}; "
                "the same command goes on from here."
            )
        except (AlreadyRunning, ChildFailed, OSError) as error:
            raise CommandError(str(error)) from error

    def _prepare(self, *, with_demo: bool):
        if schema_is_behind():
            self.console.print("Bringing the database up to date …")
            call_command("migrate", verbosity=0)
        admin_ensure(tell=self._show_password)
        if with_demo:
            company_ensure()
        connection.close()  # the children open their own

    def _serve(self, children: Children, *, with_demo: bool):
        children.start("web")
        children.wait_for_page()  # before the others start: the page is what somebody waits for
        self._greet(children.port)
        children.start("worker")
        children.start("clock")
        power_on_machines(self.console)
        if with_demo and demo.migrate(self.console, children):
            self._greet(children.port)
        self.console.print("Ctrl-C stops it.")
        while True:
            children.check()
            time.sleep(1)

    def _greet(self, port: int):
        self.console.print(f"\n[bold]http://127.0.0.1:{port}/[/]  user [bold]{ADMIN}[/]", highlight=False)
        sys.stdout.flush()

    def _show_password(self, password: str):
        self.console.print(
            f"User [bold]{ADMIN}[/], password [bold]{password}[/]  (shown only this once; change it at /admin/)",
            highlight=False,
        )
        sys.stdout.flush()

    @staticmethod
    def _stop(number, frame):
        for number in SIGNALS:  # a second Ctrl-C would leave machines running that the first one powers off
            signal.signal(number, signal.SIG_IGN)
        raise Stop


def schema_is_behind() -> bool:
    executor = MigrationExecutor(connection)
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def log_to_file() -> None:
    """The screen is for people: our own structured log goes where the children's go."""
    path = private_dir(settings.VAR_DIR / "log") / "quickstart.log"
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setStream(path.open("a"))
