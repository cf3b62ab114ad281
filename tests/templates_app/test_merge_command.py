"""`manage.py merge` on files: the same JSON as the API, errors as lines, and no database."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import call_command

from personas.domain.canonical import sha256_of
from templates_app.services.template_document import template_export
from tests.factories import make_template

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def write(tmp_path):
    def written(name, text):
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return written


def merged_by_command(capsys, *arguments):
    call_command("merge", *arguments)
    return json.loads(capsys.readouterr().out)


def refused_lines(capsys, *arguments):
    with pytest.raises(SystemExit) as left:
        call_command("merge", *arguments)
    told = capsys.readouterr()
    assert left.value.code == 2
    assert told.out == ""
    return told.err.splitlines()


def test_command_merges_yaml_and_json_and_names_the_layers(write, capsys):
    template = write("debian.yaml", "resources: {vcpus: 1, memory_mib: 1024}\npackages: [curl]\n")
    persona = write(
        "db.json", '{"name": "DatabaseAdmin", "settings": {"resources": {"vcpus": 4}, "packages": ["vim"]}}'
    )
    told = merged_by_command(capsys, "--template", template, "--persona", persona)
    assert told["merged"]["resources"] == {"vcpus": 4, "memory_mib": 1024}
    assert told["sha256"] == sha256_of(told["merged"])
    rows = {row["path"]: row for row in told["origin"]}
    assert rows["resources.vcpus"]["layer"] == "persona:DatabaseAdmin"
    assert rows["resources.vcpus"]["beat"] == [{"layer": "template:debian", "value": 1}]
    assert [item["layer"] for item in rows["packages"]["items"]] == [
        "template:debian",
        "persona:DatabaseAdmin",
    ]


def test_personas_are_ordered_by_priority_then_name_whatever_the_order_of_the_flags(write, capsys):
    first = write("a.yaml", "{name: Zoe, priority: 1, settings: {machine: pc}}")
    second = write("b.yaml", "{name: Ada, priority: 2, settings: {machine: q35}}")
    one = merged_by_command(capsys, "--persona", first, "--persona", second)
    other = merged_by_command(capsys, "--persona", second, "--persona", first)
    assert one == other
    assert one["merged"]["machine"] == "q35"


def test_overrides_of_a_launch_stand_above_personas_the_later_name_above_all(write, capsys):
    persona = write("p.yaml", "resources: {vcpus: 2, memory_mib: 2048, root_disk_gib: 9}")
    first = write("a.yaml", "resources: {vcpus: 3, memory_mib: 3072}")
    second = write("b.yaml", "resources: {vcpus: 4}")
    told = merged_by_command(capsys, "--override", second, "--override", first, "--persona", persona)
    assert told["merged"]["resources"] == {"vcpus": 4, "memory_mib": 3072, "root_disk_gib": 9}
    rows = {row["path"]: row["layer"] for row in told["origin"]}
    assert rows["resources.vcpus"] == "launch:b"


def test_starter_driver_sets_are_known_without_a_file(write, capsys):
    told = merged_by_command(capsys, "--persona", write("p.yaml", "driver_set: virtio"))
    rows = {row["path"]: row for row in told["origin"]}
    assert rows["devices.disk"]["layer"] == "driver set virtio via persona:p"


def test_driver_sets_come_from_a_file(write, capsys):
    sets = write("sets.yaml", "own: [{name: net, kernel_modules: [e1000e], devices: {nic: e1000e}}]")
    told = merged_by_command(capsys, "--persona", write("p.yaml", "driver_set: own"), "--driver-sets", sets)
    assert told["merged"]["kernel_modules"] == ["e1000e"]


def test_each_error_is_one_line_with_layer_field_and_value(write, capsys):
    template = write("t.yaml", "resources: {vcpus: many}\ncolour: red\n")
    lines = refused_lines(capsys, "--template", template, "--persona", write("p.yaml", "driver_set: virtoi"))
    assert len(lines) == 2  # unknown driver sets are looked up when the documents are right
    assert lines[0].startswith("template:t: resources.vcpus: ") and lines[0].endswith("(got 'many')")
    assert lines[1] == "template:t: colour: is no setting of the vocabulary (got 'red')"


def test_unknown_driver_set_names_the_known_ones(write, capsys):
    lines = refused_lines(capsys, "--persona", write("p.yaml", "driver_set: virtoi"))
    assert len(lines) == 1
    assert lines[0].startswith("persona:p: driver_set: there is no such driver set; known: ")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("resources: {vcpus: 1}\nresources: {vcpus: 2}\n", ":2: resources is there twice"),
        ("a: &x [1]\nb: *x\n", ":2: aliases are not read"),
        ("resources: {vcpus: 1", ":1: expected ',' or '}', but got '<stream end>'"),
        (
            "{name: P, priority: high, settings: {}}",
            ": name must be 1 to 80 printable characters and priority a whole number",
        ),
        ('{"name": "\\ud800", "settings": {}}', ": name must be 1 to 80 printable characters"),
        ("{title: P, settings: {}}", ": title: not known beside settings (known: description, "),
        ("1: {}", ":1: the key 1 is no text"),
        ("[" * 5000, ": is nested too deeply"),
        ("a: !!python/object/apply:os.system [id]", ":1: could not determine a constructor for the tag"),
        ("a\x00b", "unacceptable character"),
    ],
)
def test_a_broken_file_is_told_in_one_line(write, capsys, text, told):
    path = write("broken.yaml", text)
    lines = refused_lines(capsys, "--template", path)
    assert len(lines) == 1
    assert lines[0].startswith(path)
    assert told in lines[0]


def test_a_missing_file_is_told(capsys, tmp_path):
    assert refused_lines(capsys, "--template", str(tmp_path / "none.yaml")) == [
        f"{tmp_path / 'none.yaml'}: No such file or directory"
    ]


def test_a_huge_file_is_refused(write, capsys):
    lines = refused_lines(capsys, "--template", write("huge.yaml", "#" * (1024 * 1024 + 1)))
    assert lines[0].endswith("is larger than 1024 KiB")


def test_command_runs_where_there_is_no_database(write, tmp_path):
    template, persona = write("t.yaml", "machine: pc"), write("p.yaml", "machine: q35")
    nowhere = {
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "MIGRATION_PERSONAS_VAR": str(tmp_path / "var"),
    }
    command = [sys.executable, "manage.py", "merge", "--template", template, "--persona", persona]
    done = subprocess.run(
        command,
        cwd=PROJECT,
        env={**os.environ, **nowhere},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["merged"]["machine"] == "q35"
    assert not (tmp_path / "var").exists()


@pytest.mark.django_db
def test_command_reads_what_the_api_exports(write, capsys):
    template = make_template("Debian", machine="pc", locks=["machine"])
    exported = write("export.json", json.dumps(template_export(template)))
    told = merged_by_command(capsys, "--template", exported, "--persona", write("p.yaml", "machine: q35"))
    assert told["merged"]["machine"] == "pc"
    assert [row["locked_by"] for row in told["refused"]] == ["template:Debian"]
