"""Real starts from a bare Python: real venv, real pip; only the index is ours."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from config.bootstrap.progress import ROOT

WAIT_S = 120  # for another process to come to a point; only a hang is this slow


def test_the_bootstrap_needs_nothing_but_the_standard_library():
    script = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from config.bootstrap import debian, environment\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules} - sys.stdlib_module_names))"
    )
    answer = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=True
    )
    assert set(answer.stdout.split()) - {"__main__"} == {"config"}


def test_the_first_start_ends_inside_the_environment(first_start):
    first = first_start.answer
    assert first.stdout.split() == [str(first_start.folder / "project/.venv"), "1.0"], first.stderr
    assert "Preparing the Python environment" in first.stderr
    assert "Installing the 1 packages of requirements.lock" in first.stderr


def test_the_second_start_asks_nobody(started):
    shutil.rmtree(started.index)  # whoever asked for a package would fail
    second = started.start()
    assert (second.stdout.split()[1], second.stderr) == ("1.0", "")


def test_developer_packages_cover_a_plain_start_but_not_the_reverse(started):
    assert set(started.stamp()["locks"]) == {"run"}
    assert "requirements-dev.lock" in started.start("dev").stderr
    assert set(started.stamp()["locks"]) == {"run", "dev"}
    assert started.start("run").stderr == ""


def test_a_changed_lock_is_installed_at_the_next_start(started):
    started.lock(started.publish("2.0"))
    assert started.start().stdout.split()[1] == "2.0"


def test_a_start_killed_half_way_is_repaired_by_the_next(project, index):
    half = project.begin(index=index.url)
    assert index.asked.wait(WAIT_S)  # pip is in the middle of a download
    os.killpg(half.pid, signal.SIGKILL)
    half.communicate()
    repaired = project.start()
    assert "was interrupted" in repaired.stderr
    assert repaired.stdout.split()[1] == "1.0"


def test_of_two_starts_at_once_one_prepares_and_the_other_waits(project, index):
    first = project.begin(index=index.url)
    assert index.asked.wait(WAIT_S)
    second = project.begin(index=index.url)
    assert re.search("waiting for it", second.stderr.readline())
    index.open.set()
    answers = [first.communicate(timeout=WAIT_S), second.communicate(timeout=WAIT_S)]
    assert [output.split()[1] for output, _ in answers] == ["1.0", "1.0"]
    assert "Installing" in answers[0][1] and "Installing" not in answers[1][1]


def test_an_environment_on_another_disk_is_entered_and_replaced_when_broken(project, tmp_path):
    venv, elsewhere = project.root / ".venv", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mine").touch()
    venv.symlink_to(elsewhere)
    assert "making it anew" in project.start().stderr
    assert (elsewhere / "mine").exists()
    shutil.copytree(venv, elsewhere / "venv", symlinks=True)
    shutil.rmtree(venv)
    venv.symlink_to(elsewhere / "venv")
    assert project.start().stdout.split()[1] == "1.0"


def test_a_project_that_was_moved_makes_its_environment_anew(started):
    started.root = started.root.rename(started.root.with_name("moved"))
    moved = started.start()
    assert moved.stdout.split() == [str(started.root / ".venv"), "1.0"], moved.stderr


def test_a_package_that_differs_from_the_lock_is_refused(project):
    (wheel,) = project.index.iterdir()
    wheel.write_bytes(wheel.read_bytes() + b"tampered")
    refused = project.start()
    assert refused.returncode == 1
    assert "differs from the lock" in refused.stderr
    assert not (project.root / ".venv/ready.json").exists()


def test_without_a_network_one_line_says_so(project):
    unreachable = project.start(index="http://127.0.0.1:9/")  # the discard port: nobody listens
    assert unreachable.returncode == 1
    assert "Traceback" not in unreachable.stderr
    assert "var/log/bootstrap.log" in unreachable.stderr.splitlines()[-1]


def test_an_old_python_is_told_which_line_to_run(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    import manage

    monkeypatch.setattr(manage.sys, "version_info", (3, 9, 2))
    with pytest.raises(SystemExit, match=r"Python 3\.9 is too old.*Run: python3\.11 manage\.py quickstart"):
        manage.main(["quickstart"])


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_a_lock_names_no_host_and_hashes_every_package(name):
    text = (ROOT / name).read_text()
    assert "://" not in text and "--index" not in text and "--find-links" not in text
    for entry in re.split(r"\n(?=\S)", text.strip()):
        assert re.match(r"[\w.-]+==\S+", entry) and "--hash=sha256:" in entry


def test_the_developer_lock_holds_the_same_versions():
    pinned, developer = (
        set(re.findall(r"^[\w.-]+==\S+", (ROOT / name).read_text(), re.MULTILINE))
        for name in ("requirements.lock", "requirements-dev.lock")
    )
    assert pinned < developer


def test_the_locks_hold_what_the_project_asks_for():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = {
        "requirements.lock": project["project"]["dependencies"],
        "requirements-dev.lock": project["dependency-groups"]["dev"],
    }
    for name, wanted in asked.items():
        locked = set(re.findall(r"^([\w.-]+)==", Path(ROOT / name).read_text(), re.MULTILINE))
        names = {re.match(r"[\w.-]+", line)[0].lower().replace("_", "-") for line in wanted}
        assert names <= locked, "run `make lock`"
