"""A small real Linux guest, moved by real workers: as a persona, with a script that fails, and stopped half-way."""

import json
import os
from io import StringIO

import pytest
from django.conf import settings
from django.core.management import call_command

from migrations_engine import pipeline
from migrations_engine.domain.states import RunState, StepName, StepState
from migrations_engine.models import MigratedVM, MigrationRun, StepRun
from migrations_engine.services.migrated import migrated_vm_remove
from migrations_engine.services.power import migrated_vm_power, power_switch
from personas.models import NetworkProfile, ResourceProfile
from tests.real import instance
from tests.real.estate import real_estate, sha256

FAILING = 'echo "about to fail"; echo "no space for the index" >&2; exit 7'


def sized():
    """Columns of a persona that asks for other sizes, a limit, a filter and a tag."""
    rules = [{"protocol": "tcp", "port_from": 80, "port_to": 80, "cidr": "0.0.0.0/0"}]
    groups = [{"name": "web", "rules": rules}]
    return {
        "resource_allocation_profile": ResourceProfile.objects.create(
            name="Small", slug="small", vcpus=2, memory_mib=384, root_disk_gib=1
        ),
        "network_profile": NetworkProfile.objects.create(
            name="Web", slug="web", bandwidth_mbps=100, security_groups=groups
        ),
        "monitoring_tags": {"cost-centre": "4711"},
        "acceptance_checks": [
            {"kind": "http", "port": 80, "path": "/", "status": 200, "text": "tiny answers"},
            {"kind": "mount", "path": "/proc"},
            {"kind": "command", "command": "test -d /etc"},
            {"kind": "boot_time", "at_most_s": 3600},
        ],
    }


@pytest.mark.django_db
@pytest.mark.once
def test_guest_is_moved_as_a_persona_from_the_command_line(own_machines):
    estate = real_estate("tiny", script="uname -r; exit 0", template={}, persona=sized())
    estate.persona.default_kernel_version = estate.guest.other_kernel
    estate.persona.default_kernel_intent = "require"
    estate.persona.save()
    before = sha256(estate.disk)
    out = StringIO()
    call_command(
        "migrate_vm",
        vm=str(estate.vm.pk),
        template=str(estate.template.pk),
        persona=[str(estate.persona.pk)],
        user=estate.operator.username,
        inline=True,
        json=True,
        stdout=out,
    )
    receipt = json.loads(out.getvalue())
    machine = MigratedVM.objects.get(pk=receipt["migrated_vm"])
    assert receipt["state"] == "succeeded"
    assert receipt["source_sha256"] == before == sha256(estate.disk)
    assert [script["exit_code"] for script in receipt["scripts"]] == [0]
    rows = {row["setting"]: row for row in receipt["verification"]}
    assert {row["setting"]: row["verdict"] for row in rows.values() if row["verdict"] != "pass"} == {}
    assert rows["kernel.version"]["found"] == estate.guest.other_kernel
    assert rows["resources.vcpus"]["found"] == "2"
    assert rows["network.bandwidth_mbps"]["by"] == "guest"
    checked = [name for name in rows if name.startswith("acceptance")]
    assert checked == [
        f"acceptance {of}" for of in ("http 80 /", "mount /proc", "command test -d /etc", "boot_time")
    ]
    (script,) = machine.run.steps.get(name="post_script").result["scripts"]
    assert script["stdout"].strip() == estate.guest.other_kernel
    for want in ("off", "on"):
        migrated_vm_power(migrated_vm=machine, want=want, by=estate.operator)
        power_switch(migrated_vm_id=machine.pk)
        machine.refresh_from_db()
        assert (machine.power_state, machine.power_error) == (want, "")
    migrated_vm_remove(migrated_vm=machine, by=estate.operator)
    assert instance.processes_that_name(settings.DISKS_DIR) == []


@pytest.mark.both
def test_script_that_fails_and_run_that_is_stopped_leave_the_source_and_nothing_else(own_instance):
    estate = real_estate("tiny", script=FAILING, template={}, persona={})
    before = sha256(estate.disk)
    clock, worker = instance.clock(), instance.worker()
    with instance.running(clock, worker):
        failed = pipeline.run_start(**estate.launch())
        ended(failed, worker)
        assert failed.state == RunState.FAILED
        assert failed.root_cause == "tiny-script ended with exit code 7: no space for the index"
        assert sha256(estate.disk) == before
        pipeline.run_cancel(run=failed, by=estate.operator)  # given up
        instance.wait_until(
            lambda: state_of(failed) == RunState.CANCELLED, "what it made is removed", said=worker.said
        )
        stopped = pipeline.run_start(**estate.launch())
        instance.wait_until(lambda: is_booting(stopped), "the guest boots", said=worker.said)
        pipeline.run_cancel(run=stopped, by=estate.operator)
        ended(stopped, worker)
        assert stopped.state == RunState.CANCELLED
        states = list(stopped.steps.order_by("order").values_list("state", flat=True))
        assert states == ["succeeded", "succeeded", "cancelled", "cancelled"]
    assert sha256(estate.disk) == before
    assert instance.processes_that_name(settings.DISKS_DIR) == []
    assert [
        name for name in os.listdir(settings.DISKS_DIR) if name.startswith((str(failed.pk), str(stopped.pk)))
    ] == []


def state_of(run):
    return MigrationRun.objects.get(pk=run.pk).state


def ended(run, worker):
    instance.wait_until(
        lambda: MigrationRun.objects.get(pk=run.pk).has_ended, "the run ends", said=worker.said
    )
    run.refresh_from_db()


def is_booting(run):
    return StepRun.objects.filter(
        run=run, name=StepName.MIGRATE, state=StepState.RUNNING, message__startswith="Waiting for the guest"
    ).exists()
