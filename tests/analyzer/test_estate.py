"""The pages and endpoints of the estate: map, bulk assignment, drafts, and the recommender of a department."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from analyzer.domain.cost import cost
from analyzer.domain.map_picture import circles, drawing
from analyzer.models import PersonaDraft, Recommendation, VMPersona
from analyzer.services import estate
from analyzer.services.drafts import drafts_refresh
from analyzer.services.estate import estate_count, estate_of
from analyzer.services.learning import model_of, recommender_of
from analyzer.services.vm_personas import vm_persona_assign
from personas.models import Persona
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


@pytest.fixture
def team():
    return make_department()


@pytest.fixture
def boss(team, client):
    boss = make_member(team, "admin")
    client.force_login(boss)
    return boss


def scanned(department, *names, **columns):
    return make_scan(make_vm(department, **columns), facts=make_facts(packages=tuple(map(make_package, names)))).vm


def link_to(vm):
    return f'href="{vm.fingerprint.cell_x}-{vm.fingerprint.cell_y}/"'


def test_the_map_shows_what_the_reader_may_see(client, team, boss):
    web = make_persona("WebDev", department=team)
    ours = scanned(team, "nginx", vcpus=4, memory_mib=16384)
    foreign = scanned(make_department("Strangers"), "stellarium", "kstars")
    page = client.get(reverse("analyzer:estate"))
    assert link_to(ours) in page.text
    assert link_to(foreign) not in page.text
    place = reverse("analyzer:estate_cell", args=[ours.fingerprint.cell_x, ours.fingerprint.cell_y])
    assert ours.name in client.get(place).text
    cells = client.get("/api/v1/estate/cells/").json()
    told = [(cell["count"], cell["cost"], cell["persona"], cell["name"]) for cell in cells]
    assert told == [(1, 6.0, str(web.pk), "WebDev")]


def test_a_large_estate_is_shown_as_the_clock_counted_it(client, team, boss, monkeypatch):
    make_persona("WebDev", department=team)
    for name in ("nginx", "nginx", "stellarium"):
        scanned(team, name, vcpus=4)
    foreign = scanned(make_department("Strangers"), "redis-server")
    as_of_now = estate_of(boss)
    estate_count(now=timezone.now() - timedelta(minutes=15))
    estate_count(now=timezone.now() - timedelta(minutes=5))
    assert estate_of(boss) == as_of_now and as_of_now.counted_at is None  # not large
    monkeypatch.setattr(estate, "LARGE", 3)
    scanned(team, "postgresql-15")
    counted = estate_of(boss)
    assert (counted.cells, counted.kinds) == (as_of_now.cells, as_of_now.kinds)
    page = client.get(reverse("analyzer:estate"))
    assert "Counted" in page.text and link_to(foreign) not in page.text
    estate_count(now=timezone.now())
    assert sum(cell["count"] for cell in estate_of(boss).cells) == 4


def test_the_most_common_persona_has_the_first_colour():
    cells = [
        {"x": 1, "y": 1, "count": 9, "cost": 9.0, "persona": 1, "name": "WebDev"},
        {"x": 2, "y": 1, "count": 1, "cost": 36.0, "persona": None, "name": ""},
    ]
    drawn, legend = circles(cells)
    assert legend == [("WebDev", 0, 9), ("No good fit", 10, 1)]
    assert [each.r for each in drawn] == ["10.0", "16.0"]  # the area by cost, not by number
    assert drawn[1].label == "1 machine, cost of 36 vCPUs, mostly no good fit"


def test_the_name_of_a_persona_is_escaped_in_the_drawing():
    drawn, _ = circles([{"x": 1, "y": 1, "count": 9, "cost": 9.0, "persona": 1, "name": '<b>"&'}])
    assert drawing(drawn).count("mostly &lt;b&gt;&quot;&amp;") == 2 and "<b>" not in drawing(drawn)


@pytest.mark.parametrize(
    ("vcpus", "memory_mib", "vcpus_worth"), [(4, 8192, 5), (2, None, 2.25), (None, None, 1.25), (1, 65536, 9)]
)
def test_cost_is_told_in_vcpus(vcpus, memory_mib, vcpus_worth):
    assert cost(vcpus, memory_mib) == vcpus_worth


def test_many_machines_get_a_persona_after_a_preview(client, team, boss):
    web, other = make_persona("WebDev", department=team), make_persona("Editor", department=team)
    machines = [scanned(team, "nginx") for _ in range(3)]
    vm_persona_assign(vm=machines[2], persona=other, by=boss)
    asked = {"vm": [str(vm.pk) for vm in machines], "persona": str(other.pk)}
    preview = client.post(reverse("analyzer:vms_assign"), asked)
    assert "Give Editor to these 2 machines?" in preview.text
    assert "It carries it already." in preview.text
    assert VMPersona.objects.count() == 1
    client.post(reverse("analyzer:vms_assign"), {**asked, "confirmed": "on"})
    assert {row.persona for row in VMPersona.objects.all()} == {other}
    assert VMPersona.objects.count() == 3
    assert web.vm_personas.count() == 0


def test_a_viewer_assigns_nothing(client, team):
    persona, vm = make_persona("WebDev", department=team), scanned(team, "nginx")
    client.force_login(make_member(team, "viewer"))
    asked = {"vm": [str(vm.pk)], "persona": str(persona.pk), "confirmed": "on"}
    assert client.post(reverse("analyzer:vms_assign"), asked).status_code == 403
    assert not VMPersona.objects.exists()


def test_a_machine_that_outgrew_its_persona_is_listed(client, team, boss):
    web, data = make_persona("WebDev", department=team), make_persona("DatabaseAdmin", department=team)
    vm = scanned(team, "postgresql-15", "pgbadger", "pgtop")
    vm_persona_assign(vm=vm, persona=web, by=boss)
    page = client.get(reverse("analyzer:outgrown_list")).text
    assert vm.name in page
    assert data.name in page


def test_a_draft_is_named_and_approved_on_its_page(client, team, boss):
    make_persona("WebDev", department=team)
    machines = [scanned(team, "stellarium", "kstars") for _ in range(3)]
    client.post(reverse("analyzer:drafts_refresh"))
    draft = PersonaDraft.objects.get()
    page = client.get(draft.get_absolute_url()).text
    assert all(vm.name in page for vm in machines)
    form = client.get(reverse("analyzer:draft_approve", args=[draft.pk])).context["form"]
    mended = {name: form[name].value() for name in form.fields} | {"name": "Star gazers"}
    assert client.post(reverse("analyzer:draft_approve", args=[draft.pk]), mended).status_code == 302
    assert Persona.objects.get(name="Star gazers").department == team


def test_drafts_are_answered_over_the_api(client, team, boss):
    first, second = make_draft(team), make_draft(team, key="games", document={"name": "G", "settings": {}})
    approved = client.post(f"/api/v1/drafts/{first.pk}/approve/", {}, "application/json")
    assert approved.status_code == 201
    assert approved.json()["persona"] == str(Persona.objects.get(name="Sky watchers").pk)
    assert client.post(f"/api/v1/drafts/{second.pk}/dismiss/").json()["state"] == "dismissed"
    assert client.post(f"/api/v1/drafts/{second.pk}/approve/", {}, "application/json").status_code == 409
    assert client.post(f"/api/v1/departments/{team.pk}/drafts/").json() == {"open": 0}


def test_a_persona_that_is_not_valid_leaves_the_draft_open(client, team, boss):
    draft = make_draft(team)
    wrong = {"document": {"name": "X", "settings": {"resources": {"vcpus": "many"}}}}
    refused = client.post(f"/api/v1/drafts/{draft.pk}/approve/", wrong, "application/json")
    assert refused.status_code == 400
    draft.refresh_from_db()
    assert draft.state == "open"
    assert not Persona.objects.exists()


def test_none_fits_is_answered_on_the_page(client, team, boss):
    make_persona("WebDev", department=team)
    vm = scanned(team, "nginx")
    suggestion = Recommendation.objects.get(vm=vm)
    address = reverse("analyzer:recommendation_none_fits", args=[suggestion.pk])
    assert address in client.get(vm.get_absolute_url()).text
    client.post(address, {"reason": "a phone system"})
    assert suggestion.feedback.get().verdict == "none_fits"


def test_the_recommender_is_switched_on_its_page_and_over_the_api(client, team, boss):
    page = reverse("analyzer:recommender_detail", args=[team.pk])
    client.post(page, {"deed": "shadow"})
    assert "In the shadow" in client.get(page).text
    address = f"/api/v1/departments/{team.pk}/recommender/"
    told = client.patch(address, {"shadow": False, "shares": True}, "application/json").json()
    assert (told["shadow"], told["shares"], told["enabled"]) == (False, True, True)
    assert client.post(f"{address}promote/").status_code == 409
    assert client.post(f"{address}reset/").json()["version"] == 0
    assert model_of(recommender_of(team)).version == 0


def test_a_machine_that_was_answered_is_no_longer_drafted(client, team, boss):
    make_persona("WebDev", department=team)
    machines = [scanned(team, "stellarium", "kstars") for _ in range(3)]
    vm_persona_assign(vm=machines[0], persona=make_persona("Anything", department=team), by=boss)
    assert drafts_refresh(department=team) == 0


def test_the_nearest_known_machine_is_told(client, team, boss):
    web = make_persona("WebDev", department=team)
    known, far, asked = (
        scanned(team, "nginx", "php8.2-fpm"),
        scanned(team, "nginx", "samba"),
        scanned(team, "nginx"),
    )
    for vm in (known, far):
        vm_persona_assign(vm=vm, persona=web, by=boss)
    assert f">{known.name}</a>, which carries WebDev." in client.get(asked.get_absolute_url()).text
    made = asked.recommendations.get()
    told = client.get(f"/api/v1/recommendations/{made.pk}/").json()
    assert (told["nearest"]["vm"], told["nearest"]["name"]) == (str(known.pk), known.name)
    assert told["no_fit"] == made.no_fit and 0 < told["nearest"]["likeness"] <= 1
    assert client.post(f"/api/v1/recommendations/{made.pk}/accept/", {}, "application/json").json()["nearest"]
    alone = scanned(team, "stellarium").recommendations.get()
    assert client.get(f"/api/v1/recommendations/{alone.pk}/").json()["nearest"] is None
