"""A whole Debian 12 (systemd, cloud-init, guest agent, nginx, PostgreSQL, two kernels) moved as the catalogue's
DatabaseAdmin."""

import socket
import struct

import pytest
from django.conf import settings

from config.quickstart.guests.full import PAGE
from migrations_engine import runner
from migrations_engine.domain.machine import GIB, MachineRef
from migrations_engine.domain.states import STEPS, RunState
from migrations_engine.models import MigratedVM
from migrations_engine.services.migrated import machine_ref, migrated_vm_remove
from migrations_engine.services.runs import run_create
from migrations_engine.targets.registry import open_target
from personas.models import Persona
from personas.services.catalogue import catalogue_install
from tests import factories
from tests.real import instance
from tests.real.estate import real_estate, sha256

ASKED = """
systemctl is-system-running --wait  # the agent answers before the services do
curl -sf http://127.0.0.1/
su postgres -c "psql -At -c 'SELECT count(*), sum(cents) FROM orders'"
"""
ROWS = sum(n * 7 % 9999 for n in range(1, 5001))
TOLD = f"""\
running
{PAGE}5000|{ROWS}
"""


def postgresql_speaks(port: int) -> bool:
    """Asks for TLS as a client does (SSLRequest): a PostgreSQL answers with S or N, nothing else does."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(struct.pack("!II", 8, 80877103))
        return connection.recv(1) in (b"S", b"N")


@pytest.mark.django_db
@pytest.mark.timeout(1800)  # a minute and a half on an idle machine, after the guest is built
@pytest.mark.once  # minutes under emulation, and nothing in it depends on the database
def test_debian_server_is_moved_as_database_admin(own_machines):
    root = factories.make_user(superuser=True)
    catalogue_install(by=root)
    estate = real_estate("full", script="true", template={}, persona={})
    persona = Persona.objects.get(slug="database-admin", department=None)
    before = sha256(estate.disk)
    overrides = {
        "kernel": {"version": estate.guest.other_kernel, "intent": "require"},
        "packages": ["jq", "curl", "no-such-package"],
    }
    run = run_create(**estate.launch(personas=[persona], overrides=overrides))
    for name in STEPS:
        runner.execute(run_id=run.pk, name=name)
    run.refresh_from_db()
    assert (run.state, run.root_cause) == (RunState.SUCCEEDED, "")
    assert sha256(estate.disk) == before
    merged = run.steps.get(name="merge").result["assessment"]
    assert {each["name"]: each["state"] for each in merged["software"]["asked"]} == {
        "jq": "added", "curl": "present", "no-such-package": "lacking",
    }  # fmt: skip
    added = dict(each.split("=") for each in merged["software"]["adds"])
    assert {"jq", "libjq1", "libonig5"} == added.keys()
    machine = MigratedVM.objects.get(run=run)
    found = {row["setting"]: (row["found"], row["verdict"]) for row in machine.verification}
    assert found["kernel.version"] == (estate.guest.other_kernel, "pass")
    assert found["resources.vcpus"] == ("2", "pass")
    assert found["resources.memory_mib"][1] == "pass"
    assert found["resources.root_disk_gib"] == ("8 GiB", "pass")
    assert found["network.security_groups"][1] == "pass"
    assert found["network.bandwidth_mbps"] == ("1000", "pass")
    assert found["packages.jq"] == (f"{added['jq']}, installed by this run", "pass")
    assert found["packages.curl"] == (f"{estate.guest.packages['curl']}, there before", "pass")
    assert found["packages.no-such-package"] == ("not installed", "warning")
    assert found["failed units"] == ("none", "pass")
    assert {setting: row for setting, row in found.items() if row[1] == "fail"} == {}
    (script,) = run.steps.get(name="post_script").result["scripts"]
    assert script["exit_code"] == 0
    assert "answers on port 5432" in script["stdout"]
    assert postgresql_speaks(machine.reference["forwards"]["tcp/5432"])
    what_the_guest_says(machine_ref(machine))
    migrated_vm_remove(migrated_vm=machine, by=estate.operator)
    assert instance.processes_that_name(settings.DISKS_DIR) == []


def what_the_guest_says(ref: MachineRef) -> None:
    """Its services, its rows, its card under the name that its configuration has for it."""
    target = open_target("qemu", root=settings.DISKS_DIR)
    told = target.run(ref, ASKED, 600)
    assert (told.exit_code, told.stdout) == (0, TOLD), told.stderr
    report = target.guest_report(ref)
    assert report.hostname == "db01"
    assert report.root_filesystem_bytes > 7.5 * GIB
    assert any(address.startswith("ens3 10.0.2.") for address in report.addresses)
