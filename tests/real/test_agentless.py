"""A Debian without the guest agent: the agent is installed in its copy, and the rest goes as with any other guest."""

import subprocess
from pathlib import Path

import pytest
from django.conf import settings

from analyzer.scanner.scan import scan_image
from config.quickstart.guests import build_guest
from migrations_engine import runner
from migrations_engine.domain.machine import FirstBoot, MachineSpec, SourceDisk
from migrations_engine.domain.states import STEPS, RunState
from migrations_engine.models import MigratedVM
from migrations_engine.services.runs import run_create
from migrations_engine.targets.base import PrepareRefused
from migrations_engine.targets.qemu import workbench
from migrations_engine.targets.qemu.agent_packages import AGENT
from tests.real.estate import real_estate, sha256

BOOT_S = 600  # an idle machine needs 40
SCRIPT = f"dpkg-query --show --showformat='${{Package}} ${{Status}}\\n' {AGENT} liburing2; cat /etc/hostname; exit 7"
OVERRIDES = {"network": {"bandwidth_mbps": 100}, "resources": {"vcpus": 2}}
ROOT = "?offset=2097152"
FINISHED = (
    "while :; do case $(systemctl is-system-running) in running|degraded) break ;; esac; sleep 1; done\n"
)


def inside(image: Path, path: str) -> str:
    done = subprocess.run(["debugfs", "-R", f"cat {path}", f"{image}{ROOT}"], capture_output=True, text=True)
    return done.stdout


@pytest.mark.django_db
@pytest.mark.timeout(1800)
@pytest.mark.once  # a minute under emulation, and nothing in it depends on the database
def test_guest_without_agent_is_moved_and_its_script_is_run(own_machines):
    persona = {"script_must_pass": False, "kernel_modules": ["virtio_balloon"]}
    estate = real_estate("full-agentless", script=SCRIPT, template={}, persona=persona)
    before = sha256(estate.disk)
    run = run_create(**estate.launch(overrides=OVERRIDES))
    for name in STEPS:
        runner.execute(run_id=run.pk, name=name)
    run.refresh_from_db()
    assert (run.state, run.root_cause) == (RunState.SUCCEEDED, "")
    assert sha256(estate.disk) == before
    assessment = run.steps.get(name="merge").result["assessment"]
    (told,) = [each for each in assessment["concerns"] if each["id"] == "access.agent_brought"]
    assert told["severity"] == "Information"
    (planned,) = [row for row in assessment["changes"] if row["setting"] == "guest.agent"]
    assert planned["current"] == "none" and planned["planned"].startswith(f"{AGENT} ")
    found = {row["setting"]: row["verdict"] for row in MigratedVM.objects.get(run=run).verification}
    assert found["network.bandwidth_mbps"] == found["failed units"] == "pass"
    assert "fail" not in found.values()
    (script,) = run.steps.get(name="post_script").result["scripts"]
    assert script["exit_code"] == 7
    assert script["stdout"] == f"liburing2 install ok installed\n{AGENT} install ok installed\ndb01\n"


@pytest.mark.timeout(1800)
@pytest.mark.once
def test_cloud_init_brings_the_agent_where_the_disk_cannot_be_changed(qemu, monkeypatch):
    def refused(*arguments):
        raise PrepareRefused("as if it were a file system that cannot be changed from outside")

    monkeypatch.setattr(workbench, "prepare_offline", refused)
    guest = build_guest("full-agentless", settings.CACHE_DIR / "guests")
    facts = scan_image(guest.path, guest.format)
    access = qemu.access(facts)
    software = qemu.software(facts, ["jq"], access)
    disk = qemu.copy("seeded", SourceDisk(str(guest.path), guest.format))
    wanted = FirstBoot(
        nic_name="ens3",
        cloud_init=True,
        packages=access.packages,
        software=software.adds,
        kernel_modules=("virtio_balloon",),
    )
    done = qemu.prepare(disk, wanted)
    assert done.way == "seed"
    ref = qemu.create(MachineSpec(key="seeded", name="seeded", vcpus=2, memory_mib=1024), disk)
    qemu.power(ref, "on")
    qemu.wait_ready(ref, BOOT_S)
    assert qemu.inventory(ref, ["jq"], software.adds).versions == dict([software.adds[0].split("=")])
    finished = qemu.run(ref, f"{FINISHED}cat /etc/ssh/ssh_host_ed25519_key.pub; exit 5", BOOT_S)
    assert finished.exit_code == 5
    report = qemu.guest_report(ref)
    assert (report.failed_units, report.hostname) == ((), "db01")
    assert "virtio_balloon" in report.modules
    assert any(address.startswith("ens3 10.0.2.") for address in report.addresses)
    assert finished.stdout == inside(guest.path, "/etc/ssh/ssh_host_ed25519_key.pub")  # nobody made a new one
