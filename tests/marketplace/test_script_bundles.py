"""A bundle with several scripts, their parameters and the names of secrets; one with a plain script is what it was."""

import json

import pytest

from marketplace.domain.bundle import FORMAT, FORMAT_SCRIPTS, bundle_of, digest, pack, scripts_said, unpack
from marketplace.domain.dependencies import dependencies
from marketplace.domain.lint import findings
from marketplace.domain.manifest import delta, manifest, manifest_hidden
from marketplace.domain.secrets import secrets_in
from marketplace.services.shellcheck import root_findings
from personas.domain.settings import InvalidSettings

OLD = (
    b'{"about":{"category":"other","icon":"package","name":"Tuned","readme":"R","summary":"S"},"changelog":[],'
    b'"driver_set":{"description":"","distributions":[],"drivers":[{"kernel_modules":["virtio_net"],"name":"net",'
    b'"packages":[]}],"name":"Fast","slug":"fast"},"format":"migration-personas/bundle@1","licence":"MIT",'
    b'"listing":"tuned","persona":{"description":"","hints":["postgresql"],"name":"Tuned","settings":'
    b'{"acceptance_checks":[{"command":"true","kind":"command"}],"driver_set":"fast","firmware":null,'
    b'"post_migration":{"scripts":[{"name":"tune"}]},"schema_version":1},"slug":"tuned"},"publisher":"dba",'
    b'"script":{"body":"#!/bin/sh\\necho tuned\\n","description":"","interpreter":"sh","name":"Tune","slug":"tune"},'
    b'"version":"1.0.0"}'
)
OLD_SHA256 = "deb1131fad5ff15ae933c7c98258382f476c56ccde4260204c73235c2ab84f62"
OLD_ROOT = "91b5936e98b914ebe8172d8832fff5a1f47cc2f04163d908b73c5c4afe248944"  # its script and its command
PORT = {"name": "PORT", "kind": "integer", "default": 5432}
ENTRY = {
    "name": "tune",
    "phase": "after_checks",
    "order": 10,
    "os": ["debian"],
    "timeout_s": 60,
    "retries": 2,
    "parameters": {"PORT": 5433},
    "secrets": {"PASSWORD": "db-password-2"},
}


def script(slug="tune", **said) -> dict:
    return {
        "slug": slug,
        "name": slug.title(),
        "interpreter": "sh",
        "body": "#!/bin/sh\necho tuned\n",
        **said,
    }


def bundle(*scripts, entries, **said):
    settings = {"schema_version": 1, "post_migration": {"scripts": entries}}
    return bundle_of(
        {
            "publisher": "dba",
            "listing": "tuned",
            "version": "1.0.0",
            "licence": "MIT",
            "persona": {"slug": "tuned", "name": "Tuned", "settings": settings},
            **scripts_said(list(scripts), settings),
            **said,
        }
    )


@pytest.fixture
def two():
    report = script("report", interpreter="pwsh", body="Write-Output 1\n")
    return bundle(script(parameters=[PORT]), report, entries=[ENTRY, {"name": "report"}])


def test_a_bundle_of_before_is_read_and_keeps_its_bytes_and_what_was_approved():
    old = unpack(OLD, sha256=OLD_SHA256)
    assert (pack(old), digest(OLD), old.root_sha256) == (OLD, OLD_SHA256, OLD_ROOT)
    assert [each.slug for each in old.carried] == ["tune"]


def test_one_plain_script_is_said_as_ever_so_that_who_knows_only_that_can_read_it():
    plain = bundle(script(), entries=[{"name": "tune"}])
    assert (plain.format, plain.scripts, plain.root_sha256) == (FORMAT, None, plain.script.sha256)
    assert b'"scripts":[{"name":"tune"}]' in pack(plain) and b"parameters" not in pack(plain)


@pytest.mark.parametrize(
    ("scripts", "entries"),
    [
        ([script(), script("b")], [{"name": "tune"}, {"name": "b"}]),
        ([script()], [{"name": "tune", "phase": "first_boot"}]),
        ([script()], [{"name": "tune"}, {"name": "tune"}]),
        ([script(parameters=[PORT])], [{"name": "tune"}]),
        ([script(interpreter="pwsh")], [{"name": "tune"}]),
    ],
)
def test_what_the_first_format_can_not_say_is_another_format(scripts, entries):
    made = bundle(*scripts, entries=entries)
    assert (made.format, made.script) == (FORMAT_SCRIPTS, None)
    assert unpack(pack(made), sha256=digest(pack(made))) == made
    assert [entry for _, entry in made.runs] == entries


def test_the_bytes_do_not_depend_on_the_order_in_which_scripts_are_found():
    entries = [{"name": "b"}, {"name": "tune"}]
    assert pack(bundle(script("b"), script(), entries=entries)) == pack(
        bundle(script(), script("b"), entries=entries)
    )


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"script": None, "persona": "own"}, "run own, which it does not carry"),
        ({"format": FORMAT}, "belong to"),
        ({"scripts": [script(), script(), script("report")]}, "one twice"),
        ({"scripts": [script(), script("report"), script("other")]}, "do not run"),
        ({"scripts": [script(parameters=[PORT, PORT]), script("report")]}, "declared twice"),
        ({"scripts": [script(parameters=[{"name": "LD_PRELOAD"}]), script("report")]}, "guest's own"),
    ],
)
def test_a_bundle_that_says_one_thing_and_carries_another_is_refused(two, wrong, told):
    data = json.loads(pack(two))
    if wrong.get("persona") == "own":
        data["persona"]["settings"]["post_migration"]["scripts"].append({"name": "own"})
        wrong = {}
    with pytest.raises(InvalidSettings, match=told):
        bundle_of({**data, **wrong})


def test_a_script_that_is_not_carried_is_not_taken_from_whoever_installs_it():
    """Else a bundle could run what a department wrote for something else."""
    data = json.loads(OLD)
    del data["script"]
    with pytest.raises(InvalidSettings, match="which it does not carry"):
        bundle_of(data)


def test_each_script_and_each_secret_is_a_grave_permission(two):
    told = [each for each in manifest(two) if each.kind in ("script", "secret")]
    assert told == [
        (
            "script",
            "runs “Tune” as root in the guest (2 lines, after the checks, order 10, on debian only, for 60 s at most, "
            "up to 3 times until it succeeds, with PORT=5433)",
            True,
        ),
        ("script", "runs “Report” as root in the guest (PowerShell, 1 line)", True),
        ("secret", "gives “Tune” the secret “db-password-2”, which you choose, as PASSWORD", True),
    ]
    hidden = manifest_hidden(two)
    assert [each.kind for each in hidden] == ["script", "secret"]
    assert "Tune" not in str(hidden) and "db-password" not in str(hidden)
    assert dependencies(two) == [
        ("Script", "Report", "pwsh, 1 line"),
        ("Script", "Tune", "sh, 2 lines, asks for PORT"),
    ]


@pytest.mark.parametrize(
    "changed",
    [
        {"entries": [ENTRY | {"parameters": {"PORT": 1}}]},
        {"entries": [ENTRY | {"secrets": {"PASSWORD": "root-password"}}]},
        {"scripts": [script(parameters=[PORT | {"default": 1}])]},
        {"scripts": [script(parameters=[PORT], body="#!/bin/sh\necho other\n")]},
        {"scripts": [script(parameters=[PORT], interpreter="python3")]},
    ],
)
def test_whatever_changes_what_runs_has_to_be_read_again(changed):
    before = bundle(script(parameters=[PORT]), entries=[ENTRY])
    after = bundle(
        *changed.get("scripts", [script(parameters=[PORT])]), entries=changed.get("entries", [ENTRY])
    )
    assert before.root_sha256 != after.root_sha256
    assert delta(before, after).gained


def test_the_delta_names_the_script_that_changed_and_no_other(two):
    other = bundle(
        script(parameters=[PORT]),
        script("report", interpreter="pwsh", body="Write-Output 2\n"),
        entries=[ENTRY, {"name": "report"}],
    )
    told = delta(two, other)
    assert [each.text for each in told.gained] == ["runs “Report” as root in the guest (PowerShell, 1 line)"]
    assert told.dropped == [] and delta(two, two) == ([], [])
    fewer = bundle(script(parameters=[PORT]), entries=[ENTRY])
    assert [each.text for each in delta(two, fewer).dropped] == [each.text for each in told.gained]


def test_every_script_is_checked_and_named():
    broken = [
        script("a", body="#!/bin/sh\nif true; then\n"),
        script("b", interpreter="python3", body="print(\n"),
        script("c", interpreter="pwsh", body="Write-Output 1\n"),
    ]
    told = root_findings(bundle(*broken, entries=[{"name": each["slug"]} for each in broken]))
    assert {(each.level, each.place) for each in told} == {
        ("error", "scripts.a"),
        ("error", "scripts.b"),
        ("warning", "scripts.c"),
    }
    (powershell,) = [each.text for each in told if each.place == "scripts.c"]
    assert "not checked" in powershell


@pytest.mark.parametrize(
    ("said", "place", "line"),
    [
        ({"body": "#!/bin/sh\nDB_PASSWORD='x8Kq02mzPw'\n"}, "scripts.tune", 2),
        ({"parameters": [{"name": "DB_PASSWORD", "default": "x8Kq02mzPw"}]}, "persona", 0),
        (
            {"parameters": [{"name": "DB_TOKEN", "kind": "choice", "choices": ["a", "x8Kq02mzPw"]}]},
            "persona",
            0,
        ),
        ({"parameters": [{"name": "KEY", "description": "AKIAIOSFODNN7EXAMPLE"}]}, "persona", 0),
    ],
)
def test_a_secret_is_seen_in_a_script_and_in_what_is_said_of_it(said, place, line):
    found = secrets_in(bundle(script(**said), script("b"), entries=[{"name": "tune"}, {"name": "b"}]))
    assert [(each.place, each.line) for each in found] == [(place, line)]
    assert "x8Kq02mzPw" not in str(found)


def test_a_given_value_is_looked_at_and_what_a_secret_is_called_is_not():
    asks = script(parameters=[{"name": "PASSWORD", "required": False}])
    assert secrets_in(bundle(asks, entries=[ENTRY | {"parameters": {}}])) == []
    given = {"name": "tune", "parameters": {"PASSWORD": "x8Kq02mzPw"}}
    assert [each.place for each in secrets_in(bundle(asks, entries=[given]))] == ["persona"]


@pytest.mark.parametrize(
    ("entry", "level", "told"),
    [
        ({}, "warning", "Nothing is given for its parameter TIER"),
        ({"parameters": {"TIER": "huge"}}, "error", "must be one of"),
        ({"parameters": {"TIER": "small", "COLOUR": "red"}}, "error", "no parameter COLOUR"),
    ],
)
def test_what_a_script_is_given_fits_what_it_asks_for(entry, level, told):
    asks = script(parameters=[{"name": "TIER", "kind": "choice", "choices": ["small", "large"]}])
    found = [
        each for each in findings(bundle(asks, entries=[{"name": "tune", **entry}])) if told in each.text
    ]
    assert [(each.level, each.place) for each in found] == [(level, "scripts.tune")]
