"""The whole estate: scored again when learning or personas change, and what fits nothing becomes drafts."""

import pytest

from analyzer.models import Fingerprint, PersonaDraft, Recommendation
from analyzer.models.fleet import DraftState
from analyzer.services.drafts import draft_approve, draft_dismiss, drafts_refresh, drafts_refresh_asked
from analyzer.services.fleet import fleet_rescore
from analyzer.services.recommendations import recommendation_choose_other
from analyzer.services.software_names import fingerprints_refresh
from analyzer.services.vm_personas import vm_persona_assign
from analyzer.tasks import fleet
from personas.errors import NotAllowed, Refused
from personas.models import AuditEntry
from tests.factories import (
    make_department,
    make_draft,
    make_facts,
    make_member,
    make_package,
    make_persona,
    make_scan,
    make_vm,
)

pytestmark = pytest.mark.django_db
STARS = ("stellarium", "kstars", "python3-astropy")


@pytest.fixture
def team():
    return make_department()


@pytest.fixture
def boss(team):
    return make_member(team, "admin")


def scanned(team, *names):
    facts = make_facts(packages=tuple(make_package(name) for name in names))
    return make_scan(make_vm(team, vcpus=2, memory_mib=2048), facts=facts).vm


@pytest.fixture
def observatory(team):
    make_persona("WebDev", department=team)
    return [scanned(team, *STARS) for _ in range(4)]


def answer(vm):
    row = Fingerprint.objects.get(vm=vm)
    return row.persona, row.score, row.no_fit


def test_a_scan_leaves_a_fingerprint_with_the_answer_of_the_ranking(team):
    web = make_persona("WebDev", department=team)
    vm = scanned(team, "nginx", "php8.2-fpm")
    row = vm.fingerprint
    assert (row.persona, row.kind) == (web, "web")
    assert row.score == vm.recommendations.get().ranking[0]["score"]


def test_the_fleet_says_what_the_ranking_of_one_machine_says(team):
    make_persona("WebDev", department=team), make_persona("DatabaseAdmin", department=team)
    machines = [scanned(team, "nginx"), scanned(team, "postgresql-15", "nginx"), scanned(team, *STARS)]
    before = [answer(vm) for vm in machines]
    assert fleet_rescore()["scored"] == 3
    for (persona, score, no_fit), vm in zip(before, machines, strict=True):
        assert answer(vm) == (persona, pytest.approx(score, abs=0.002), pytest.approx(no_fit, abs=0.002))


def test_a_second_run_finds_nothing_to_do(observatory):
    assert fleet_rescore() == {"scored": 4, "suggested": 0}
    assert fleet_rescore() == {"scored": 0, "suggested": 0}


def test_a_new_persona_reaches_machines_that_nobody_has_answered_for(team, observatory):
    fleet_rescore()
    stars = make_persona("Astronomer", department=team, description="Telescopes and sky surveys: astronomy")
    assert fleet_rescore() == {"scored": 4, "suggested": 4}
    assert {each.persona for each in Recommendation.objects.filter(vm__in=observatory)} == {stars}


def test_an_answer_has_the_others_scored_again(team, boss):
    stars, _ = make_persona("Team blue", department=team), make_persona("WebDev", department=team)
    machines = [scanned(team, "acme-billing", "acme-agent") for _ in range(6)]
    fleet_rescore()
    for vm in machines[:4]:
        recommendation_choose_other(recommendation=vm.recommendations.get(), persona=stars, by=boss)
    assert fleet_rescore()["scored"] == 6
    assert answer(machines[5])[0] == stars


def test_machines_whose_software_says_another_persona_have_outgrown_theirs(team, boss):
    web, data = make_persona("WebDev", department=team), make_persona("DatabaseAdmin", department=team)
    grown, fitting = (
        scanned(team, "postgresql-15", "pgbadger", "pgtop"),
        scanned(team, "nginx", "php-fpm", "wordpress"),
    )
    for vm in (grown, fitting):
        vm_persona_assign(vm=vm, persona=web, by=boss)
    fleet_rescore()
    assert [row.vm for row in Fingerprint.objects.outgrown()] == [grown]
    vm_persona_assign(vm=grown, persona=data, by=boss, use_case="reports")
    assert not Fingerprint.objects.outgrown().exists()


def of_an_older_form(vm):
    scan = vm.fingerprint.scan
    scan.facts = scan.facts | {"forgotten": []}
    scan.save()


def test_facts_of_an_older_form_stop_no_other_machine(team, observatory, monkeypatch):
    monkeypatch.setattr("analyzer.services.fleet.ANEW", 1)
    vms = sorted((scanned(team, "nginx"), scanned(team, "nginx")), key=lambda vm: vm.pk)
    Recommendation.objects.filter(vm__in=vms).update(persona=make_persona("Mail", department=team))
    for vm in (vms[0], observatory[0]):
        of_an_older_form(vm)
    Fingerprint.objects.filter(vm=vms[0]).update(stale=True)
    assert fleet_rescore()["suggested"] == 1
    assert vms[1].recommendations.first().persona.name == "WebDev"
    assert drafts_refresh(department=team) == 1
    assert fingerprints_refresh() == 0 and not Fingerprint.objects.filter(stale=True).exists()


def test_a_draft_that_another_worker_just_began_is_taken_over(team, observatory, monkeypatch):
    def faster(department):
        make_draft(team)
        return {}

    monkeypatch.setattr("analyzer.services.drafts._choices", faster)
    assert drafts_refresh(department=team) == 1
    assert PersonaDraft.objects.get().member_count == 4


def test_what_fits_nothing_becomes_one_draft(team, observatory):
    scanned(team, "nginx")
    assert drafts_refresh(department=team) == 1
    draft = PersonaDraft.objects.get()
    assert (draft.key, draft.department, set(draft.members.all())) == ("astronomy", team, set(observatory))
    assert draft.document["settings"]["resources"] == {"vcpus": 2, "memory_mib": 2048, "root_disk_gib": 1}
    assert {"stellarium", "kstars"} <= set(draft.document["hints"])


def test_a_draft_is_the_same_row_after_another_run(team, observatory):
    drafts_refresh(department=team)
    before = PersonaDraft.objects.values("pk", "document", "common").get()
    drafts_refresh(department=team)
    assert PersonaDraft.objects.values("pk", "document", "common").get() == before


def test_an_open_draft_goes_when_its_machines_have_found_a_persona(team, boss, observatory):
    drafts_refresh(department=team)
    carried = make_persona("Anything", department=team)
    for vm in observatory[:2]:
        vm_persona_assign(vm=vm, persona=carried, by=boss)
    assert drafts_refresh(department=team) == 0
    assert not PersonaDraft.objects.exists()


def test_an_approved_draft_is_a_persona_that_its_members_are_suggested(team, boss, observatory):
    drafts_refresh(department=team)
    persona = draft_approve(draft=PersonaDraft.objects.get(), by=boss)
    assert (persona.department, persona.resource_allocation_profile.vcpus) == (team, 2)
    fleet()
    assert {each.persona for each in Recommendation.objects.filter(vm__in=observatory)} == {persona}
    assert PersonaDraft.objects.get().state == DraftState.APPROVED
    assert AuditEntry.objects.filter(action="personadraft.approve").exists()


def test_a_dismissed_draft_stays_dismissed(team, boss, observatory):
    drafts_refresh(department=team)
    draft = draft_dismiss(draft=PersonaDraft.objects.get(), by=boss)
    assert drafts_refresh(department=team) == 0
    with pytest.raises(Refused):
        draft_approve(draft=draft, by=boss)


def test_a_persona_that_says_nearly_the_same_is_pointed_out(team, observatory):
    drafts_refresh(department=team)
    assert PersonaDraft.objects.get().like is None
    stars = make_persona("Team red", department=team, hints=["stellarium", "python3-astropy"])
    Fingerprint.objects.update(persona=None)
    drafts_refresh(department=team)
    assert PersonaDraft.objects.get().like == stars


def test_only_admins_answer_drafts(team, observatory):
    drafts_refresh(department=team)
    operator, draft = make_member(team, "operator"), PersonaDraft.objects.get()
    for act in (
        lambda: draft_approve(draft=draft, by=operator),
        lambda: draft_dismiss(draft=draft, by=operator),
        lambda: drafts_refresh_asked(department=team, by=operator),
    ):
        with pytest.raises(NotAllowed):
            act()
