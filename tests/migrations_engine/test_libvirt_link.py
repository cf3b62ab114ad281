"""What becomes of questions to a libvirt that is away, or says no."""

from types import SimpleNamespace

import pytest

from analyzer.sources.libvirt.connection import Failed
from migrations_engine.targets.base import AgentUnavailable, MachineFailed, TargetInfo
from migrations_engine.targets.libvirt import link
from migrations_engine.targets.libvirt.agent import LibvirtAgent
from migrations_engine.targets.libvirt.link import LibvirtFailed, Link
from migrations_engine.targets.libvirt.place import Place
from migrations_engine.targets.libvirt.target import LibvirtTarget


class Played:
    """Answers in turn; an exception is raised."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def ask(self, *words, **options):
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


AWAY = Failed("Failed to connect socket", "unreachable")


@pytest.fixture
def played(monkeypatch):
    def linked(*answers):
        hypervisor = Played(*answers)
        monkeypatch.setattr(Link, "_connected", lambda self: hypervisor)
        monkeypatch.setattr(link, "PAUSE_S", 0)
        return Link(Place(None, "default"))

    return linked


def test_libvirt_that_is_started_again_is_asked_again(played):
    assert played(AWAY, AWAY, "running").ask("domstate", "x") == "running"


def test_no_is_not_asked_twice(played):
    with pytest.raises(LibvirtFailed) as refused:
        played(Failed("no such domain", "gone"), "never").ask("domstate", "x")
    assert refused.value.kind == "gone"


def test_patience_ends(played, monkeypatch):
    monkeypatch.setattr(link, "HURRY_S", -1)
    with pytest.raises(LibvirtFailed, match="connect"):
        played(AWAY, "late").ask("domstate", "x", patient=False)


def test_place_that_cannot_be_asked_says_why():
    with pytest.raises(LibvirtFailed, match="key was not confirmed"):
        Link(Place(None, "default", problem="Its key was not confirmed.")).ask("version")


def test_script_stands_in_no_list_of_processes_and_cannot_break_out_of_its_quotes(monkeypatch):
    typed = []

    def type_(self, line, timeout_s):
        typed.append(line)
        return '{"return": {"pid": 7, "exited": true, "exitcode": 0}}'

    monkeypatch.setattr(Link, "type", type_)
    agent = LibvirtAgent(Link(Place(None, "default")), "uuid")
    assert agent.sh("echo 'a'; quit\nlist", "it's").exit_code == 0
    assert all(line.count("'") == 2 and "\n" not in line for line in typed)


@pytest.mark.parametrize(
    ("kind", "expected"), [("agent", AgentUnavailable), ("not_running", MachineFailed), ("gone", MachineFailed)]
)
def test_agent_may_come_back_and_a_stopped_machine_does_not(monkeypatch, kind, expected):
    def type_(self, line, timeout_s):
        raise LibvirtFailed("no", kind)

    monkeypatch.setattr(Link, "type", type_)
    agent = LibvirtAgent(Link(Place(None, "default")), "uuid")
    with pytest.raises(expected):
        agent.ask("guest-info")
    assert not agent.answers()


def test_secret_typed_is_no_word_of_a_command(played, monkeypatch):
    seen = []

    class Ended:
        stdout, stderr = b"virsh # qemu-agent-command\r<...\nanswer\nvirsh # \n", b""

    monkeypatch.setattr(link.subprocess, "run", lambda command, **options: seen.append(command) or Ended)
    hypervisor = type("H", (), {"uri": "test:///default", "environment": lambda self: {}})()
    monkeypatch.setattr(Link, "_connected", lambda self: hypervisor)
    assert Link(Place(None, "default")).type("qemu-agent-command x 'canary'") == "answer"
    assert "canary" not in str(seen)


@pytest.mark.parametrize(("pool", "room"), [(10**18, 10**6), (7, 7)])
def test_room_is_the_lesser_of_the_pools_and_the_workbenchs(monkeypatch, tmp_path, pool, room):
    info = TargetInfo("QEMU 7.2", "kvm", vcpus=4, memory_mib=4096, free_bytes=pool, firmwares=("bios",))
    monkeypatch.setattr("migrations_engine.targets.libvirt.probe.probe", lambda link: info)
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=10**6 if path.is_dir() else 0))
    target = LibvirtTarget(root=tmp_path / "not yet", place=Place(None, "machines"))
    assert target.probe().free_bytes == room
