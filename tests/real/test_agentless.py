"""A Debian without the guest agent, on a disk that cannot be changed from outside: cloud-init brings the agent."""

import subprocess
from pathlib import Path

import pytest
from django.conf import settings

from analyzer.scanner.scan import scan_image
from config.quickstart.guests import build_guest
from migrations_engine.domain.machine import FirstBoot, MachineSpec, SourceDisk
from migrations_engine.targets.base import PrepareRefused
from migrations_engine.targets.qemu import workbench

BOOT_S = 600  # an idle machine needs 40
ROOT = "?offset=2097152"
SILENCED = ("postgresql", "nginx")  # this is about cloud-init, and the guest starts quicker without them
FINISHED = "systemctl is-system-running --wait; cat /etc/ssh/ssh_host_ed25519_key.pub; exit 5"


def inside(image: Path, path: str) -> str:
    done = subprocess.run(["debugfs", "-R", f"cat {path}", f"{image}{ROOT}"], capture_output=True, text=True)
    return done.stdout


def silence(image: Path) -> None:
    requests = "".join(f"symlink /etc/systemd/system/{name}.service /dev/null\n" for name in SILENCED)
    subprocess.run(["debugfs", "-w", "-f", "-", f"{image}{ROOT}"], input=requests, text=True, check=True)


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
    silence(Path(disk.path))
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
    finished = qemu.run(ref, FINISHED, BOOT_S)
    assert finished.exit_code == 5
    report = qemu.guest_report(ref)
    assert (report.failed_units, report.hostname) == ((), "db01")
    assert "virtio_balloon" in report.modules
    assert any(address.startswith("ens3 10.0.2.") for address in report.addresses)
    key = inside(guest.path, "/etc/ssh/ssh_host_ed25519_key.pub")
    assert finished.stdout == f"running\n{key}"  # nobody made a new one
