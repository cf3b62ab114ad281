"""A Debian without the guest agent: it is installed in the copy, or brought by cloud-init, and does its work."""

import subprocess
from pathlib import Path

import pytest
from django.conf import settings

from analyzer.scanner.scan import scan_image
from config.quickstart.guests import build_guest
from migrations_engine import runner
from migrations_engine.domain.machine import FirstBoot, MachineSpec, SourceDisk
from migrations_engine.services.runs import run_create
from migrations_engine.targets.base import PrepareRefused
from migrations_engine.targets.qemu import workbench
from migrations_engine.targets.qemu.agent_packages import AGENT
from tests.real.estate import real_estate

BOOT_S = 600  # an idle machine needs 40
ROOT = "?offset=2097152"
SILENCED = ("postgresql", "nginx")  # this is about the agent, and the guest starts quicker without them
FINISHED = "systemctl is-system-running --wait; cat /etc/ssh/ssh_host_ed25519_key.pub; exit 5"


def inside(image: Path, path: str) -> str:
    done = subprocess.run(["debugfs", "-R", f"cat {path}", f"{image}{ROOT}"], capture_output=True, text=True)
    return done.stdout


def silence(image: Path) -> None:
    requests = "".join(f"symlink /etc/systemd/system/{name}.service /dev/null\n" for name in SILENCED)
    subprocess.run(["debugfs", "-w", "-f", "-", f"{image}{ROOT}"], input=requests, text=True, check=True)


@pytest.mark.django_db
@pytest.mark.once
def test_the_plan_tells_that_the_agent_is_brought(own_machines):
    run = run_create(**real_estate("full-agentless", script="true", template={}, persona={}).launch())
    for name in ("analyze", "merge"):
        runner.execute(run_id=run.pk, name=name)
    assessment = run.steps.get(name="merge").result["assessment"]
    (told,) = [each for each in assessment["concerns"] if each["id"] == "access.agent_brought"]
    assert told["severity"] == "Information"
    (planned,) = [row for row in assessment["changes"] if row["setting"] == "guest.agent"]
    assert planned["current"] == "none" and planned["planned"].startswith(f"{AGENT} ")


def refused(*arguments):
    raise PrepareRefused("as if it were a file system that cannot be changed from outside")


@pytest.mark.parametrize("way", ["offline", "seed"])
@pytest.mark.timeout(1800)
@pytest.mark.once
def test_the_agent_is_brought_and_does_its_work(qemu, monkeypatch, way):
    if way == "seed":
        monkeypatch.setattr(workbench, "prepare_offline", refused)
    guest = build_guest("full-agentless", settings.CACHE_DIR / "guests")
    facts = scan_image(guest.path, guest.format)
    access = qemu.access(facts)
    software = qemu.software(facts, ["jq"], access)
    disk = qemu.copy(way, SourceDisk(str(guest.path), guest.format))
    silence(Path(disk.path))
    wanted = FirstBoot(
        nic_name="ens3",
        cloud_init=True,
        packages=access.packages,
        software=software.adds,
        kernel_modules=("virtio_balloon",),
    )
    done = qemu.prepare(disk, wanted)
    assert done.way == way
    ref = qemu.create(MachineSpec(key=way, name=way, vcpus=2, memory_mib=1024), disk)
    qemu.power(ref, "on")
    qemu.wait_ready(ref, BOOT_S)
    assert qemu.inventory(ref, ["jq"], software.adds).versions == dict([software.adds[0].split("=")])
    finished = qemu.run(ref, FINISHED, BOOT_S)
    assert finished.exit_code == 5
    report = qemu.guest_report(ref)
    assert (report.failed_units, report.hostname) == ((), "db01")
    assert "virtio_balloon" in report.modules
    assert any(address.startswith("ens3 10.0.2.") for address in report.addresses)
    key = inside(guest.path, "/etc/ssh/ssh_host_ed25519_key.pub")
    assert finished.stdout == f"running\n{key}"  # nobody made a new one
