"""Home: every number and row is what the reader may see, and what waits for somebody is there."""

import pytest
from django.utils import timezone

from analyzer.models import Recommendation, Scan
from analyzer.models.scan import ScanState
from config.attention import attention, estate, first_steps
from config.navigation import GROUPS, USER_LINKS, url_or_blank
from migrations_engine.domain.states import RUN_ENDED, RunState
from migrations_engine.models import MigrationRun, TargetEndpoint
from templates_app.models import MigrationTemplate
from tests.factories import make_department, make_member, make_persona, make_vm

pytestmark = pytest.mark.django_db


@pytest.fixture
def finance(db):
    return make_department("Finance")


@pytest.fixture
def anna(finance):
    return make_member(finance, "admin", "anna")


@pytest.fixture
def charlie(db):
    """A member of another department."""
    return make_member(make_department("Marketing"), "admin", "charlie")


@pytest.fixture
def vm(finance):
    return make_vm(finance, name="db-1")


@pytest.fixture
def make_run(finance, anna):
    template = MigrationTemplate.objects.create(name="Standard", slug="standard", department=finance)
    target = TargetEndpoint.objects.create(name="here", department=finance)

    def make(vm, state, **fields):
        ended_at = timezone.now() if state in RUN_ENDED else None
        fixed = {"department": finance, "template": template, "target": target, "created_by": anna}
        return MigrationRun.objects.create(
            vm=vm, state=state, plan={}, plan_sha256="0" * 64, finished_at=ended_at, **fixed, **fields
        )

    return make


def test_a_stranger_sees_none_of_it(vm, make_run, anna, charlie):
    make_run(vm, RunState.FAILED)
    assert estate(anna, timezone.now()).machines == 1
    assert len(attention(anna).failed) == 1
    assert estate(charlie, timezone.now()).machines == 0
    assert attention(charlie).nothing
    assert estate(charlie, timezone.now()).ended_lately == 0


def test_a_machine_without_a_scan_waits_for_one(vm, anna):
    make_vm(source=vm.source, name="gone", missing_since=timezone.now())
    assert [each.name for each in attention(anna).unscanned] == ["db-1"]
    Scan.objects.create(vm=vm, state=ScanState.COMPLETE)
    assert attention(anna).unscanned == []
    assert estate(anna, timezone.now()).scanned == 1


def test_an_unreadable_disk_waits_until_a_later_scan(vm, anna):
    Scan.objects.create(vm=vm, state=ScanState.UNREADABLE, message="no partition table")
    assert [scan.message for scan in attention(anna).unreadable] == ["no partition table"]
    Scan.objects.create(vm=vm, state=ScanState.COMPLETE)
    assert attention(anna).unreadable == []


def test_a_failed_run_waits_until_the_machine_is_tried_again(vm, make_run, anna):
    failed = make_run(vm, RunState.FAILED)
    assert attention(anna).failed == [failed]
    again = make_run(vm, RunState.RUNNING)
    assert attention(anna).failed == []
    assert attention(anna).running == [again]


def test_an_open_suggestion_waits_for_an_answer(vm, anna):
    scan = Scan.objects.create(vm=vm, state=ScanState.COMPLETE)
    Recommendation.objects.create(vm=vm, scan=scan, score=0.9, ranking=[], model_version="1")
    Recommendation.objects.create(
        vm=vm, scan=scan, score=0.9, ranking=[], model_version="1", state="dismissed"
    )
    assert attention(anna).suggestion_count == 1


def test_a_suggestion_that_was_followed_without_a_word_waits_for_nothing(vm, make_run, anna, finance):
    scan = Scan.objects.create(vm=vm, state=ScanState.COMPLETE)
    persona = make_persona(department=finance)
    Recommendation.objects.create(vm=vm, scan=scan, persona=persona, score=0.9, ranking=[], model_version="1")
    make_run(vm, RunState.FAILED, persona=persona)
    assert attention(anna).suggestion_count == 1
    make_run(vm, RunState.SUCCEEDED, persona=persona)
    assert attention(anna).suggestion_count == 0


def test_an_empty_instance_says_what_to_do_first(anna, finance):
    steps = first_steps(anna, estate(anna, timezone.now()))
    assert [step.title for step in steps if step.done] == ["Belong to a department"]
    assert [step.title for step in steps if step.next] == ["Say where the machines are"]


def test_home_shows_the_cause_of_a_failure(client, anna, vm, make_run):
    make_run(vm, RunState.FAILED, root_cause="No space left on the target.")
    client.force_login(anna)
    page = client.get("/").content.decode()
    assert "No space left on the target." in page
    assert "db-1" in page


def test_home_asks_for_itself_only_while_something_runs(client, anna, vm, make_run):
    client.force_login(anna)
    run = make_run(vm, RunState.RUNNING)
    assert 'hx-trigger="every 3s"' in client.get("/").content.decode()
    MigrationRun.objects.filter(pk=run.pk).update(state=RunState.SUCCEEDED)
    assert 'hx-trigger="every 3s"' not in client.get("/").content.decode()


@pytest.mark.parametrize(("role", "offered"), [("operator", True), ("viewer", False)])
def test_home_offers_a_migration_to_who_may_start_one(role, offered, client, finance, monkeypatch):
    monkeypatch.setattr(
        "config.attention.first_steps", lambda user, have: []
    )  # all done: the button stands alone
    client.force_login(make_member(finance, role, "vera"))
    assert ("Migrate a machine" in client.get("/").content.decode()) is offered


def test_home_needs_a_login(client):
    assert client.get("/").headers["Location"] == "/login/?next=/"


def test_the_admin_is_offered_to_staff_only(client, anna, admin_user):
    client.force_login(anna)
    assert 'href="/admin/"' not in client.get("/").content.decode()
    client.force_login(admin_user)
    assert 'href="/admin/"' in client.get("/").content.decode()


def test_every_entry_of_the_side_bar_leads_somewhere():
    names = [name for _, rows in GROUPS for _, name, _ in rows] + [name for _, name, _ in USER_LINKS]
    assert [name for name in names if not url_or_blank(name)] == []


def test_the_page_that_is_open_is_marked_once(client, anna):
    client.force_login(anna)
    assert client.get("/").content.decode().count('aria-current="page"') == 1
