"""A department that can migrate: a member, a scanned machine whose disk is a file, a template, a persona, a target."""

import tempfile
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from django.conf import settings

from analyzer.domain.facts import Kernel
from analyzer.services.scan_reading import disk_fingerprint
from tests import factories

DRIVERS = ("virtio_blk", "virtio_net", "virtio_scsi", "ahci", "sd_mod", "e1000e")


def facts(**areas):
    kernels = (
        Kernel(version="6.1.0-1-amd64", default=True, drivers_module=DRIVERS),
        Kernel(version="6.1.0-2-amd64", drivers_module=DRIVERS),
    )
    packages = tuple(factories.make_package(name) for name in ("base-files", "python3", "bash", "nftables"))
    standard = {
        "has_guest_agent": True, "has_nft": True, "has_tc": True, "boot_mode": "bios", "kernels": kernels,
        "packages": packages,
    }  # fmt: skip
    return factories.make_facts(**(standard | areas))


@dataclass
class Estate:
    department: object
    operator: object
    vm: object
    template: object
    persona: object
    target: object
    scan: object

    def launch(self, **changes):
        """Keyword arguments of `run_start`."""
        return {
            "template": self.template,
            "vm": self.vm,
            "personas": [self.persona],
            "by": self.operator,
        } | changes

    def another_vm(self, name: str):
        """A machine like the first one."""
        return scanned_vm(self.department, name, facts())[0]


def copying(run, *, since) -> None:
    """A worker is half-way through the disk of `run`: 512 of 1024 bytes after ten seconds, as of `since`."""
    run.steps.filter(name__in=["analyze", "merge"]).update(state="succeeded")
    run.steps.filter(name="migrate").update(
        state="running",
        percent=40,
        message="Copying the disk",
        bytes_done=512,
        bytes_total=1024,
        started_at=since - timedelta(seconds=20),
        phase_at=since - timedelta(seconds=10),
    )
    type(run).objects.filter(pk=run.pk).update(state="running", started_at=since - timedelta(seconds=30))


def scanned_vm(department, name: str, facts_found) -> tuple:
    """(machine, its scan), with a disk of its own."""
    disk = Path(tempfile.mkdtemp(dir=settings.IMAGE_ROOTS[0])) / f"{name}.raw"
    disk.write_bytes(b"\x00" * 4096)
    vm = factories.make_vm(department, path=disk, size=2**30, name=name, vcpus=1, memory_mib=512)
    return vm, factories.make_scan(vm, facts=facts_found, disk_fingerprint=disk_fingerprint(vm))


def make_estate(*, role="operator", facts_found=None, **persona_columns) -> Estate:
    member = factories.make_member(role=role)
    department = member.memberships.get().department
    settings.IMAGE_ROOTS[0].mkdir(parents=True, exist_ok=True)
    vm, scan = scanned_vm(department, "web01", facts_found or facts())
    template = factories.make_template(department=department)
    columns = {
        "default_kernel_version": "6.1.0-2-amd64",
        "default_kernel_intent": "require",
    } | persona_columns
    persona = factories.make_persona("DatabaseAdmin", department=department, **columns)
    return Estate(department, member, vm, template, persona, factories.make_target(), scan)
