"""The files of `deploy/` as far as they can be held against the code; no Docker engine and no systemd runs here."""

import re
import subprocess
import sys

import yaml
from django.core.management import get_commands

from config.bootstrap.progress import ROOT

DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


def test_the_example_names_every_variable_that_the_settings_read():
    settings = (ROOT / "config/settings.py").read_text()
    read = set(re.findall(r'(?:environ\.get|listed)\(\s*"([A-Z_]+)"', settings))
    read |= {name.upper() for name in re.findall(r'= secret\("(\w+)"\)', settings)}
    read |= {"DATABASE_URL"} if "dj_database_url.config(" in settings else set()
    named = set(re.findall(r"^#?([A-Z_]+)=", (DEPLOY / "env.example").read_text(), re.MULTILINE))
    assert named == read


def test_systemd_understands_every_unit(tmp_path):
    for unit in UNITS:
        here = unit.read_text().replace("/opt/migration-personas/.venv/bin/python", sys.executable)
        (tmp_path / unit.name).write_text(here.replace("/opt/migration-personas", str(ROOT)))
    command = ["systemd-analyze", "verify", *(str(tmp_path / unit.name) for unit in UNITS)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    ours = [line for line in answer.stderr.splitlines() if "migration-personas" in line]
    assert ours == [], answer.stderr
    assert len(UNITS) == 4


def test_every_service_of_the_compose_file_waits_for_one_that_exists():
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    services = compose["services"]
    assert set(services) == {"postgres", "redis", "setup", "web", "worker", "clock"}
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)
        volumes = {volume.split(":")[0] for volume in service.get("volumes", [])}
        assert volumes <= set(compose["volumes"])


def test_no_password_has_a_default_in_the_compose_file():
    text = (DEPLOY / "compose.yaml").read_text()
    assert set(re.findall(r"\$\{(\w+)[^}]*\}", text)) == {"POSTGRES_PASSWORD", "REDIS_PASSWORD"}
    assert re.findall(r"\$\{\w+\}|\$\{\w+:-", text) == []


def test_both_ways_to_a_server_lead_to_a_first_user_and_the_starter_catalogue():
    known = get_commands()
    for file in ("README.md", "compose.yaml"):
        named = re.findall(r"python manage\.py (\w+)", (DEPLOY / file).read_text())
        assert named == ["createsuperuser", "starter_catalogue"], file
        assert set(named) <= set(known), file
