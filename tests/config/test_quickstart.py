"""What quickstart sets up is there once, however often it starts, and nothing that it made is lost on the way."""

import re
import sys
from io import StringIO

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from rich.console import Console

from analyzer.models import VirtualMachine
from analyzer.services.discovery import source_discover
from analyzer.services.scan_reading import disk_fingerprint
from config.management.commands import quickstart
from config.quickstart import demo, machines
from config.quickstart.children import ChildFailed, Children
from config.quickstart.company import admin_ensure, company_ensure
from config.quickstart.estate import Plot
from config.quickstart.guests import GuestBuildError
from migrations_engine.management.commands.migrate_vm import follow, work_here
from migrations_engine.models import MigrationRun, TargetEndpoint
from migrations_engine.targets import registry
from personas.errors import Refused
from personas.models import AuditEntry, Department, Membership, Persona
from templates_app.models import MigrationTemplate
from tests.factories import make_scan, make_vm
from tests.migrations_engine.estate import facts
from tests.migrations_engine.fake_target import FakeTarget, World

BOOT_SECTOR = bytes(510) + b"\x55\xaa"

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
    """What quickstart makes of an empty database; its disk images are empty."""
    settings.IMAGE_ROOTS = [tmp_path]
    monkeypatch.setattr(demo, "image_ensure", lambda plot, image, *rest: image.write_bytes(BOOT_SECTOR))
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


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), BrokenPipeError(32, "Broken pipe")])
def test_screen_that_is_gone_keeps_no_machine_running(monkeypatch, error):
    class Gone(StringIO):
        def write(self, text):
            raise error

    def pause(tell):
        tell("web01")
        off.append("web01")
        return [Refused("web02 does not stop")]

    off: list[str] = []
    monkeypatch.setattr(machines, "machines_pause", pause)
    monkeypatch.setattr(Console, "on_broken_pipe", lambda console: sys.exit(1))  # without its hold on our stdout
    machines.power_off_machines(Console(file=Gone()))
    assert off == ["web01"]


@pytest.mark.django_db
def test_company_is_there_once_however_often_it_starts(company):
    before = rows()
    assert before["departments"] == {
        "finance": {"ingrid": "admin", "raj": "viewer"},
        "marketing": {"carla": "admin", "tom": "operator"},
        "platform": {"ada": "admin", "jonas": "operator", "mei": "viewer"},
    }
    assert before["personas"] == 8
    admin_ensure(tell=str)
    company_ensure()
    assert rows() == before


@pytest.mark.django_db
def test_each_user_of_the_company_is_in_the_audit_trail(company):
    told = AuditEntry.objects.filter(action="user.create", actor__username="admin")
    assert sorted(told.values_list("object_name", flat=True)) == sorted(users.values_list("username", flat=True))


def rows() -> dict:
    departments = {each.slug: members_of(each) for each in Department.objects.all()}
    models = {"personas": Persona, "templates": MigrationTemplate, "targets": TargetEndpoint, "audit": AuditEntry}
    counts = {name: model.objects.count() for name, model in models.items()}
    return {"departments": departments, "users": users.count(), **counts}


def members_of(department) -> dict[str, str]:
    return dict(department.memberships.values_list("user__username", "role"))


@pytest.mark.django_db
def test_what_an_admin_has_changed_stays_changed(company):
    Membership.objects.get(user__username="raj").delete()
    Department.objects.filter(slug="finance").update(name="Treasury")
    company_ensure()
    assert members_of(Department.objects.get(name="Treasury")) == {"ingrid": "admin"}


@pytest.fixture
def small_estate(company, monkeypatch):
    """The machines of the demo as the fake target can move them: scanned when they are discovered, moved right here."""

    def discover(**arguments):
        source_discover(**arguments)
        for vm in VirtualMachine.objects.filter(source=arguments["source"], name="shop-web-01"):
            make_scan(vm, facts=facts(), disk_fingerprint=disk_fingerprint(vm))

    monkeypatch.setattr(FakeTarget, "world", World())
    monkeypatch.setitem(registry.TARGETS, "qemu", FakeTarget)
    monkeypatch.setattr(demo, "source_discover", discover)
    monkeypatch.setattr(Plot, "overrides", lambda plot, cache: {"resources": {"memory_mib": 512}})
    monkeypatch.setattr(demo, "follow", lambda run, console, meanwhile: work_here(run, console))
    Persona.objects.update(acceptance_checks=[])  # asked of a port of this computer, where nobody answers
    return FakeTarget.world


@pytest.mark.django_db
def test_demo_ends_with_what_the_guest_reported_and_is_done_once(small_estate, demo_screen):
    children = Children(0, settings.VAR_DIR)
    assert demo.migrate(demo_screen, children) is True
    said = demo_screen.file.getvalue()
    assert "shop-web-01 as the guest reports it" in said
    assert re.search(r"resources\.memory_mib\s.*512.*pass", said), said
    assert re.search(r"^verified after \d+ s$", said, re.MULTILINE), said
    assert demo.migrate(demo_screen, children) is False
    assert MigrationRun.objects.count() == 1


@pytest.mark.django_db
def test_name_that_people_gave_is_printed_as_it_is(small_estate, demo_screen):
    Persona.objects.filter(slug="web-dev").update(name="Web [/b] [red]")
    assert demo.migrate(demo_screen, Children(0, settings.VAR_DIR)) is True
    assert "Migrating shop-web-01 as Web [/b] [red] …" in demo_screen.file.getvalue()


@pytest.mark.django_db
def test_a_worker_that_keeps_stopping_is_told_while_the_demo_waits_for_it(small_estate, demo_screen, monkeypatch):
    def check(children):
        if MigrationRun.objects.exists():
            raise ChildFailed("The worker keeps stopping.")

    monkeypatch.setattr(demo, "follow", follow)
    monkeypatch.setattr(Children, "check", check)
    with pytest.raises(ChildFailed):
        demo.migrate(demo_screen, Children(0, settings.VAR_DIR))


@pytest.mark.django_db
def test_demo_that_is_not_verified_says_what_differs(small_estate, demo_screen):
    small_estate.memory_mib = 200
    assert demo.migrate(demo_screen, Children(0, settings.VAR_DIR)) is True
    said = demo_screen.file.getvalue()
    assert re.search(r"resources\.memory_mib\s.*512.*200.*fail", said), said
    assert re.search(r"^failed after \d+ s: .*not what was asked for", said, re.MULTILINE), said
    assert "verified" not in said


@pytest.mark.django_db
def test_demo_looks_at_its_own_machines_only(small_estate, demo_screen, monkeypatch):
    asked = []
    monkeypatch.setattr(demo, "scan_start", lambda *, vm, by: asked.append(vm.name))
    make_vm(name="somebody-elses")
    assert demo.migrate(demo_screen, Children(0, settings.VAR_DIR)) is True
    assert asked == ["session-cache-01", "ledger-archive-01"]
