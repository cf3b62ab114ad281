"""The ledger of a run, cleaning up after it, and what ledger and target say differently."""

import uuid

import pytest

from migrations_engine import pipeline
from migrations_engine.models import CreatedResource, MigrationRun
from migrations_engine.services.orphans import orphans, run_clean_up
from personas.errors import NotAllowed, Refused
from personas.models import AuditEntry
from tests import factories
from tests.migrations_engine.fake_target import Machine


@pytest.fixture
def kept(estate, world, run_all):
    """A run that is rolled back and kept its machine, as its terms say."""
    from migrations_engine.domain.terms import terms_of

    run = run_all(pipeline.run_start, **estate.launch(terms=terms_of({"on_rollback": "keep"})))
    return run_all(pipeline.run_rollback, run=run, by=estate.operator)


def open_rows(run) -> list[str]:
    return [row.kind for row in run.resources.exclude(state="removed")]


def test_clean_up_removes_what_the_run_made_and_nothing_else(kept, estate, world):
    world.machines["somebody-elses"] = Machine()
    assert open_rows(kept) == ["disk", "machine"]
    done = run_clean_up(run=kept, by=estate.operator)
    assert (done.removed, done.missing) == (("disk", "machine"), ())
    assert list(world.machines) == ["somebody-elses"]
    assert open_rows(kept) == []
    kept.migrated_vm.refresh_from_db()
    assert kept.migrated_vm.removed_at
    assert AuditEntry.objects.get(action="migration.clean_up").after["removed"] == ["disk", "machine"]


def test_clean_up_may_be_said_again(kept, estate):
    run_clean_up(run=kept, by=estate.operator)
    again = run_clean_up(run=kept, by=estate.operator)
    assert again.words == "There was nothing left to remove."


def test_clean_up_tells_what_was_gone_already(kept, estate, world):
    world.machines.clear()
    done = run_clean_up(run=kept, by=estate.operator)
    assert (done.removed, len(done.missing)) == ((), 2)
    assert open_rows(kept) == []


def test_clean_up_that_the_target_refuses_leaves_the_ledger_as_it_is(kept, estate, world):
    world.on["destroy"] = lambda: (_ for _ in ()).throw(OSError("disk is busy"))
    with pytest.raises(Refused, match="disk is busy"):
        run_clean_up(run=kept, by=estate.operator)
    assert open_rows(kept) == ["disk", "machine"]


@pytest.mark.parametrize(
    ("state", "told"), [("succeeded", "machine's own page"), ("failed", "give it up"), ("running", "not over yet")]
)
def test_run_that_is_not_over_is_not_cleaned_up(kept, estate, world, state, told):
    MigrationRun.objects.filter(pk=kept.pk).update(state=state)
    with pytest.raises(Refused, match=told):
        run_clean_up(run=kept, by=estate.operator)
    assert world.machines


def test_orphans_are_what_ledger_and_target_say_differently(kept, estate, world):
    root = factories.make_user(superuser=True)
    assert orphans(target=estate.target, by=root) == {"strangers": [], "missing": []}
    stranger, machine = str(uuid.uuid4()), world.machines.pop(str(kept.pk))
    world.machines |= {stranger: Machine(), "no-key-of-a-run": Machine()}
    found = orphans(target=estate.target, by=root)
    assert [(row["key"], row["run"]) for row in found["strangers"]] == [(stranger, None)]
    assert [row["key"] for row in found["missing"]] == [str(kept.pk)] * 2
    world.machines[str(kept.pk)] = machine
    CreatedResource.objects.filter(run=kept).update(state="removed")
    (first, second) = orphans(target=estate.target, by=root)["strangers"]
    told = first if first["run"] else second
    assert (told["name"], told["what"]) == ("web01", "its run is rolled back")


def test_orphans_are_for_the_targets_admins(kept, estate):
    with pytest.raises(NotAllowed):
        orphans(target=estate.target, by=estate.operator)


def test_pages_and_api_do_the_same(kept, estate, client, world):
    client.force_login(estate.operator)
    page = client.get(f"/migrations/{kept.pk}/").content.decode()
    assert "What the run made" in page
    assert "run-clean-up" in page
    assert "Exactly what the run made" in client.get(f"/migrations/{kept.pk}/clean-up/").content.decode()
    answer = client.post(f"/api/v1/migrations/{kept.pk}/clean-up/")
    assert answer.json() == {"removed": ["disk", "machine"], "missing": []}
    assert client.post(f"/migrations/{kept.pk}/clean-up/").status_code == 302
    client.force_login(factories.make_user(superuser=True))
    assert "Everything here belongs" in client.get(f"/targets/{estate.target.pk}/orphans/").content.decode()
    assert client.get(f"/api/v1/targets/{estate.target.pk}/orphans/").json() == {"strangers": [], "missing": []}
