"""What quickstart sets up is there once, however often it starts, and nothing that it made is lost on the way."""

from io import StringIO

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from rich.console import Console

from config.management.commands import quickstart
from config.quickstart.children import ChildFailed, Children
from config.quickstart.company import admin_ensure

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
