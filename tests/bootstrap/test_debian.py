"""The Debian packages; dpkg, apt and sudo are stand-ins on the PATH, everything between them is real."""

import os
import stat
import subprocess

import pytest

from config.bootstrap import debian

APT = """#!/bin/sh
echo "apt-get $*" >> "$JOURNAL"
test -e "$POLICY" && "$POLICY"; echo "policy $?" >> "$JOURNAL"
case "$*" in
*install*) test -e "$LISTS" || { echo "E: Unable to locate package"; exit 100; } ;;
*) touch "$LISTS" ;;
esac
"""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A folder of programs before all others on the PATH, and a journal of what they were asked."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, value in {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "JOURNAL": str(tmp_path / "journal"),
        "POLICY": str(tmp_path / "policy-rc.d"),
        "LISTS": str(tmp_path / "lists"),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(debian, "POLICY", str(tmp_path / "policy-rc.d"))

    def program(name: str, text: str) -> None:
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)

    program("dpkg-query", "#!/bin/sh\n")
    program("apt-get", APT)
    program("apt-cache", '#!/bin/sh\ntest -e "$LISTS"\n')
    return program


def journal(tmp_path) -> list[str]:
    return (tmp_path / "journal").read_text().splitlines()


def test_every_package_stands_once_and_says_what_for():
    assert len({package.name for package in debian.PACKAGES}) == len(debian.PACKAGES)
    assert all(package.why for package in debian.PACKAGES)
    purposes = {package.purpose for package in debian.PACKAGES}
    assert {each for each in purposes if not each.startswith("bench_")} == {"run", "full_guest", "test"}


def test_what_dpkg_reports_as_installed_is_not_missing(machine):
    machine("dpkg-query", "#!/bin/sh\necho installed chromium\necho config-files postgresql\nexit 1\n")
    missing = [package.name for package in debian.missing(["test"])]
    assert "chromium" not in missing
    assert {"postgresql", "redis-server"} <= set(missing)


def test_without_a_way_to_root_exactly_one_line_is_to_be_run(machine, monkeypatch, capsys):
    monkeypatch.setattr(debian.os, "geteuid", lambda: 1000)
    machine("sudo", "#!/bin/sh\nexit 1\n")
    monkeypatch.setattr(debian.sys.stdin, "isatty", lambda: False, raising=False)
    with pytest.raises(SystemExit) as ended:
        debian.ensure(["full_guest"])
    assert "mmdebstrap       builds a complete Debian" in capsys.readouterr().err
    assert str(ended.value).endswith(
        "Run: sudo sh -c 'apt-get update && apt-get install -y --no-install-recommends mmdebstrap'"
    )


def test_sudo_that_asks_nothing_is_used(machine, monkeypatch, tmp_path):
    monkeypatch.setattr(debian.os, "geteuid", lambda: 1000)
    machine("sudo", '#!/bin/sh\necho "sudo $1" >> "$JOURNAL"\nshift\nexec "$@"\n')
    debian.ensure(["full_guest"])
    assert journal(tmp_path)[:2] == ["sudo -n", "sudo -n"]


def test_package_lists_are_fetched_once_where_there_are_none(machine, tmp_path):
    debian.install([], ["mmdebstrap"])
    verbs = [line.split()[-1] for line in journal(tmp_path) if line.startswith("apt-get")]
    assert verbs == ["update", "mmdebstrap"]


def test_a_service_may_not_start_while_packages_are_installed(machine, tmp_path):
    debian.install([], ["redis-server"])
    assert {line for line in journal(tmp_path) if line.startswith("policy")} == {"policy 101"}
    assert not (tmp_path / "policy-rc.d").exists()


def test_a_policy_left_by_a_killed_install_is_removed(machine, tmp_path):
    machine("apt-get", "#!/bin/sh\nkill -9 $PPID\n")
    with pytest.raises(SystemExit):
        debian.install([], ["redis-server"])
    assert (tmp_path / "policy-rc.d").stat().st_mode & stat.S_IXUSR  # nothing could clean up
    machine("apt-get", APT)
    debian.install([], ["redis-server"])
    assert not (tmp_path / "policy-rc.d").exists()


def test_the_machines_own_policy_stays(machine, tmp_path):
    (tmp_path / "policy-rc.d").write_text("#!/bin/sh\nexit 104\n")
    (tmp_path / "policy-rc.d").chmod(0o755)
    debian.install([], ["redis-server"])
    assert {line for line in journal(tmp_path) if line.startswith("policy")} == {"policy 104"}
    assert (tmp_path / "policy-rc.d").exists()


def test_a_failed_install_names_apts_reason_and_the_line_to_run(machine, tmp_path):
    machine("apt-get", "#!/bin/sh\necho 'E: No space left on device'\nexit 100\n")
    with pytest.raises(SystemExit, match=r"No space left on device.*Run: sudo sh -c"):
        debian.install([], ["redis-server"])


def test_progress_is_said_in_tens_of_percent(machine, capsys):
    status = "".join(f"dlstatus:1:{n}.5:Retrieving\\npmstatus:qemu:{n}:Unpacking\\n" for n in range(101))
    machine("apt-get", f"#!/bin/sh\nprintf '{status}'\n")
    debian.install([], ["redis-server"])
    said = capsys.readouterr().err.splitlines()
    assert said.count("  downloading 50 %") == said.count("  installing 100 %") == 1
    assert len(said) == 22


def test_every_package_exists_in_debian():
    """Needs the machine's package lists, which installing the packages of the tests has brought."""
    names = [package.name for package in debian.PACKAGES]
    answer = subprocess.run(["apt-cache", "madison", *names], capture_output=True, text=True, check=True)
    assert {line.split()[0] for line in answer.stdout.splitlines()} >= set(names)
