"""Waves: who is in them, when they start what, what stops them, and that a crash starts nothing twice."""

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from analyzer.models import Disk
from migrations_engine import pipeline
from migrations_engine.domain.states import RunState
from migrations_engine.domain.terms import Commit
from migrations_engine.domain.waves import MemberState, WaveState
from migrations_engine.models import Dispatcher, MigrationRun, Wave, WaveMember
from migrations_engine.services import wave_dispatch, wave_members, waves
from migrations_engine.services.targets import target_delete
from migrations_engine.targets.base import TargetError
from personas.errors import BadInput, NotAllowed, Refused
from personas.models import AuditEntry
from tests import factories
from tests.migrations_engine.estate import make_estate
from tests.migrations_engine.fake_target import FakeTarget

NOW = timezone.now()


def more_vms(estate, count, **columns):
    path = Disk.objects.get(vm=estate.vm).path
    named = [{"name": f"web{n:02}", "external_id": f"w{n}"} | columns for n in range(2, count + 2)]
    return [
        factories.make_vm(estate.department, source=estate.vm.source, path=path, **each) for each in named
    ]


def make_wave(estate, count=3, *, start=True, **columns) -> Wave:
    asked = {"name": f"wave {Wave.objects.count()}", "template": estate.template, "persona": estate.persona}
    wave = waves.wave_create(department=estate.department, by=estate.operator, **(asked | columns))
    vms = (
        [estate.vm, *more_vms(estate, count - 1)]
        if not estate.vm.wave_members.exists()
        else more_vms(estate, count)
    )
    wave_members.members_add(wave=wave, vms=vms, by=estate.operator)
    return waves.wave_start(wave=wave, by=estate.operator) if start else wave


def dispatch(now=None):
    """One round; nothing is sent, so that runs stay queued until a test ends them."""
    return wave_dispatch.dispatch(now=now or timezone.now(), then=lambda run_id: None)


def end(runs, state=RunState.SUCCEEDED):
    runs.update(state=state, started_at=NOW - timedelta(minutes=3), finished_at=NOW)


def standings(wave):
    return [member.standing for member in wave.members.select_related("run")]


# --- members ---------------------------------------------------------------------------------------------------------


def test_members_are_added_by_rule(estate):
    more_vms(estate, 2, tags={"web": ""})
    wave = make_wave(estate, 1, start=False)
    rule = "tag:web and not name = web02"
    assert wave_members.members_add_by_rule(wave=wave, rule=rule, by=estate.operator) == 1
    assert wave_members.members_add_by_rule(wave=wave, rule=rule, by=estate.operator) == 0
    wave.refresh_from_db()
    assert (wave.members.last().vm.name, wave.rule) == ("web03", rule)


def test_rule_may_ask_for_packages_personas_and_usage(estate):
    from analyzer.models import UsageSeries, VMPersona

    VMPersona.objects.create(vm=estate.vm, persona=estate.persona)
    UsageSeries.objects.create(vm=estate.vm, metric="cpu_percent", day=NOW.date(), values=[10.0] * 288)
    find = lambda rule: wave_members.machines_matching(rule, department=estate.department, by=estate.operator)  # noqa: E731
    assert find("package:bash and persona:databaseadmin and cpu_p95 < 20 and os = debian") == [estate.vm]
    assert find("cpu_p95 > 20") == find("package:apache2") == []


def test_wrong_rule_is_told_with_its_column(estate):
    with pytest.raises(BadInput) as refused:
        wave_members.machines_matching("os ~", department=estate.department, by=estate.operator)
    assert refused.value.errors == {"rule": ["column 5: a value is missing at the end"]}


def test_members_are_added_by_csv(estate):
    more_vms(estate, 2)
    wave = make_wave(estate, 1, start=False)
    content = b"vm,persona,order\nweb02,databaseadmin,5\nw3,,\n"
    assert wave_members.members_add_by_csv(wave=wave, content=content, by=estate.operator) == 2
    first = wave.members.first()
    assert (first.vm.name, first.persona, first.order) == ("web02", estate.persona, 5)


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ("machine\nweb01\n", "file"),
        ("vm,order\nweb01,soon\n", "rows.2.order"),
        ("vm\nnobody\n", "rows.2.vm"),
        ("vm,persona\nweb01,nobody\n", "rows.2.persona"),
        ("\xff", "file"),
    ],
)
def test_csv_that_is_wrong_adds_nothing(estate, content, field):
    wave = make_wave(estate, 1, start=False)
    with pytest.raises(BadInput) as refused:
        wave_members.members_add_by_csv(wave=wave, content=content.encode("latin-1"), by=estate.operator)
    assert field in refused.value.errors
    assert wave.members.count() == 1


def test_machine_of_another_department_does_not_come_in(estate):
    wave = make_wave(estate, 1, start=False)
    with pytest.raises(BadInput):
        wave_members.members_add(wave=wave, vms=[factories.make_vm()], by=estate.operator)


def test_persona_and_overrides_of_one_member_beat_the_waves(estate):
    other = factories.make_persona("Other", department=estate.department)
    wave = make_wave(estate, 2, start=False)
    own = {"persona": other, "overrides": {"resources": {"vcpus": 3}}, "order": 1}
    wave_members.member_update(member=wave.members.last(), by=estate.operator, **own)
    waves.wave_start(wave=wave, by=estate.operator)
    dispatch()
    first, second = (member.run for member in wave.members.select_related("run"))
    assert (first.persona, first.plan["merged"]["merged"]["resources"]["vcpus"]) == (other, 3)
    assert second.persona == estate.persona


# --- the dispatcher --------------------------------------------------------------------------------------------------


def test_no_more_than_its_limit_run_at_once(estate):
    wave = make_wave(estate, 3, concurrency=2)
    assert (dispatch(), dispatch()) == (2, 0)
    assert "that is its limit" in wave_dispatch.waits_for(wave, timezone.now())
    end(MigrationRun.objects.filter(wave_member__wave=wave))
    assert dispatch() == 1
    end(MigrationRun.objects.all())
    dispatch()
    wave.refresh_from_db()
    assert (wave.state, standings(wave)) == (WaveState.FINISHED, ["succeeded"] * 3)


@pytest.mark.parametrize("limit", ["per_source", "per_target"])
def test_limits_of_a_source_and_a_target_hold(estate, limit):
    make_wave(estate, 3, concurrency=3, **{limit: 1})
    assert (dispatch(), dispatch()) == (1, 0)


def test_instance_has_a_limit_of_its_own(estate, settings):
    settings.WAVE_RUNS_AT_ONCE = 1
    make_wave(estate, 3, concurrency=3)
    assert (dispatch(), dispatch()) == (1, 0)


def test_departments_take_turns(estate, settings):
    settings.WAVE_RUNS_AT_ONCE = 2
    other = make_estate()
    make_wave(estate, 5, concurrency=5)
    make_wave(other, 1)
    assert dispatch() == 2
    assert set(MigrationRun.objects.values_list("department", flat=True)) == {
        estate.department.pk,
        other.department.pk,
    }


def test_wave_waits_for_the_one_before_it(estate):
    first = make_wave(estate, 1)
    second = make_wave(estate, 1, after=first)
    assert dispatch() == 1
    assert "has to be finished first" in wave_dispatch.waits_for(second, timezone.now())
    end(MigrationRun.objects.all())
    assert (dispatch(), second.members.exclude(run=None).count()) == (1, 1)


def test_nothing_starts_outside_its_window_or_that_does_not_fit(estate):
    wave = make_wave(estate, 1, minutes_each=60, start=False)
    waves.window_add(wave=wave, starts_at=NOW, ends_at=NOW + timedelta(minutes=90), by=estate.operator)
    waves.wave_start(wave=wave, by=estate.operator)
    assert dispatch(NOW - timedelta(minutes=1)) == 0
    assert dispatch(NOW + timedelta(minutes=31)) == 0
    assert dispatch(NOW + timedelta(minutes=29)) == 1


def test_dispatcher_that_died_half_way_starts_nothing_twice(estate):
    wave = make_wave(estate, 1)
    dispatch()
    run = MigrationRun.objects.get()
    # it died after the run was made and before it could say so
    wave.members.update(state=MemberState.STARTING, run=None, claimed_at=NOW)
    assert dispatch(NOW + wave_dispatch.LEASE / 2) == 0
    assert dispatch(NOW + 2 * wave_dispatch.LEASE) == 1
    assert (MigrationRun.objects.get(), wave.members.get().run) == (run, run)


def test_second_dispatcher_leaves_the_first_alone(estate):
    make_wave(estate, 1)
    token = wave_dispatch._hold(NOW)
    assert token
    assert dispatch(NOW + wave_dispatch.LEASE / 2) == 0
    assert dispatch(NOW + 2 * wave_dispatch.LEASE) == 1


def test_machine_that_cannot_be_planned_is_refused_and_the_others_go_on(estate):
    wave = make_wave(estate, 2, start=False)
    Disk.objects.filter(vm=estate.vm).delete()
    waves.wave_start(wave=wave, by=estate.operator)
    assert dispatch() == 1
    assert sorted(standings(wave)) == ["queued", "refused"]
    assert "no disk" in wave.members.get(vm=estate.vm).error


def test_target_that_is_away_refuses_nobody_and_is_asked_once_a_round(estate, monkeypatch):
    asked = []

    def away(self):
        asked.append(self)
        raise TargetError("connection refused")

    monkeypatch.setattr(FakeTarget, "probe", away)
    wave, other = make_wave(estate, 1), make_wave(estate, 3)
    assert dispatch() == 0
    assert (standings(wave), standings(other)) == (["waiting"], ["waiting"] * 3)
    assert "connection refused" in wave.members.first().error
    assert len(asked) == 1


def test_dispatcher_holds_on_while_it_starts_and_stops_where_another_took_over(estate, monkeypatch):
    make_wave(estate, 3, concurrency=3)
    held = []

    def start(member, *, now, then):
        held.append(Dispatcher.objects.get().held_until)
        if len(held) == 2:
            Dispatcher.objects.update(token=uuid.uuid4())
        return True

    monkeypatch.setattr(wave_dispatch, "start", start)
    assert dispatch(timezone.now() - timedelta(seconds=55)) == 2
    assert min(held) > timezone.now() + wave_dispatch.LEASE / 2


def test_machine_that_somebody_moves_by_hand_waits_its_turn(estate):
    run = pipeline.run_start(**estate.launch())
    wave = make_wave(estate, 1)
    assert (dispatch(), standings(wave)) == (0, ["waiting"])
    end(MigrationRun.objects.filter(pk=run.pk))
    assert dispatch() == 1


def test_wave_stops_after_so_many_failures_and_goes_on_when_somebody_has_looked(estate):
    wave = make_wave(estate, 3, concurrency=1, stop_after=1)
    dispatch()
    end(MigrationRun.objects.all(), RunState.FAILED)
    assert dispatch() == 0
    wave.refresh_from_db()
    assert (wave.state, "1 of its machines failed" in wave.reason) == (WaveState.STOPPED, True)
    waves.wave_resume(wave=wave, by=estate.operator)
    assert dispatch() == 1


def test_failed_ones_only_are_tried_again(estate, run_all, world):
    from migrations_engine.models import StepRun

    wave = make_wave(estate, 3, concurrency=3)
    dispatch()
    failed, lost, good = (member.run for member in wave.members.select_related("run"))
    end(MigrationRun.objects.filter(pk=good.pk))
    end(MigrationRun.objects.filter(pk=lost.pk), RunState.ROLLED_BACK)
    end(MigrationRun.objects.filter(pk=failed.pk), RunState.FAILED)
    StepRun.objects.filter(run=failed, name="migrate").update(state="failed")
    dispatch()
    waves.wave_retry_failed(wave=wave, by=estate.operator)
    assert dispatch() == 2
    again = {member.run_id: member.attempt for member in wave.members.all()}
    assert again[failed.pk] == again[good.pk] == 1  # the failed run itself goes on
    assert lost.pk not in again
    assert standings(wave).count("queued") == 2


def test_paused_wave_starts_nothing_and_a_cancelled_one_neither(estate):
    wave = make_wave(estate, 2, concurrency=1)
    waves.wave_pause(wave=wave, by=estate.operator)
    assert dispatch() == 0
    waves.wave_resume(wave=wave, by=estate.operator)
    assert dispatch() == 1
    waves.wave_cancel(wave=wave, by=estate.operator)
    end(MigrationRun.objects.all())
    assert dispatch() == 0
    assert AuditEntry.objects.filter(action__startswith="wave.", object_id=str(wave.pk)).count() >= 5


def test_runs_have_the_terms_of_their_wave(estate):
    make_wave(estate, 1, commit="timed", confirm_minutes=7)
    dispatch()
    assert MigrationRun.objects.get().terms.commit == Commit.TIMED


# --- approval, steering ----------------------------------------------------------------------------------------------


def test_wave_that_needs_approval_waits_for_it(estate):
    wave = make_wave(estate, 1, needs_approval=True)
    assert (wave.state, dispatch()) == (WaveState.APPROVAL, 0)
    waves.wave_approve(wave=wave, by=estate.operator)
    assert dispatch() == 1


def test_four_eyes_are_two_people(estate):
    waves.policy_set(
        department=estate.department, four_eyes=True, by=factories.make_member(estate.department, "admin")
    )
    wave = make_wave(estate, 1)
    assert wave.state == WaveState.APPROVAL
    with pytest.raises(NotAllowed, match="four eyes"):
        waves.wave_approve(wave=wave, by=estate.operator)
    colleague = factories.make_member(estate.department, "operator")
    assert waves.wave_approve(wave=wave, by=colleague).approved_by == colleague


def test_running_wave_is_not_changed_under_the_dispatcher(estate):
    wave = make_wave(estate, 1)
    with pytest.raises(Refused, match="pause"):
        waves.wave_update(wave=wave, by=estate.operator, concurrency=9)
    with pytest.raises(Refused, match="pause"):
        wave_members.members_add(wave=wave, vms=more_vms(estate, 1), by=estate.operator)


def test_waves_do_not_wait_for_each_other_in_a_circle(estate):
    first = make_wave(estate, 1, start=False)
    second = make_wave(estate, 1, start=False, after=first)
    with pytest.raises(BadInput, match="circle"):
        waves.wave_update(wave=first, by=estate.operator, after=second)


def test_draft_is_deleted_and_history_is_not(estate):
    wave, draft = make_wave(estate, 1), make_wave(estate, 1, start=False)
    waves.wave_delete(wave=draft, by=estate.operator)
    with pytest.raises(Refused):
        waves.wave_delete(wave=wave, by=estate.operator)
    assert list(Wave.objects.all()) == [wave]


@pytest.mark.parametrize(
    "verb", [waves.wave_start, waves.wave_approve, waves.wave_pause, waves.wave_resume, waves.wave_cancel]
)
def test_viewer_steers_no_wave(estate, verb):
    wave = make_wave(estate, 1, start=False)
    with pytest.raises(NotAllowed):
        verb(wave=wave, by=factories.make_member(estate.department, "viewer"))


def test_member_whose_starter_lost_the_role_is_refused(estate):
    wave = make_wave(estate, 1)
    estate.operator.memberships.update(role="viewer")
    assert dispatch() == 0
    assert "needs the role operator" in WaveMember.objects.get(wave=wave).error


def test_target_of_a_wave_is_not_deleted_under_it(estate):
    make_wave(estate, 1, start=False, target=estate.target)
    with pytest.raises(Refused, match="Waves go to this target"):
        target_delete(target=estate.target, by=factories.make_user(superuser=True))
