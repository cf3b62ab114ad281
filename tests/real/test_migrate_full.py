"""A whole Debian 12 (systemd, cloud-init, nginx, PostgreSQL, two kernels) moved as the catalogue's DatabaseAdmin."""

import socket
import struct

import pytest
from django.conf import settings

from migrations_engine import runner
from migrations_engine.domain.states import STEPS, RunState
from migrations_engine.models import MigratedVM
from migrations_engine.services.migrated import migrated_vm_remove
from migrations_engine.services.runs import run_create
from personas.models import Persona
from personas.services.catalogue import catalogue_install
from tests import factories
from tests.real import instance
from tests.real.estate import real_estate, sha256


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
    migrated_vm_remove(migrated_vm=machine, by=estate.operator)
    assert instance.processes_that_name(settings.DISKS_DIR) == []
