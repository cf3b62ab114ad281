"""A small real Linux guest, moved by a department's admin to a libvirtd behind SSH, which is killed on the way."""

import json
from io import StringIO

import pytest
from django.core.management import call_command

from analyzer.sources.libvirt.xml import read_xml
from migrations_engine.models import Hypervisor, MigratedVM
from migrations_engine.services.hypervisors import host_key_confirm, hypervisor_set, target_check
from migrations_engine.services.migrated import migrated_vm_console, migrated_vm_remove
from migrations_engine.services.power import migrated_vm_power, power_switch
from migrations_engine.targets.libvirt import pool
from migrations_engine.targets.libvirt.marks import NAMESPACE, parse_mark
from personas.errors import Refused
from tests import factories
from tests.real.estate import real_estate, sha256
from tests.real.test_migrate_tiny import sized
from tests.sshd import sshd


@pytest.fixture
def door():
    with sshd() as server:
        yield server


@pytest.fixture
def killed(libvirt, monkeypatch):
    """kill -9 of libvirtd while the first disk is uploaded; each entry is one kill."""
    kills, position = [], pool._position

    def deadly(pid, file):
        if not kills:
            kills.append(file.name)
            libvirt.kill_daemon()
        return position(pid, file)

    monkeypatch.setattr(pool, "_position", deadly)
    return kills


@pytest.mark.django_db
@pytest.mark.once
def test_guest_is_moved_to_libvirt_as_a_persona(libvirt, place, door, killed):
    estate = real_estate("tiny", script="uname -r; exit 0", template={}, persona=sized())
    target = factories.make_target(kind="libvirt", department=estate.vm.department)
    address = f"qemu+ssh://{door.username}@127.0.0.1:{door.port}/system?socket={libvirt.socket}"
    admin = {"target": target, "by": estate.operator}
    hypervisor_set(address=address, pool=place.pool, private_key=door.private_key, **admin)
    with pytest.raises(Refused, match="Compare it"):
        target_check(**admin)
    host_key_confirm(fingerprint=Hypervisor.objects.get(target=target).offered_fingerprint, **admin)
    found = target_check(**admin)
    killed.clear()
    assert found["missing"] == []
    assert found["version"].startswith("QEMU ")
    before = sha256(estate.disk)
    receipt = moved(estate, target)
    assert receipt["state"] == "succeeded"
    assert killed == ["disk.qcow2"]
    assert receipt["source_sha256"] == before == sha256(estate.disk)
    assert [script["exit_code"] for script in receipt["scripts"]] == [0]
    rows = {row["setting"]: row for row in receipt["verification"]}
    assert {row["setting"]: row["verdict"] for row in rows.values() if row["verdict"] != "pass"} == {}
    assert rows["network.bandwidth_mbps"]["by"] == rows["network.security_groups"]["by"] == "guest"
    assert "asked inside the guest" in rows["acceptance http 80 /"]["found"]

    machine = MigratedVM.objects.get(pk=receipt["migrated_vm"])
    domain = f"{machine.name}-{str(machine.run_id)[:8]}"
    mark = parse_mark(read_xml(libvirt.virsh("metadata", domain, NAMESPACE)))
    assert (mark.key, mark.personas) == (str(machine.run_id), (estate.persona.name,))
    assert mark.tags == {"cost-centre": "4711"}
    assert "udhcpc" in migrated_vm_console(migrated_vm=machine)
    for want, state in (("off", "shut off"), ("on", "running")):
        migrated_vm_power(migrated_vm=machine, want=want, by=estate.operator)
        power_switch(migrated_vm_id=machine.pk)
        machine.refresh_from_db()
        assert (machine.power_state, machine.power_error) == (want, "")
        assert libvirt.state(domain) == state
    migrated_vm_remove(migrated_vm=machine, by=estate.operator)
    assert libvirt.virsh("list", "--all", "--name") == ""
    assert libvirt.virsh("vol-list", place.pool) == ""
    assert Hypervisor.objects.get(target=target).accelerator == found["accelerator"]


def moved(estate, target) -> dict:
    out = StringIO()
    call_command(
        "migrate_vm",
        vm=str(estate.vm.pk),
        template=str(estate.template.pk),
        persona=[str(estate.persona.pk)],
        target=str(target.pk),
        user=estate.operator.username,
        inline=True,
        json=True,
        stdout=out,
    )
    return json.loads(out.getvalue())
