"""Running machines by page and API: the login form, keys compared and trusted, what changed since the last scan."""

import pytest
from rest_framework.test import APIClient

from analyzer.models import SourceEndpoint, SshAccess, SshHost
from tests.factories import make_department, make_facts, make_member, make_package, make_scan
from tests.sshd import make_key

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin():
    return make_member(make_department(), "admin")


@pytest.fixture
def private_key(tmp_path):
    make_key(tmp_path / "key")
    return (tmp_path / "key").read_text()


@pytest.fixture
def source(admin):
    department = admin.memberships.get().department
    return SourceEndpoint.objects.create(name="Data centre", kind="ssh", department=department)


@pytest.fixture
def api(admin):
    client = APIClient()
    client.force_authenticate(admin)
    return client


@pytest.fixture
def page(client, admin):
    client.force_login(admin)
    return client


def test_a_new_source_of_running_machines_asks_for_the_login_next(page, admin):
    told = {
        "name": "Hosts",
        "kind": "ssh",
        "rescan": "daily",
        "department": admin.memberships.get().department_id,
    }
    answer = page.post("/sources/new/", told)
    source = SourceEndpoint.objects.get(name="Hosts")
    assert answer.url == f"/sources/{source.pk}/ssh/" and source.rescan == "daily"


def test_the_login_is_told_by_form_and_its_secret_never_shown(page, source, private_key):
    url = f"/sources/{source.pk}/ssh/"
    told = {"hosts": "web1\n[2001:db8::1]:2222\n", "username": "scan", "port": 22, "private_key": private_key}
    assert page.post(url, told).status_code == 302
    assert [str(door) for door in source.ssh_hosts.all()] == ["[2001:db8::1]:2222", "web1:22"]
    shown = page.get(url).content.decode() + page.get(f"/sources/{source.pk}/").content.decode()
    assert private_key.splitlines()[1] not in shown and "web1" in shown
    assert SshAccess.objects.get(source=source).credential not in shown


def test_a_wrong_address_stands_beside_its_field(page, source, private_key):
    told = {"hosts": "web1\na b", "username": "scan", "port": 22, "private_key": private_key}
    answer = page.post(f"/sources/{source.pk}/ssh/", told)
    assert answer.status_code == 200 and "is no address" in str(answer.context["form"].errors["hosts"])


def test_a_key_is_trusted_as_it_was_shown(page, source, tmp_path):
    offered = make_key(tmp_path / "host")
    door = SshHost.objects.create(source=source, host="web1", offered_key=offered)
    assert door.offered_fingerprint in page.get(f"/sources/{source.pk}/").content.decode()
    url = f"/sources/{source.pk}/ssh/confirm/"
    page.post(url, {"key": f"{door.pk} SHA256:another"})
    assert not SshHost.objects.get().pinned_key
    page.post(url, {"key": f"{door.pk} {door.offered_fingerprint}"})
    assert SshHost.objects.get().pinned_key == offered


def test_the_api_sets_the_login_and_shows_no_secret(api, source, private_key):
    url = f"/api/v1/sources/{source.pk}/ssh/"
    assert api.get(url).json() == {"username": None, "credential": None, "use_sudo": False, "hosts": []}
    told = {"hosts": ["web1"], "username": "scan", "private_key": private_key, "use_sudo": True}
    answer = api.put(url, told)
    assert answer.status_code == 200, answer.json()
    shown = answer.json()
    assert (shown["username"], shown["credential"], shown["hosts"][0]["state"]) == ("scan", "key", "unknown")
    assert private_key.splitlines()[1] not in answer.content.decode()
    wrong = api.put(url, told | {"hosts": ["a b"]})
    assert wrong.status_code == 400 and "hosts" in wrong.content.decode()


def test_the_api_trusts_a_key_only_as_it_was_compared(api, source, tmp_path):
    door = SshHost.objects.create(source=source, host="web1", offered_key=make_key(tmp_path / "host"))
    url = f"/api/v1/sources/{source.pk}/ssh/confirm/"
    assert api.post(url, {"fingerprints": {str(door.pk): "SHA256:another"}}).status_code == 409
    assert api.post(url, {"fingerprints": {str(door.pk): door.offered_fingerprint}}).json() == {
        "confirmed": 1
    }


def test_what_changed_is_told_by_page_and_api(client, api):
    scan = make_scan(facts=make_facts(packages=(make_package("nginx"),)))
    newer = make_scan(scan.vm, facts=make_facts())
    viewer = make_member(scan.vm.department, "viewer")
    client.force_login(viewer)
    assert "nginx removed" in client.get(f"/machines/{scan.vm_id}/").content.decode()
    api.force_authenticate(viewer)
    told = api.get(f"/api/v1/scans/{newer.pk}/changes/").json()
    assert told["since"] == str(scan.pk) and [each["text"] for each in told["changes"]] == ["nginx removed"]
    assert api.get(f"/api/v1/scans/{scan.pk}/changes/").json() == {"since": None, "changes": []}
