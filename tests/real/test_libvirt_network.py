"""A libvirt network with bridge and filters of its own: what a trial finds is what then holds for a guest's card."""

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace

import pytest

from analyzer.domain.libvirt_address import parse_libvirt_address
from analyzer.sources.ssh import Door, Login
from migrations_engine.domain.machine import MachineSpec, Rule, SecurityGroup
from migrations_engine.targets.base import TargetError
from migrations_engine.targets.libvirt import trial
from migrations_engine.targets.libvirt.place import Place
from migrations_engine.targets.libvirt.target import LibvirtTarget
from tests.libvirtd import libvirtd
from tests.sshd import make_key, sshd

NETWORK = "<network><name>lan</name><bridge name='mpbr0'/></network>"
WEB = (SecurityGroup("web", (Rule("tcp", 80, 80),)),)
MORE = (SecurityGroup("web", (Rule("tcp", 80, 81),)),)
GUEST, OTHER = "192.0.2.2", "192.0.2.3"
REACHES = """
import socket, sys
for port in (80, 81):
    with socket.socket() as connection:
        connection.settimeout(3)
        print(port, "open" if connection.connect_ex((sys.argv[1], port)) == 0 else "closed")
"""


@pytest.fixture(scope="module")
def lan():
    with libvirtd(own_network=True) as server:
        server.virsh("net-define", "/dev/stdin", stdin=NETWORK)
        server.virsh("net-start", "lan")
        (server.folder / "pool").mkdir()
        server.virsh("pool-create-as", "machines", "dir", "--target", str(server.folder / "pool"))
        yield server


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    """Whether guests live on KVM is not what is asked here."""
    monkeypatch.setattr(trial, "LIVES_S", 1)


def test_hypervisor_elsewhere_is_tried_through_ssh(libvirt, place, tmp_path):
    with sshd() as server:
        where = f"qemu+ssh://{server.username}@127.0.0.1:{server.port}/system?socket={libvirt.socket}"
        address = parse_libvirt_address(where)
        login = Login(server.username, private_key=server.private_key)
        door = Door(address.host, address.port, server.host_key)
        elsewhere = Place(address, place.pool, login=login, door=door)
        assert LibvirtTarget(root=tmp_path, place=elsewhere).trial().missing == ()
        stranger = replace(elsewhere, door=replace(door, pinned=make_key(tmp_path / "other")))
        with pytest.raises(TargetError, match="host key"):
            LibvirtTarget(root=tmp_path, place=stranger).probe()
    assert libvirt.virsh("vol-list", place.pool) == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="bridges and filters take root")
def test_trial_tells_the_truth_and_a_filter_holds(lan, tiny, source, tmp_path):
    place = Place(parse_libvirt_address(lan.uri), "machines", "lan")
    found = LibvirtTarget(root=tmp_path, place=place).trial()
    assert found.missing == ()
    assert "filters" in found.enforces
    if "bandwidth" not in found.enforces:  # libvirt wants sfq, which not every kernel has
        assert "qdisc" in found.notes[0]
    assert (lan.virsh("list", "--all", "--name"), lan.virsh("vol-list", "machines")) == ("", "")
    assert "mp-trial" not in lan.virsh("nwfilter-list")

    target = LibvirtTarget(root=tmp_path, place=Place(place.address, "machines", "lan", enforces=found.enforces))
    spec = MachineSpec("filtered", "web01", 1, 256, security_groups=WEB)
    try:
        ref = target.create(spec, target.seal(target.copy(spec.key, source), "qcow2"))
        target.power(ref, "on")
        target.wait_ready(ref, 240)
        assert target.apply_security_groups(ref, WEB).ok
        listen = "(nc -l -p 81 </dev/null >/dev/null 2>&1 &)\n" * 2
        card = f"killall udhcpc; ip addr add {GUEST}/24 dev eth0; ip link set eth0 up\n"
        assert target.run(ref, card + listen, 30).exit_code == 0
        with neighbour(lan) as ask:
            assert soon(ask, "80 open") == ["80 open", "81 closed"]
            assert target.apply_security_groups(ref, MORE).ok
            assert soon(ask, "81 open") == ["80 open", "81 open"]  # it was the filter that kept it closed
    finally:
        target.destroy(spec.key)
    assert "mp-filtered" not in lan.virsh("nwfilter-list")


def soon(ask, wanted: str) -> list[str]:
    """The last answer: a bridge learns who is where, and a busy guest answers late."""
    deadline = time.monotonic() + 60
    while wanted not in (answer := ask(GUEST)) and time.monotonic() < deadline:
        time.sleep(0.5)
    return answer


@contextmanager
def neighbour(lan):
    """Another machine on the same bridge: a network namespace of its own, and what it reaches."""
    daemon = lan.daemons()[0]
    inside = ["nsenter", "--target", str(daemon), "--net"]
    with subprocess.Popen([*inside, "unshare", "--net", "sleep", "600"]) as other:
        try:
            until_apart(other.pid, daemon)
            there = ["nsenter", "--target", str(other.pid), "--net"]
            run([*inside, *f"ip link add mpv0 type veth peer name mpv1 netns {other.pid}".split()])
            run([*inside, *"ip link set mpv0 master mpbr0 up".split()])
            run([*there, *f"ip addr add {OTHER}/24 dev mpv1".split()])
            run([*there, *"ip link set mpv1 up".split()])
            yield lambda address: run([*there, sys.executable, "-c", REACHES, address]).split("\n")
        finally:
            other.kill()


def until_apart(pid: int, other: int) -> None:
    while os.path.samefile(f"/proc/{pid}/ns/net", f"/proc/{other}/ns/net") or os.path.samefile(
        f"/proc/{pid}/ns/net", "/proc/self/ns/net"
    ):
        pass


def run(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()
