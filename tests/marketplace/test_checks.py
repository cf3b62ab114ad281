"""What is looked at before a persona is published, and told line by line."""

import pytest

from marketplace.domain.bundle import BundledScript
from marketplace.domain.markdown import rendered
from marketplace.domain.secrets import secrets_of
from marketplace.models import Listing, Release
from marketplace.services.publishing import listing_update, release_findings, release_publish
from marketplace.services.shellcheck import script_findings
from personas.errors import BadInput, NotAllowed
from personas.services.personas import persona_update
from personas.services.scripts import script_update
from tests.personas.test_api import client_of


@pytest.mark.parametrize(
    "line",
    [
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        "export AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE",
        "curl -H 'Authorization: token ghp_" + "a1B2" * 9 + "'",
        "psql postgres://app:hunter2@db/app",
        "DB_PASSWORD='x8Kq02mzPw'",
        "api_key: 8f3kd92jfk39fk2",
        "PASSWORD=changeme TOKEN=h8Kd93jf02Lq",
        "TOKEN=h8Kd93jf02Lq TOKEN=changeme",
    ],
)
def test_a_secret_is_seen_and_its_line_told(line):
    assert [number for number, _ in secrets_of(f"#!/bin/sh\n{line}\n")] == [2]


@pytest.mark.parametrize(
    "line",
    [
        "DB_PASSWORD=$(cat /run/secrets/db)",
        'PASSWORD="${PASSWORD:?set it}"',
        "password=changeme",
        "echo 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08  file",
        "PASSWORD_FILE=/etc/app/password1",
        "psql postgres://app:$PASSWORD@db/app",
    ],
)
def test_what_is_no_secret_passes(line):
    assert list(secrets_of(line)) == []


def test_shellcheck_tells_the_line():
    script = BundledScript(slug="x", name="X", interpreter="sh", body="#!/bin/sh\necho one\nif true; then\n")
    assert {(each.level, each.line > 1) for each in script_findings(script)} == {("error", True)}
    script = script.model_copy(update={"body": "#!/bin/sh\necho one\n"})
    assert script_findings(script) == []


def test_python_that_can_not_be_read_is_told():
    script = BundledScript(slug="x", name="X", interpreter="python3", body="print(1)\nprint(\n")
    assert [(each.level, each.line) for each in script_findings(script)] == [("error", 2)]


@pytest.mark.parametrize(
    ("text", "never"),
    [
        ("<script>alert(1)</script>", "<script"),
        ("[a](javascript:alert(1))", 'href="javascript'),
        ("![a](https://tracker.example/x.png)", "<img"),
        ('<a href="x" onclick="y">z</a>', "<a href"),
        ("<style>*{}</style>", "<style"),
    ],
)
def test_a_read_me_does_no_harm(text, never):
    assert never not in rendered(text)


def test_a_read_me_is_markdown():
    html = rendered("# Title\n\n| a | b |\n|---|---|\n| 1 | *2* |\n")
    assert "<h3>Title</h3>" in html and "<em>2</em>" in html and "<table>" in html


# --- the whole way ---------------------------------------------------------------------------------------------------


@pytest.fixture
def ask(listing, alice):
    return {"listing": listing, "by": alice, "version": "1.0.0", "licence": "MIT"}


def test_everything_that_has_to_be_mended_is_told_at_once(ask, listing, alice, persona):
    body = "#!/bin/sh\necho tuned\nDB_PASSWORD='x8Kq02mzPw'\nif true; then\n"
    script_update(script=persona.post_migration_script, by=alice, body=body)
    tests = [{"name": "keeps the package", "expect": {"packages": ["mariadb"]}}]
    ask["listing"] = listing_update(listing=listing, by=alice, readme="", tests=tests)
    with pytest.raises(BadInput) as raised:
        release_publish(**ask)
    told = raised.value.errors
    assert set(told) == {"readme", "tests", "script"}
    assert told["tests"] == ["keeps the package: packages is ['postgresql-15'], expected is ['mariadb']"]
    assert "line 3: This looks like a secret assigned to DB_PASSWORD." in told["script"]
    assert any(line.startswith("line 4:") for line in told["script"])
    assert "x8Kq02mzPw" not in str(told)
    assert not Release.objects.exists()


def test_the_personas_own_tests_are_kept_in_the_bundle(ask, listing, alice):
    tests = [
        {
            "name": "replaces the template's packages",
            "template": {"schema_version": 1, "packages": ["nano"]},
            "expect": {"packages": ["postgresql-15"], "resources.vcpus": 4},
            "software": ["postgresql-15", "bash"],
            "suits": True,
        },
        {"name": "not for a web server", "software": ["nginx"], "suits": False},
    ]
    ask["listing"] = listing_update(listing=listing, by=alice, tests=tests)
    release = release_publish(**ask)
    assert b"not for a web server" in bytes(release.bundle)
    tests[1]["suits"] = True
    ask |= {"listing": listing_update(listing=ask["listing"], by=alice, tests=tests), "version": "1.1.0"}
    with pytest.raises(BadInput, match="no hint names its software"):
        release_publish(**ask)


def test_a_secret_in_a_persona_is_seen_wherever_it_stands(ask, alice, persona):
    command = "PGPASSWORD=\"x8Kq02mzPw\"\npsql -c 'select 1'"
    checks = [{"kind": "command", "command": command}]
    tags = {"db-password": "changeme", "zz-token": "h8Kd93jf02Lq"}
    persona_update(persona=persona, by=alice, monitoring_tags=tags, acceptance_checks=checks)
    ask["listing"] = Listing.objects.get(pk=ask["listing"].pk)
    told = [each.text for each in release_findings(**ask) if each.check == "secrets"]
    assert told == [
        "This looks like a secret assigned to PGPASSWORD.",
        "This looks like a secret assigned to zz-token.",
    ]


def test_a_check_by_api_writes_nothing(ask, listing, alice):
    url = f"/api/v1/listings/{listing.pk}/check/"
    found = client_of(alice).post(url, {"version": "1.0.0", "licence": "MIT"})
    assert found.status_code == 200, found.json()
    assert {(each["level"], each["place"]) for each in found.json()} == {
        ("warning", "changelog"),
        ("warning", "tests"),
    }
    assert not Release.objects.exists()
    listing_update(listing=listing, by=alice, readme="")
    refused = client_of(alice).post(
        f"/api/v1/listings/{listing.pk}/releases/", {"version": "1.0.0", "licence": "MIT"}
    )
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["pointer"] == "#/readme"


def test_the_page_tells_what_has_to_be_mended(client, ask, listing, alice):
    client.force_login(alice)
    listing_update(listing=listing, by=alice, readme="")
    url = f"/marketplace/listings/{listing.pk}/"
    page = client.post(f"{url}release/", {"version": "1.0.0", "licence": "MIT"}).content.decode()
    assert "readme: Write a read me" in page
    words = {
        "name": "Tuned",
        "summary": "S",
        "readme": "*Now* there",
        "category": "data",
        "icon": "server-2",
        "visibility": "public",
    }
    saved = client.post(
        f"{url}edit/", {**words, "tests": "- name: t\n  expect: {firmware: null}\n", "visibility": "public"}
    )
    assert saved.status_code == 302, saved.context["form"].errors
    fresh = Listing.objects.get(pk=listing.pk)
    assert (fresh.icon, fresh.tests) == ("server-2", [{"name": "t", "expect": {"firmware": None}}])
    wrong = client.post(
        f"{url}edit/", {**words, "tests": "- name: t\n  expects: {}\n", "visibility": "public"}
    )
    assert "tests" in wrong.context["form"].errors


def test_findings_need_the_publishers_admin(ask, bob):
    with pytest.raises(NotAllowed):
        release_findings(**{**ask, "by": bob})
