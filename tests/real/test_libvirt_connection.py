"""A private libvirtd, asked over its socket and through SSH; killed, it comes back with its guests."""

import shutil
import time

import pytest

from analyzer.domain.libvirt_address import parse_libvirt_address
from analyzer.sources.base import Refused
from analyzer.sources.libvirt.connection import Failed, connected
from analyzer.sources.ssh import Door, Login
from tests.sshd import sshd


def test_a_local_hypervisor_answers_and_survives_its_daemon(libvirt):
    libvirt.virsh("create", "/dev/stdin", stdin=EMPTY)
    try:
        with connected(parse_libvirt_address(libvirt.uri)) as hypervisor:
            assert "Running hypervisor: QEMU" in hypervisor.ask("version")
            libvirt.kill_daemon()
            assert _patiently(hypervisor, "domstate", "empty") == "running"
    finally:
        libvirt.remove("empty")


def test_a_remote_hypervisor_is_reached_by_pinned_key_only(libvirt):
    with sshd() as server:
        address = parse_libvirt_address(f"qemu+ssh://127.0.0.1:{server.port}/system?socket={libvirt.socket}")
        login = Login(server.username, private_key=server.private_key)
        door = Door(address.host, address.port, pinned=server.host_key)
        with connected(address, login=login, door=door) as hypervisor:
            assert "Running hypervisor: QEMU" in hypervisor.ask("version")
            assert hypervisor.is_remote
        server.new_host_key()
        with pytest.raises(Refused, match="host key"), connected(address, login=login, door=door):
            pass


def test_the_machine_s_own_libvirt_is_untouched(libvirt):
    with connected(parse_libvirt_address(libvirt.uri)) as hypervisor:
        hypervisor.ask("pool-create-as", "ours", "dir", "--target", str(libvirt.folder))
        assert shutil.which("virsh")
        assert "ours" in hypervisor.ask("pool-list", "--name")
        hypervisor.ask("pool-destroy", "ours")


def _patiently(hypervisor, *words) -> str:
    deadline = time.monotonic() + 60
    while True:
        try:
            return hypervisor.ask(*words)
        except Failed as error:
            assert error.kind == "unreachable", error
            assert time.monotonic() < deadline, error
            time.sleep(0.1)


EMPTY = """<domain type='qemu'><name>empty</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='q35'>hvm</type></os></domain>"""
