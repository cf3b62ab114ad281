"""The command line and the admin: other doors to the same services."""

import io
import json

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from analyzer.models import SourceEndpoint, VMPersona
from analyzer.scanner.scan import UnreadableImage
from analyzer.services import scan_reading
from personas.models import AuditEntry
from tests.factories import (
    make_department,
    make_facts,
    make_package,
    make_persona,
    make_scan,
    make_source,
    make_user,
    make_vm,
)

pytestmark = pytest.mark.django_db


def recommend(vm, *options):
    out = io.StringIO()
    call_command("recommend", "--vm", str(vm), *options, stdout=out)
    return out.getvalue()


@pytest.fixture
def web_facts():
    return make_facts(packages=(make_package("nginx", section="httpd"),))


def test_recommend_prints_the_ranking_as_json(web_facts):
    persona = make_persona("WebDev", hints=["nginx"])
    make_persona("DatabaseAdmin", hints=["postgresql"])
    vm = make_scan(facts=web_facts).vm
    told = json.loads(recommend(vm.pk, "--json"))
    assert told["persona"] == str(persona.pk)
    assert [each["name"] for each in told["ranking"]] == ["WebDev", "DatabaseAdmin"]
    assert told["ranking"][0]["for"]
    assert told["ranking"][1]["against"]


def test_recommend_prints_names_as_they_are():
    make_persona("Web [red]", hints=["nginx"])
    vm = make_vm(name="web[/b]")
    make_scan(vm, facts=make_facts(packages=(make_package("nginx", section="httpd"),)))
    told = recommend(vm.pk)
    assert told.startswith("web[/b]: Web [red]")
    assert told.count("Web [red]") == 2


def test_recommend_scans_a_machine_that_was_never_scanned(tmp_path, monkeypatch, web_facts):
    make_persona("WebDev", hints=["nginx"])
    disk = tmp_path / "d.raw"
    disk.write_bytes(b"d")
    vm = make_vm(path=disk)
    monkeypatch.setattr(scan_reading, "scan_disks", lambda disks: web_facts)
    assert json.loads(recommend(vm.pk, "--json"))["persona"]
    assert "WebDev" in recommend(vm.pk)


def test_recommend_says_why_there_is_no_answer(tmp_path, monkeypatch):
    disk = tmp_path / "d.raw"
    disk.write_bytes(b"d")

    def unreadable(disks):
        raise UnreadableImage("it is encrypted")

    monkeypatch.setattr(scan_reading, "scan_disks", unreadable)
    with pytest.raises(CommandError, match="it is encrypted"):
        recommend(make_vm(path=disk).pk)
    with pytest.raises(CommandError, match="no machine"):
        recommend("00000000-0000-0000-0000-000000000000")


def test_the_admin_writes_sources_through_the_service(client, tmp_path, settings):
    settings.IMAGE_ROOTS = [tmp_path]
    client.force_login(make_user(superuser=True))
    add = reverse("admin:analyzer_sourceendpoint_add")
    department = make_department()
    body = {"name": "lab", "kind": "images", "location": "/etc", "rescan": "daily"}
    body["department"] = str(department.pk)
    assert "IMAGE_ROOTS" in client.post(add, body, follow=True).content.decode()
    assert not SourceEndpoint.objects.exists()
    client.post(add, body | {"location": str(tmp_path)})
    source = SourceEndpoint.objects.get()
    assert source.rescan == "daily"
    assert AuditEntry.objects.filter(action="source.create", object_id=str(source.pk)).exists()
    client.post(reverse("admin:analyzer_sourceendpoint_delete", args=[source.pk]), {"post": "yes"})
    assert not SourceEndpoint.objects.exists()


def test_the_admin_gives_personas_through_the_service(client):
    client.force_login(make_user(superuser=True))
    vm, foreign = make_vm(), make_persona(department=make_department())
    add = reverse("admin:analyzer_vmpersona_add")
    body = {"vm": str(vm.pk), "use_case": "default", "priority": 100}
    assert "another department" in client.post(add, body | {"persona": str(foreign.pk)}, follow=True).content.decode()
    client.post(add, body | {"persona": str(make_persona().pk)})
    assert VMPersona.objects.count() == 1


def test_every_admin_list_opens(client):
    client.force_login(make_user(superuser=True))
    make_scan(make_vm(source=make_source()))
    for model in ("sourceendpoint", "virtualmachine", "vmpersona", "scan", "recommendation", "feedback", "usageseries"):
        assert client.get(reverse(f"admin:analyzer_{model}_changelist")).status_code == 200, model
