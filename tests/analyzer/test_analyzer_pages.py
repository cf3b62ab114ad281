"""The pages: what a reader sees, what an operator does, what a stranger never learns."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from analyzer.domain.facts import (
    BootSpan,
    Concern,
    Filesystem,
    Journal,
    Kernel,
    Listening,
    Nic,
    OutOfMemory,
    Service,
    UnitUse,
    User,
)
from analyzer.models import Feedback, Scan, SourceEndpoint, UsageSeries, VirtualMachine, VMPersona
from analyzer.models.scan import ScanState
from personas.models import Persona
from tests.factories import (
    make_department,
    make_facts,
    make_member,
    make_package,
    make_persona,
    make_scan,
    make_source,
    make_vm,
)

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.once,  # tests/access opens each page and sends each form on PostgreSQL too
]

HOSTILE = "<script>alert('x')</script>"


@pytest.fixture
def department():
    return make_department("Web")


@pytest.fixture
def vm(department):
    return make_vm(department, name="web01")


@pytest.fixture
def admin(client, department):
    client.force_login(make_member(department, "admin"))
    return client


@pytest.fixture
def operator(client, department):
    client.force_login(make_member(department, "operator"))
    return client


@pytest.fixture
def viewer(client, department):
    client.force_login(make_member(department, "viewer"))
    return client


@pytest.fixture
def stranger(client):
    client.force_login(make_member(make_department("Other"), "admin"))
    return client


@pytest.fixture
def persona():
    return make_persona("WebDev", hints=["nginx"])


@pytest.fixture
def scanned(vm, persona):
    facts = make_facts(
        hostname=HOSTILE,
        packages=(make_package("nginx", section="httpd"), make_package(HOSTILE, manual=False)),
        services=(Service(name="nginx.service", enabled=True),),
        kernels=(Kernel(version="6.1.0-44-cloud-amd64", default=True),),
        filesystems=(
            Filesystem(device="p1", kind="ext4", mount_point="/", size_bytes=2**30, used_bytes=2**29),
            Filesystem(device="p2", kind="swap", size_bytes=2**28),
        ),
        nics=(Nic(name="ens3", addressing="static", addresses=("10.0.0.5/24",)),),
        listening=(Listening(port=80, service="nginx", evidence="/etc/nginx/sites-enabled/default:22"),),
        users=(User(name="root", uid=0, can_login=True),),
        concerns=(Concern(severity="warning", code="lvm", text="The root file system is on LVM."),),
    )
    return make_scan(vm, facts=facts)


def page(client, name, *args, **query):
    return client.get(reverse(f"analyzer:{name}", args=args), query)


TABS = ["vm_detail", "vm_software", "vm_usage", "vm_personas", "vm_scans"]


def test_every_page_of_a_fresh_machine_says_what_is_missing(viewer, vm):
    for name in TABS:
        response = page(viewer, name, vm.pk)
        assert response.status_code == 200, name
    assert "Not looked into yet" in page(viewer, "vm_detail", vm.pk).content.decode()


def test_the_overview_shows_what_the_disk_said(viewer, vm, scanned):
    text = page(viewer, "vm_detail", vm.pk).content.decode()
    facts = ("Debian GNU/Linux 12", "6.1.0-44-cloud-amd64", "ext4", "10.0.0.5/24", "80/tcp nginx", "on LVM")
    for told in (*facts, "WebDev"):
        assert told in text, told


def test_hostile_names_are_shown_as_text(viewer, vm, scanned):
    for name in (*TABS, "vm_list"):
        response = page(viewer, name, *([] if name == "vm_list" else [vm.pk]))
        assert HOSTILE not in response.content.decode(), name
    assert "&lt;script&gt;" in page(viewer, "vm_software", vm.pk).content.decode()
    assert HOSTILE not in page(viewer, "scan_detail", scanned.pk).content.decode()


def test_a_viewer_sees_no_button_that_is_not_his(viewer, vm, scanned):
    text = page(viewer, "vm_detail", vm.pk).content.decode() + page(viewer, "vm_list").content.decode()
    for words in ("Scan again", "Accept", "Dismiss", "Create a persona", "Scan ticked"):
        assert words not in text, words


def test_a_viewer_is_refused_what_he_has_no_button_for(viewer, vm, scanned):
    suggestion = vm.recommendations.get()
    for name, pk in (
        ("vm_scan", vm.pk),
        ("vm_suggest", vm.pk),
        ("vm_persona_create", vm.pk),
        ("vm_edit", vm.pk),
        ("vm_delete", vm.pk),
        ("recommendation_accept", suggestion.pk),
        ("recommendation_choose", suggestion.pk),
        ("recommendation_dismiss", suggestion.pk),
        ("source_discover", vm.source_id),
        ("source_check", vm.source_id),
        ("source_edit", vm.source_id),
        ("source_delete", vm.source_id),
    ):
        assert viewer.post(reverse(f"analyzer:{name}", args=[pk])).status_code == 403, name
    assert viewer.post(reverse("analyzer:source_create")).status_code == 403
    assert not Feedback.objects.exists()


def test_a_stranger_finds_nothing(stranger, vm, scanned):
    for name in (*TABS, "vm_scan_progress", "vm_edit", "vm_delete", "vm_persona_create"):
        assert page(stranger, name, vm.pk).status_code == 404, name
    assert page(stranger, "vm_usage_series", vm.pk, "cpu_percent").status_code == 404
    assert page(stranger, "scan_detail", scanned.pk).status_code == 404
    assert page(stranger, "source_detail", vm.source_id).status_code == 404
    assert "web01" not in page(stranger, "vm_list").content.decode()
    stranger.post(reverse("analyzer:vm_scan_many"), {"vm": [str(vm.pk)]})
    stranger.post(reverse("analyzer:vm_scan_many"), {"all": "1"})
    assert not Scan.objects.active().exists()


def test_nobody_is_let_in_without_a_login(client, vm):
    for name in TABS:
        assert page(client, name, vm.pk).status_code == 302
    assert page(client, "vm_list").status_code == 302


def test_the_list_searches_filters_sorts_and_tells_when_nothing_fits(viewer, department, scanned):
    make_vm(department, name="db01", os_id="rocky")
    names = lambda **query: [vm.name for vm in page(viewer, "vm_list", **query).context["page_obj"]]  # noqa: E731
    assert names(ordering="-name") == ["web01", "db01"]
    assert names(search="web") == ["web01"]
    assert names(package="nginx") == ["web01"]
    assert names(scan="none") == ["db01"]
    assert "Nothing matches" in page(viewer, "vm_list", search="zzz").content.decode()
    assert page(viewer, "vm_list", source="no-uuid", scan="no-state").status_code == 200


def test_a_list_of_many_needs_few_queries(viewer, department, django_assert_max_num_queries):
    source = make_source(department)
    for number in range(30):
        make_vm(source=source, name=f"vm{number}")
    with django_assert_max_num_queries(20):
        assert page(viewer, "vm_list").status_code == 200


def test_one_machine_is_scanned_and_its_progress_stops_by_itself(operator, vm):
    response = operator.post(reverse("analyzer:vm_scan", args=[vm.pk]), follow=True)
    assert "Waiting for a worker" in response.content.decode()
    assert page(operator, "vm_scan_progress", vm.pk).status_code == 200
    Scan.objects.update(state=ScanState.COMPLETE)
    ended = page(operator, "vm_scan_progress", vm.pk)
    assert (ended.status_code, ended["HX-Refresh"]) == (286, "true")


def test_many_machines_are_scanned_at_once(operator, department, vm):
    gone = make_vm(department, missing_since=vm.created_at)
    make_vm(department, name="other")
    operator.post(reverse("analyzer:vm_scan_many"), {"vm": [str(vm.pk), str(gone.pk)]})
    assert [scan.vm for scan in Scan.objects.active()] == [vm]
    assert 'name="query" value="search=other"' in page(operator, "vm_list", search="other").content.decode()
    operator.post(reverse("analyzer:vm_scan_many"), {"all": "1", "query": "search=other"})
    assert Scan.objects.active().count() == 2
    response = operator.post(reverse("analyzer:vm_scan_many"), {"vm": ["no-uuid"]}, follow=True)
    assert "Nothing to scan" in response.content.decode()


def test_an_unreadable_disk_is_told_on_the_overview(viewer, vm):
    make_scan(vm, state="unreadable", message="unreadable: the image has a backing file")
    assert "the image has a backing file" in page(viewer, "vm_detail", vm.pk).content.decode()


def test_a_suggestion_is_accepted(operator, vm, scanned, persona):
    suggestion = vm.recommendations.get()
    operator.post(reverse("analyzer:recommendation_accept", args=[suggestion.pk]))
    assert VMPersona.objects.get().persona == persona
    again = operator.post(reverse("analyzer:recommendation_accept", args=[suggestion.pk]), follow=True)
    assert "answered already" in again.content.decode()


def test_another_persona_is_chosen_with_a_reason(operator, vm, scanned):
    other = make_persona("DatabaseAdmin")
    suggestion = vm.recommendations.get()
    url = reverse("analyzer:recommendation_choose", args=[suggestion.pk])
    wrong = operator.post(url, {"persona": "", "use_case": "default", "reason": "kept words"})
    assert "kept words" in wrong.content.decode()
    assert (
        operator.post(url, {"persona": other.pk, "use_case": "default", "reason": "dumps"}).status_code == 302
    )
    assert Feedback.objects.get().reason == "dumps"


def test_a_suggestion_is_dismissed_and_asked_for_again(operator, vm, scanned):
    suggestion = vm.recommendations.get()
    assert page(operator, "recommendation_dismiss", suggestion.pk).status_code == 200
    operator.post(reverse("analyzer:recommendation_dismiss", args=[suggestion.pk]), {"reason": "no"})
    assert "Suggest again" in page(operator, "vm_detail", vm.pk).content.decode()
    operator.post(reverse("analyzer:vm_suggest", args=[vm.pk]))
    assert vm.recommendations.filter(state="active").count() == 1


def test_a_persona_is_drafted_from_a_machine_mended_and_kept(admin, vm, scanned):
    form = page(admin, "vm_persona_create", vm.pk).context["form"]
    assert form.initial["hints"] == ["nginx"]
    data = {
        "name": "WebTier",
        "description": "",
        "hints": "nginx\ncaddy",
        "settings": form["settings"].value(),
    }
    response = admin.post(reverse("analyzer:vm_persona_create", args=[vm.pk]), data)
    assert response.status_code == 302
    made = Persona.objects.get(name="WebTier")
    assert (made.department, made.hints) == (vm.department, ["nginx", "caddy"])
    assert {"kind": "tcp", "port": 80} in made.acceptance_checks


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("resources: {vcpus: many}", "resources.vcpus"),
        ("nonsense: 1", "nonsense"),
        ("a: [1", "Line 1: expected"),
        ("a: 2026-13-45", "is not the date"),
        ("just words", "Give a mapping"),
    ],
)
def test_a_wrong_draft_is_told_beside_its_field_and_kept(admin, vm, scanned, settings, told):
    data = {"name": "WebTier", "hints": "nginx", "settings": settings}
    response = admin.post(reverse("analyzer:vm_persona_create", args=[vm.pk]), data)
    assert response.status_code == 200
    assert told in " ".join(response.context["form"].errors["settings"])
    assert settings in response.content.decode()
    assert not Persona.objects.filter(name="WebTier").exists()


def test_a_draft_needs_a_scan(admin, vm):
    response = admin.get(reverse("analyzer:vm_persona_create", args=[vm.pk]), follow=True)
    assert "was not scanned yet" in response.content.decode()


def test_a_machine_is_given_a_persona_and_loses_it(operator, vm, persona):
    url = reverse("analyzer:vm_persona_add", args=[vm.pk])
    operator.post(url, {"persona": persona.pk, "use_case": "nightly", "priority": 7})
    row = VMPersona.objects.get()
    assert (row.use_case, row.priority) == ("nightly", 7)
    assert operator.post(url, {"persona": persona.pk, "use_case": "", "priority": -1}).status_code == 200
    remove = reverse("analyzer:vm_persona_remove", args=[row.pk])
    assert "nightly" in operator.get(remove).content.decode()
    operator.post(remove)
    assert not VMPersona.objects.exists()


def test_people_tell_what_an_image_does_not_know(operator, vm):
    url = reverse("analyzer:vm_edit", args=[vm.pk])
    wrong = operator.post(url, {"vcpus": "x", "memory_mib": 2048, "tags": "no tag"})
    assert set(wrong.context["form"].errors) == {"vcpus", "tags"}
    assert "no tag" in wrong.content.decode()
    operator.post(url, {"vcpus": 2, "memory_mib": 2048, "tags": "cost-centre=4711"})
    vm.refresh_from_db()
    assert (vm.vcpus, vm.memory_mib, vm.tags) == (2, 2048, {"cost-centre": "4711"})


def test_a_missing_machine_is_forgotten_after_asking(admin, vm):
    url = reverse("analyzer:vm_delete", args=[vm.pk])
    assert "still there" in admin.post(url, follow=True).content.decode()
    VirtualMachine.objects.update(missing_since=vm.created_at)
    assert admin.get(url).status_code == 200
    admin.post(url)
    assert not VirtualMachine.objects.exists()


def upload(client, vm, text):
    file = SimpleUploadedFile("usage.csv", text.encode(), content_type="text/csv")
    return client.post(reverse("analyzer:vm_usage_upload", args=[vm.pk]), {"file": file}, follow=True)


def test_usage_is_uploaded_drawn_and_summed_up(operator, vm):
    rows = "".join(f"2024-01-01T{hour:02}:00:00Z,{hour}\n" for hour in range(24))
    text = upload(operator, vm, "t,cpu_percent\n" + rows).content.decode()
    assert "Stored 24 × cpu_percent" in text
    assert reverse("analyzer:vm_usage_series", args=[vm.pk, "cpu_percent"]) in text
    assert "11.5" in text
    drawn = page(operator, "vm_usage_series", vm.pk, "cpu_percent").json()
    assert drawn["series"][0]["values"][:3] == [0, 1, 2]
    assert page(operator, "vm_usage_series", vm.pk, "load").status_code == 404


def test_a_wrong_row_is_told_and_nothing_is_stored(operator, vm):
    text = upload(operator, vm, "t,cpu_percent\n2024-01-01,1\nnever,2\n").content.decode()
    assert "rows.3.t" in text
    assert not UsageSeries.objects.exists()


def test_a_source_is_made_discovered_edited_and_deleted(admin, department, tmp_path, settings):
    settings.IMAGE_ROOTS = [tmp_path]
    url = reverse("analyzer:source_create")
    wrong = admin.post(url, {"name": "lab", "location": "/etc", "department": department.pk})
    assert "IMAGE_ROOTS" in wrong.content.decode()
    assert 'value="/etc"' in wrong.content.decode()
    admin.post(url, {"name": "lab", "location": str(tmp_path), "department": department.pk})
    source = SourceEndpoint.objects.get()
    assert (
        "Looking for machines"
        in admin.post(reverse("analyzer:source_discover", args=[source.pk]), follow=True).content.decode()
    )
    assert page(admin, "source_progress", source.pk).status_code == 200
    SourceEndpoint.objects.update(discovery_requested_at=None)
    assert page(admin, "source_progress", source.pk).status_code == 286
    checked = admin.post(reverse("analyzer:source_check", args=[source.pk]), follow=True)
    assert "answers" in checked.content.decode()
    admin.post(
        reverse("analyzer:source_edit", args=[source.pk]), {"name": "lab 2", "location": str(tmp_path)}
    )
    source.refresh_from_db()
    assert source.name == "lab 2"
    assert page(admin, "source_list").status_code == 200
    assert page(admin, "source_delete", source.pk).status_code == 200
    admin.post(reverse("analyzer:source_delete", args=[source.pk]))
    assert not SourceEndpoint.objects.exists()


def test_a_source_is_never_made_in_a_foreign_department(admin, tmp_path, settings):
    settings.IMAGE_ROOTS = [tmp_path]
    body = {"name": "lab", "location": str(tmp_path), "department": make_department().pk}
    assert "department" in admin.post(reverse("analyzer:source_create"), body).context["form"].errors
    assert not SourceEndpoint.objects.exists()


def test_the_usage_page_tells_what_the_journal_told(vm, operator):
    boots = (BootSpan(started_s=1_700_000_000, ended_s=1_700_003_600, cpu_percent=12.5),)
    use = UnitUse(unit="db.service", started_s=1_700_000_000, ended_s=1_700_000_200, cpu_s=50.0)
    killed = (OutOfMemory(at_s=1_700_000_100, process="postgres"),)
    told = Journal(files=1, processors=2, boots=boots, units=(use,), out_of_memory=killed)
    make_scan(vm, facts=make_facts(journal=told))
    text = page(operator, "vm_usage", vm.pk).content.decode()
    for words in ("db.service", "25.0 %", "at least 12.5 % of 2", "1 process killed, the last: postgres"):
        assert words in text
