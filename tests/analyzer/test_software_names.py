"""Software that we do not know by its name: built in for Windows, extended by an administrator, in force at once."""

import pytest
from django.urls import reverse

from analyzer.domain.facts import Package, Service
from analyzer.domain.name_mapping import NameMapping, NameRule, built_in, named
from analyzer.domain.software import meaning, workload
from analyzer.models import Fingerprint, SoftwareName
from analyzer.services import software_names
from analyzer.services.recommendations import ranking_of, recommendation_accept
from analyzer.services.software_names import (
    fingerprints_refresh,
    software_name_create,
    software_name_delete,
    software_name_update,
)
from personas.errors import BadInput, NotAllowed
from tests.factories import (
    make_department,
    make_facts,
    make_member,
    make_package,
    make_persona,
    make_scan,
    make_vm,
)


def of(manager, *names):
    return make_facts(
        packages=tuple(Package(name=n, version="1", manager=manager, manual=None) for n in names)
    )


def test_every_built_in_name_means_software_that_is_known():
    assert [rule for rule in built_in() if rule.means and not meaning(rule.means)[0]] == []


@pytest.mark.parametrize(
    ("name", "trade"),
    [
        ("Microsoft SQL Server 2019 (64-bit)", "database"),
        ("IIS 10.0 Express", "web"),
        ("PostgreSQL 15", "database"),
        ("Microsoft Exchange Server 2016", "mail"),
        ("Zabbix Agent (64-bit)", "monitoring"),
    ],
)
def test_windows_software_is_known_by_its_own_names(name, trade):
    facts = of("windows", name, "7-Zip 22.01 (x64)", "VMware Tools")
    evidence = workload(named(facts, NameMapping(built_in()))).evidence
    assert max(evidence, key=evidence.__getitem__) == trade


@pytest.mark.parametrize(
    ("rule", "name", "means"),
    [
        ("acme-httpd", "acme-httpd", "nginx"),
        ("acme-httpd", "acme-httpd-24.x86_64", "nginx"),
        ("acme-httpd", "acme-httpd.service", "nginx"),
        ("acme-httpd", "acme-httpd-libs", None),
        ("Acme Billing*", "ACME billing 2024 (x64)", "nginx"),
        ("a[c", "a[c", "nginx"),  # no pattern, but no error either
    ],
)
def test_a_rule_meets_the_name_whatever_its_version_and_case(rule, name, means):
    assert NameMapping([NameRule(rule, "nginx")]).means(name) == means


def test_the_first_rule_counts_and_an_empty_one_silences():
    mapping = NameMapping([NameRule("nginx", ""), NameRule("ngin*", "postgresql")])
    facts = make_facts(packages=(make_package("nginx"),), services=(Service(name="nginx.service", enabled=True),))
    assert workload(named(facts, mapping)).evidence == {}
    assert named(facts, NameMapping([])) == facts


def test_the_name_on_the_machine_stays_beside_what_it_means():
    facts = named(of("rpm", "acme-httpd"), NameMapping([NameRule("acme-httpd", "nginx")]))
    assert [each.name for each in facts.packages] == ["acme-httpd", "nginx"]
    assert named(facts, NameMapping([NameRule("acme-httpd", "nginx")])) == facts


@pytest.fixture
def team():
    return make_department()


@pytest.fixture
def boss(team):
    return make_member(team, "admin")


@pytest.fixture
def web(team):
    make_persona("DatabaseAdmin", department=team)
    return make_persona("WebDev", department=team)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("manager", "name", "rule"),
    [("rpm", "acme-httpd24", "acme-httpd24"), ("windows", "Acme Web Front 7 (x64)", "Acme Web Front*")],
)
def test_a_name_that_an_admin_explains_changes_the_suggestion_at_once(team, boss, web, manager, name, rule):
    scan = make_scan(make_vm(team), facts=of(manager, name, "bash"))
    assert scan.recommendations.get().persona is None
    software_name_create(name=rule, means="nginx", department=team, by=boss)
    made = scan.vm.recommendations.get()
    assert made.persona == web
    assert scan.vm.fingerprint.persona == web
    row = SoftwareName.objects.get()
    software_name_update(row=row, by=boss, means="postgresql")
    assert scan.vm.recommendations.get().persona.name == "DatabaseAdmin"
    software_name_delete(row=row, by=boss)
    assert scan.vm.recommendations.get().persona is None


@pytest.mark.django_db
def test_only_machines_with_the_name_are_looked_at_and_the_rest_later(team, boss, web, monkeypatch):
    monkeypatch.setattr(software_names, "AT_ONCE", 1)
    for _ in range(3):
        make_scan(make_vm(team), facts=of("rpm", "acme-httpd"))
    other = make_scan(make_vm(team), facts=of("rpm", "other"))
    strange = make_scan(make_vm(make_department()), facts=of("rpm", "acme-httpd"))
    software_name_create(name="acme-httpd", means="nginx", department=team, by=boss)
    assert Fingerprint.objects.filter(persona=web).count() == 1
    assert not Fingerprint.objects.filter(vm__in=[other.vm, strange.vm], stale=True).exists()
    assert (fingerprints_refresh(), fingerprints_refresh()) == (2, 0)
    assert Fingerprint.objects.filter(persona=web).count() == 3


@pytest.mark.django_db
def test_the_departments_own_word_counts_before_the_organisations(team, boss, web):
    SoftwareName.objects.create(name="acme-httpd", means="postgresql")
    software_name_create(name="acme-httpd", means="nginx", department=team, by=boss)
    ranking = ranking_of(vm=make_vm(team), facts=of("rpm", "acme-httpd"))
    assert ranking.best.persona == str(web.pk)


@pytest.mark.django_db
def test_answered_suggestions_stay_answered(team, boss, web):
    scan = make_scan(make_vm(team), facts=of("rpm", "nginx", "acme-httpd"))
    recommendation_accept(recommendation=scan.recommendations.get(), by=boss)
    software_name_create(name="acme-httpd", means="nginx", department=team, by=boss)
    assert [each.state for each in scan.vm.recommendations.all()] == ["claimed"]


@pytest.mark.django_db
def test_what_it_is_must_be_known_or_a_hint(team, boss):
    with pytest.raises(BadInput, match="is not known"):
        software_name_create(name="acme", means="zorblax", department=team, by=boss)
    make_persona("Zorb", department=team, hints=["zorblax"])
    assert software_name_create(name="acme", means="zorblax", department=team, by=boss)
    with pytest.raises(NotAllowed):
        software_name_create(name="acme", means="nginx", department=None, by=boss)


@pytest.mark.django_db
def test_it_is_told_by_page_by_api_and_in_the_admin(team, boss, client, admin_client):
    client.force_login(boss)
    asked = {"name": "acme-httpd", "means": "zorblax", "department": team.pk}
    page = client.post(reverse("analyzer:softwarename_create"), asked)
    assert "is not known, and no persona hints at it" in page.content.decode()
    client.post(reverse("analyzer:softwarename_create"), asked | {"means": "nginx"})
    row = SoftwareName.objects.get()
    listed = client.get(reverse("analyzer:softwarename_list")).content.decode()
    assert "acme-httpd" in listed
    told = client.patch(f"/api/v1/software-names/{row.pk}/", {"means": ""}, content_type="application/json")
    assert (told.status_code, told.json()["means"]) == (200, "")
    admin_client.post(reverse("admin:analyzer_softwarename_add"), {"name": "x", "means": "redis", "department": ""})
    assert SoftwareName.objects.filter(name="x", department=None).exists()
    client.post(reverse("analyzer:softwarename_delete", args=[row.pk]))
    assert not SoftwareName.objects.filter(pk=row.pk).exists()
