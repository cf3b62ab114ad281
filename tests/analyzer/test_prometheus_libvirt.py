"""What we ask Prometheus for is what libvirt's exporter really tells: Debian's exporter on a libvirtd of one's own."""

import re
import tempfile
import urllib.request
from pathlib import Path

import pytest

from analyzer.domain.prometheus import queries
from tests.libvirtd import libvirtd
from tests.servers import Server, free_port, running

GUEST = """\
<domain type='qemu'><name>exporter-probe</name><memory unit='MiB'>64</memory><vcpu>2</vcpu>
<os><type arch='x86_64' machine='q35'>hvm</type></os><devices>
<disk type='file'><driver name='qemu' type='raw'/><source file='{disk}'/><target dev='vda' bus='virtio'/></disk>
<interface type='ethernet'><target dev='mpprobe0'/><model type='virtio'/></interface></devices></domain>
"""


@pytest.mark.once
def test_every_metric_that_is_asked_for_is_told_of_a_real_guest():
    asked = set(re.findall(r"libvirt_\w+", " ".join(queries("libvirt", "domain").values())))
    with libvirtd() as hypervisor, tempfile.TemporaryDirectory(prefix="personas-exporter-") as top:
        folder = Path(top) / "data"
        folder.mkdir()
        disk = Path(top) / "disk.raw"
        disk.write_bytes(b"\0" * 2**20)
        guest = Path(top) / "guest.xml"
        guest.write_text(GUEST.format(disk=disk))
        hypervisor.virsh("create", str(guest))
        server = exporter(folder, hypervisor.uri)
        with running(server):
            told = metrics(server.port)
        hypervisor.virsh("destroy", "exporter-probe")
    of_the_guest = set(re.findall(r'^(libvirt_\w+)\{[^}]*domain="exporter-probe"', told, re.MULTILINE))
    assert len(asked) == 6 and asked <= of_the_guest


def exporter(folder: Path, uri: str) -> Server:
    port = free_port()
    listen = f"--web.listen-address=127.0.0.1:{port}"
    command = ["setpriv", "--pdeathsig", "KILL", "prometheus-libvirt-exporter", f"--libvirt.uri={uri}", listen]
    answers = lambda: "libvirt_up 1" in metrics(port)  # noqa: E731
    return Server("libvirt exporter", command, folder, port, f"http://127.0.0.1:{port}", answers)


def metrics(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            return answer.read().decode()
    except OSError:
        return ""
