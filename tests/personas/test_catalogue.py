"""The starter catalogue: complete, valid, and scripts that do their work."""

import shutil
import subprocess
from pathlib import Path

import pytest

from personas.domain.catalogue import catalogue
from personas.domain.drivers import parse_drivers, resolve
from personas.models import AuditEntry, Persona, Script
from personas.services.catalogue import catalogue_install
from tests.factories import make_department, make_user

SCRIPTS = [entry.slug for entry in catalogue().scripts]


def body(slug: str) -> str:
    return next(entry.body for entry in catalogue().scripts if entry.slug == slug)


def test_the_personas_of_the_mission_are_there_and_four_more():
    names = [entry.name for entry in catalogue().personas]
    assert {"DatabaseAdmin", "WebDev", "DataScientist", "MarketingAnalyst"} < set(names)
    assert len(names) == len(set(names)) == 8


def test_each_persona_names_parts_that_exist():
    starter = catalogue()
    for entry in starter.personas:
        assert entry.settings.driver_set in starter.drivers_by_set()
        assert entry.settings.resource_profile in {e.slug for e in starter.resource_profiles}
        assert entry.settings.network_profile in {e.slug for e in starter.network_profiles}
        assert entry.document()["post_migration"]["scripts"][0]["name"] in SCRIPTS
        assert entry.hints


def test_each_driver_set_says_how_the_disk_and_the_network_are_driven():
    for drivers in catalogue().drivers_by_set().values():
        resolved = resolve(parse_drivers(drivers))
        assert {"disk", "nic"} <= set(resolved["devices"])
        assert resolved["kernel_modules"]


@pytest.mark.parametrize("slug", SCRIPTS)
def test_the_script_is_clean_under_shellcheck(slug):
    ran = subprocess.run(["shellcheck", "-s", "sh", "-"], input=body(slug), text=True, capture_output=True)
    assert ran.returncode == 0, ran.stdout


KERNEL = {
    "net/core/somaxconn": "128",
    "net/ipv4/ip_forward": "0",
    "fs/inotify/max_user_instances": "128",
    "kernel/pid_max": "32768",
    "vm/max_map_count": "65530",
    "vm/overcommit_memory": "0",
}
"""Settings that the guest's kernel knows, as it starts with them."""


@pytest.fixture
def guest(tmp_path):
    """Runs a script in a root of its own: the machine's programs, but /etc, /srv, /var and /proc/sys are the test's.

    There is one group id in here, so which group owns a file is kept beside it, for `chgrp` and `stat`.
    """
    for folder in ("etc/nginx", "etc/ssh", "srv", "var/cache", "bin", "sys", "groups"):
        (tmp_path / folder).mkdir(parents=True)
    for path, value in KERNEL.items():
        (tmp_path / "sys" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "sys" / path).write_text(f"{value}\n")
    owned = f'"{tmp_path}/groups/$(echo "$FILE" | tr / _)"'
    ownership = {
        "chgrp": f'[ "$1" != -R ] || shift; FILE=$2; grep -q "^$1:" /etc/group && [ -e "$FILE" ] && echo "$1" >{owned}',
        "stat": f'FILE=$3; [ "$2" = "%a %G" ] && echo "$(/usr/bin/stat -c %a "$FILE") $(cat {owned})"',
    }
    (tmp_path / "etc/group").write_text(
        "root:x:0:\ndata:x:900:\nreports:x:901:\ndevelopers:x:902:\nfinance:x:903:\n"
    )
    (tmp_path / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")

    def run(script: str, **fakes: str) -> subprocess.CompletedProcess:
        for name, text in (ownership | fakes).items():
            program = tmp_path / "bin" / name
            program.write_text(f"#!/bin/sh\n{text}\n")
            program.chmod(0o755)
        inside = [shutil.which("bwrap"), "--unshare-user", "--uid", "0", "--gid", "0", "--ro-bind", "/", "/"]
        for folder in ("etc", "srv", "var"):
            inside += ["--bind", str(tmp_path / folder), f"/{folder}"]
        inside += [
            "--tmpfs",
            "/run",
            "--tmpfs",
            "/usr/sbin",
            "--dev",
            "/dev",
            "--proc",
            "/proc",
            "--bind",
            str(tmp_path / "sys"),
            "/proc/sys",
            "--tmpfs",
            "/tmp",
        ]
        inside += [
            "--setenv",
            "PATH",
            f"{tmp_path}/bin:/usr/bin:/bin",
            "--bind",
            str(tmp_path),
            str(tmp_path),
        ]
        return subprocess.run([*inside, "sh", "-c", script], text=True, capture_output=True, timeout=60)

    run.root = tmp_path
    return run


@pytest.mark.parametrize("slug", SCRIPTS)
def test_the_script_can_run_twice_and_the_second_time_writes_nothing(slug, guest):
    first, second = guest(body(slug), git="exit 0"), guest(body(slug), git="exit 0")
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert "wrote" not in second.stdout
    assert second.stdout.startswith(f"{slug}: ")


def test_the_kernel_has_what_an_automation_host_needs_at_once_and_after_a_reboot(guest):
    assert guest(body("prepare-automation")).returncode == 0
    assert (guest.root / "sys/net/ipv4/ip_forward").read_text() == "1\n"
    kept = (guest.root / "etc/sysctl.d/60-migration-persona-automation.conf").read_text()
    assert "net.ipv4.ip_forward = 1\n" in kept and "kernel.pid_max = 4194304\n" in kept


def test_a_kernel_that_does_not_forward_fails_the_script_with_its_reason(guest):
    (guest.root / "sys/net/ipv4/ip_forward").unlink()
    (guest.root / "sys/net/ipv4/ip_forward").mkdir()  # to be read and written by nobody
    ran = guest(body("prepare-automation"))
    assert ran.returncode == 1
    assert "the kernel did not take net.ipv4.ip_forward" in ran.stderr


def test_the_books_are_closed_to_all_but_their_group(guest):
    ran = guest(body("protect-ledger"))
    assert "is closed to everyone but the group finance" in ran.stdout
    assert (guest.root / "srv/ledger").stat().st_mode & 0o7777 == 0o2770
    assert (guest.root / "groups/_srv_ledger").read_text() == "finance\n"
    (guest.root / "groups/_srv_ledger").write_text("root\n")
    ran = guest(body("protect-ledger"), chgrp="exit 0")  # that says yes and does nothing
    assert ran.returncode == 1
    assert "/srv/ledger is '2770 root' instead of '2770 finance'" in ran.stderr


def test_notebooks_get_a_thread_for_each_core(guest):
    assert guest(body("prepare-notebooks")).returncode == 0
    count = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("processor")]
    told = (guest.root / "etc/profile.d/60-migration-persona-notebooks.sh").read_text()
    assert f"OMP_NUM_THREADS={len(count)} " in told
    assert (guest.root / "sys/vm/max_map_count").read_text() == "262144\n"


def test_postgresql_is_tuned_restarted_once_and_asked_whether_it_is_ready(guest):
    cluster = guest.root / "etc/postgresql/15/main"
    cluster.mkdir(parents=True)
    (cluster / "postgresql.conf").write_text("port = 5433\ninclude_dir = 'conf.d'\n")
    log = f"{guest.root}/log"
    fakes = {"pg_ctlcluster": f"echo restarted $* >>{log}", "pg_isready": f"echo asked $* >>{log}"}
    for script in (body("tune-postgresql").replace("/usr/lib/postgresql/", "/nowhere/"),) * 2:
        ran = guest(script, **fakes)
        assert ran.returncode == 0, ran.stderr
    settings = (cluster / "conf.d/60-migration-persona.conf").read_text()
    assert "shared_buffers = " in settings
    told = (guest.root / "log").read_text()
    assert told.count("restarted 15 main restart") == 1
    assert "asked -q -p 5433" in told


def test_postgresql_that_does_not_start_fails_the_script_with_its_reason(guest):
    cluster = guest.root / "etc/postgresql/15/main"
    cluster.mkdir(parents=True)
    (cluster / "postgresql.conf").write_text("")
    ran = guest(body("tune-postgresql"), pg_ctlcluster="exit 1")
    assert ran.returncode == 1
    assert "PostgreSQL 15/main does not start with the new settings" in ran.stderr


def test_nginx_that_refuses_the_configuration_gets_the_former_one_back(guest):
    conf = guest.root / "etc/nginx/nginx.conf"
    conf.write_text("worker_processes auto;\nevents {\n\tworker_connections 768;\n}\n")
    ran = guest(body("tune-nginx"), nginx="exit 1")
    assert ran.returncode == 1
    assert "the former one is back" in ran.stderr
    assert "worker_connections 768;" in conf.read_text()


def test_nginx_is_tuned_and_answers(guest):
    conf = guest.root / "etc/nginx/nginx.conf"
    conf.write_text("worker_processes auto;\nevents {\n\tworker_connections 768;\n}\n")
    ran = guest(body("tune-nginx"), nginx="exit 0", curl="printf 200")
    assert ran.returncode == 0, ran.stderr
    assert "\tworker_connections " in conf.read_text()
    assert "worker_connections 768;" not in conf.read_text()
    assert "health: nginx answers 200" in ran.stdout


@pytest.mark.django_db
def test_the_catalogue_is_installed_once_however_often_it_is_asked_for():
    root = make_user(superuser=True)
    assert catalogue_install(by=root)["personas"] == 8
    assert set(catalogue_install(by=root).values()) == {0}
    assert Persona.objects.count() == 8
    assert AuditEntry.objects.filter(action="persona.create").count() == 8
    assert all(script.latest.body.startswith("#!/bin/sh\n") for script in Script.objects.all())


@pytest.mark.django_db
def test_what_someone_changed_in_the_catalogue_stays_changed():
    root = make_user(superuser=True)
    catalogue_install(by=root)
    Persona.objects.filter(slug="web-dev").update(name="Our web people")
    catalogue_install(by=root)
    assert Persona.objects.get(slug="web-dev").name == "Our web people"


@pytest.mark.django_db
def test_a_department_can_have_the_catalogue_as_its_own():
    root, department = make_user(superuser=True), make_department()
    catalogue_install(by=root, department=department)
    assert Persona.objects.filter(department=department).count() == 8
    assert Persona.objects.get(slug="web-dev").document()["resources"] == {
        "vcpus": 2,
        "memory_mib": 2048,
        "root_disk_gib": 8,
    }
