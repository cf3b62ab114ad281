"""Machines of the private libvirtd that tests take their guests from."""

import subprocess
import uuid
from pathlib import Path

from analyzer.models import SourceEndpoint
from analyzer.services.sources import source_create
from tests.libvirtd import Libvirtd

DOMAIN = """<domain type='qemu'>
  <name>{name}</name><uuid>{id}</uuid>
  <memory unit='MiB'>160</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <features>{acpi}</features>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='{format}'/><source file='{disk}'/><target dev='vda' bus='virtio'/>
    </disk>
    <interface type='user'><mac address='52:54:00:12:34:56'/><model type='virtio'/></interface>
    {agent}
    <serial type='pty'/>
  </devices>
</domain>"""
AGENT = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"


def define(libvirt: Libvirtd, guest: Path, disk: Path, *, name="web01", format="raw", obeys=True) -> str:
    """A copy of `guest` at `disk` as a machine that is off; returns its UUID. `obeys`: it hears of a shutdown."""
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", format, guest, disk], check=True)
    id = str(uuid.uuid4())
    parts = {"acpi": "<acpi/>" if obeys else "", "agent": AGENT if obeys else ""}
    libvirt.virsh("define", "/dev/stdin", stdin=DOMAIN.format(name=name, id=id, disk=disk, format=format, **parts))
    return id


def make_hypervisor_source(libvirt: Libvirtd, *, by, department) -> SourceEndpoint:
    return source_create(name="KVM host", department=department, by=by, location=libvirt.uri, kind="libvirt")
