"""What quickstart sets up is there once, however often it starts, and nothing that it made is lost on the way."""

from io import StringIO

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from rich.console import Console

from config.management.commands import quickstart
from config.quickstart import demo
from config.quickstart.children import ChildFailed, Children
from config.quickstart.company import admin_ensure, company_ensure
from config.quickstart.guests import GuestBuildError
from migrations_engine.models import MigrationRun
from personas.errors import Refused

users = get_user_model().objects


@pytest.fixture
def screen(monkeypatch):
    """What the command prints; nothing is installed, logged to a file or listened to."""
    console = Console(file=StringIO(), width=quickstart.PLAIN_WIDTH)
    monkeypatch.setattr(quickstart, "Console", lambda **options: console)
    monkeypatch.setattr(quickstart.debian, "ensure", lambda parts: None)
    monkeypatch.setattr(quickstart, "schema_is_behind", lambda: False)
    monkeypatch.setattr(quickstart, "log_to_file", lambda: None)
    monkeypatch.setattr(quickstart.signal, "signal", lambda number, handler: None)
    return console.file


@pytest.fixture
def company(db, settings, tmp_path, monkeypatch):
    """What quickstart makes of an empty database; its disk images are of 4 KiB."""
    settings.IMAGE_ROOTS = [tmp_path]
    monkeypatch.setattr(demo, "image_ensure", lambda plot, image, *rest: image.write_bytes(bytes(4096)))
    admin_ensure(tell=str)
    company_ensure()


@pytest.fixture
def demo_screen():
    return Console(file=StringIO(), width=quickstart.PLAIN_WIDTH)


@pytest.mark.django_db(transaction=True)  # the command closes its connection for its children
def test_password_is_shown_before_anything_else_can_go_wrong(screen, monkeypatch):
    def fail(children, name):
        raise ChildFailed("The web application keeps stopping.")

    monkeypatch.setattr(Children, "start", fail)
    with pytest.raises(CommandError, match="keeps stopping"):
        call_command("quickstart", no_demo=True)
    password = screen.getvalue().split("password ")[1].split()[0]
    assert users.get(is_superuser=True).check_password(password)


@pytest.mark.django_db(transaction=True)
def test_admin_whose_password_could_not_be_shown_is_not_made():
    def killed(password):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        admin_ensure(tell=killed)
    assert not users.exists()


@pytest.mark.django_db
def test_admin_is_made_and_told_once():
    told = []
    for _ in range(2):
        admin_ensure(tell=told.append)
    assert len(told) == 1
    assert users.get().check_password(told[0])


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("verb", "error", "told"),
    [
        ("image_ensure", GuestBuildError("apt-get ended with 100: W: no\nE: [deb] is away"), "E: [deb] is away"),
        ("image_ensure", OSError(28, "No space left on device"), "[Errno 28] No space left on device"),
        ("source_discover", Refused("The source does not answer."), "The source does not answer."),
    ],
)
def test_demo_that_cannot_begin_says_why_and_what_to_do(company, demo_screen, monkeypatch, verb, error, told):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(demo, verb, fail)
    assert demo.migrate(demo_screen, Children(0, settings.VAR_DIR)) is True
    said = demo_screen.file.getvalue()
    assert f"not started: {told}\n" in said
    assert "start it again" in said
    assert not MigrationRun.objects.exists()
