"""The plan: what it holds, what changes its hash, whose rows it takes."""

from types import SimpleNamespace

import pytest
from django.utils import timezone

from migrations_engine import pipeline
from migrations_engine.models import TargetEndpoint
from migrations_engine.services.plan import merge_again, plan_make
from migrations_engine.services.runs import Blocked, run_create
from migrations_engine.services.targets import default_target, target_ensure_local
from migrations_engine.targets.base import TargetError
from personas.errors import BadInput, Missing, NotAllowed
from personas.models import NetworkProfile, ResourceProfile
from tests import factories
from tests.migrations_engine.fake_target import FakeTarget


def plan(estate, **changes):
    return plan_make(**estate.launch(**changes))


def test_same_question_has_the_same_hash(estate):
    assert plan(estate).sha256 == plan(estate).sha256


def test_run_keeps_the_plan_that_was_shown(estate):
    shown = plan(estate)
    run = run_create(**estate.launch(plan_sha256=shown.sha256))
    assert (run.plan_sha256, run.plan["merged"]) == (shown.sha256, shown.document["merged"])


def test_layers_of_the_snapshot_merge_to_the_same_again(estate):
    document = plan(estate, overrides={"resources": {"vcpus": 3}}).document
    assert merge_again(document).as_dict() == document["merged"]


def test_hash_does_not_change_with_what_merely_informs(estate, world):
    before = plan(estate).sha256
    world.free_bytes //= 2
    assert plan(estate).sha256 == before


@pytest.mark.parametrize(
    "change",
    [
        {"overrides": {"resources": {"vcpus": 3}}},
        {"use_case": "nightly"},
    ],
)
def test_hash_changes_with_the_launch(estate, change):
    assert plan(estate, **change).sha256 != plan(estate).sha256


def foreign_sets(plan):
    return [told["text"] for told in plan.concerns if told["id"] == "driver_set.distribution"]


def test_driver_set_of_another_distribution_warns_and_changes_no_hash(estate):
    drivers = factories.make_driver_set("for-rocky", department=estate.department)
    estate.persona.default_driver_set = drivers
    estate.persona.save()
    before = plan(estate)
    drivers.distributions = ["rocky"]
    drivers.save()
    after = plan(estate)
    assert (foreign_sets(before), len(foreign_sets(after))) == ([], 1)
    assert "for-rocky is made for rocky" in foreign_sets(after)[0]
    assert after.sha256 == before.sha256
    assert merge_again(after.document).as_dict() == before.document["merged"]


def test_only_the_driver_set_that_stands_is_held_against_the_machine(estate):
    for slug, row in (("rocky", estate.template), ("debian", estate.persona)):
        row.default_driver_set = factories.make_driver_set(slug, department=None, distributions=[slug])
        row.save()
    assert foreign_sets(plan(estate)) == []
    estate.template.locks = ["driver_set"]
    estate.template.save()
    assert ["rocky is made for rocky" in told for told in foreign_sets(plan(estate))] == [True]


def test_hash_changes_with_a_new_revision_of_the_script(estate):
    from personas.models import ScriptRevision

    script = factories.make_script("tune", body="echo 1")
    estate.persona.post_migration_script = script
    estate.persona.save()
    before = plan(estate)
    ScriptRevision.objects.create(script=script, number=2, body="echo 2", sha256="2" * 64)
    after = plan(estate)
    assert [s["body"] for s in after.document["scripts"]] == ["echo 2"]
    assert after.sha256 != before.sha256


def test_hash_changes_with_the_source_disk(estate):
    before = plan(estate).sha256
    estate.vm.disks.update(virtual_size_bytes=2**31)
    assert plan(estate).sha256 != before


def test_every_disk_is_told_and_hashed(estate):
    before = plan(estate).sha256
    estate.vm.disks.create(index=1, path="/srv/b.vdi", format="vdi", virtual_size_bytes=64 * 2**20)
    after = plan(estate)
    rows = {
        row["setting"]: (row["label"], row["current"], row["planned"]) for row in after.document["changes"]
    }
    assert rows["disks.1"] == ("Disk 2", "0.1 GiB, vdi", "0.1 GiB, qcow2")
    assert after.document["machine"]["data_disks"] == 1
    assert after.sha256 != before


def test_last_persona_wins(estate):
    small = factories.make_persona(
        "Small",
        department=estate.department,
        resource_allocation_profile=ResourceProfile.objects.create(name="s", slug="s", memory_mib=256),
    )
    large = factories.make_persona(
        "Large",
        department=estate.department,
        resource_allocation_profile=ResourceProfile.objects.create(name="l", slug="l", memory_mib=2048),
    )
    assert plan(estate, personas=[small, large]).document["machine"]["memory_mib"] == 2048
    assert plan(estate, personas=[large, small]).document["machine"]["memory_mib"] == 256


def test_departments_own_script_comes_before_the_organisations(estate):
    factories.make_script("tune", body="the organisation's")
    own = factories.make_script("tune", body="our own", department=estate.department)
    estate.persona.post_migration_script = own
    estate.persona.save()
    assert [s["body"] for s in plan(estate).document["scripts"]] == ["our own"]


def test_another_departments_script_is_not_taken(estate):
    factories.make_script("secret", body="theirs", department=factories.make_department())
    found = plan(estate, overrides={"post_migration": {"scripts": [{"name": "secret"}]}})
    assert found.document["scripts"] == []
    assert [c["id"] for c in found.blockers] == ["script.unknown"]


def network(slug, cidr, **columns):
    rules = [{"protocol": "tcp", "port_from": 80, "port_to": 80, "cidr": cidr}]
    return NetworkProfile.objects.create(
        name=slug, slug=slug, security_groups=[{"name": "web", "rules": rules}], **columns
    )


def test_security_group_is_the_personas_before_any_other(estate):
    network("aaa", "192.168.0.0/16")
    estate.persona.network_profile = network("mine", "10.0.0.0/8", department=estate.department)
    estate.persona.save()
    (group,) = plan(estate).document["security_groups"]
    assert group["rules"][0]["cidr"] == "10.0.0.0/8"


def test_unknown_security_group_blocks(estate):
    found = plan(estate, overrides={"network": {"security_groups": ["nowhere"]}})
    assert [c["id"] for c in found.blockers] == ["security_group.unknown"]


def test_settings_that_make_no_machine_are_a_concern_not_a_crash(estate):
    estate.persona.network_profile = NetworkProfile.objects.create(
        name="bad",
        slug="bad",
        security_groups=[{"name": "web", "rules": [{"protocol": "tcp", "cidr": "no network"}]}],
    )
    estate.persona.save()
    assert [c["id"] for c in plan(estate).blockers] == ["settings.impossible"]


def test_target_that_does_not_answer_blocks(estate, world):
    def away():
        raise OSError("qemu-system-x86_64 is not installed")

    world.on["probe"] = away
    assert [c["id"] for c in plan(estate).blockers] == ["target.unavailable"]


def test_target_that_can_not_tell_of_one_machine_is_not_away(estate, monkeypatch):
    def fail(*arguments):
        raise TargetError("a disk of it is odd")

    monkeypatch.setattr(FakeTarget, "check", fail)
    (told,) = plan(estate).blockers
    assert told["id"] == "target.unanswered" and "a disk of it is odd" in told["text"]


def test_machine_that_was_never_scanned_can_be_planned_with_a_warning(estate):
    estate.scan.delete()
    found = plan(estate)
    assert found.blockers == []
    assert "scan.none" in [c["id"] for c in found.concerns]


def test_without_a_target_the_caller_is_told(estate):
    TargetEndpoint.objects.all().delete()
    with pytest.raises(BadInput, match="no target yet"):
        plan(estate)


def test_departments_own_target_comes_first(estate):
    own = factories.make_target(department=estate.department)
    factories.make_target(department=factories.make_department())
    assert default_target(department=estate.department, by=estate.operator) == own


def test_local_target_is_made_once(estate):
    root = factories.make_user(superuser=True)
    TargetEndpoint.objects.all().delete()
    assert target_ensure_local(by=root) == target_ensure_local(by=root)
    assert TargetEndpoint.objects.count() == 1


def test_persona_of_another_department_is_not_there(estate):
    theirs = factories.make_persona(department=factories.make_department())
    with pytest.raises(Missing):
        plan(estate, personas=[theirs])


def test_viewer_may_not_launch(estate):
    viewer = factories.make_member(estate.department, role="viewer")
    with pytest.raises(NotAllowed):
        pipeline.run_start(**estate.launch(by=viewer))


def test_machine_without_a_department_is_refused(estate):
    estate.vm.department = None
    estate.vm.save()
    with pytest.raises(BadInput, match="belongs to no department"):
        run_create(**estate.launch(by=factories.make_user(superuser=True)))


def test_critical_concerns_block_and_are_listed(estate):
    estate.vm.missing_since = timezone.now()
    estate.vm.save()
    with pytest.raises(Blocked) as refused:
        run_create(**estate.launch())
    assert [c["id"] for c in refused.value.extra["concerns"]] == ["source.missing"]


def test_cards_that_do_not_come_along_are_told(estate):
    estate.vm.nics.create(index=0, mac="52:54:00:00:00:01", network="lan")
    assert "network.one_card" not in {each["id"] for each in plan_make(**estate.launch()).concerns}
    estate.vm.nics.create(index=1, network="san")
    told = {each["id"]: each["text"] for each in plan_make(**estate.launch()).concerns}
    assert "Left behind: san." in told["network.one_card"]


@pytest.mark.parametrize(
    ("location", "told"), [("qemu+ssh://kvm1/system", "Critical"), ("qemu+unix:///system", "Warning")]
)
def test_disks_that_are_fetched_first_need_room_here(estate, monkeypatch, location, told):
    source = estate.vm.source
    assert "space.staging" not in {each["id"] for each in plan_make(**estate.launch()).concerns}
    source.kind, source.location = "libvirt", location
    source.save()
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1000))
    plan = plan_make(**estate.launch())
    assert {each["id"]: each["severity"] for each in plan.concerns}["space.staging"] == told
    monkeypatch.undo()
    assert plan_make(**estate.launch()).sha256 == plan.sha256  # free room merely informs
