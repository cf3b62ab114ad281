"""The children of quickstart live as long as it does: started again when they end, stopped with it, dead with it."""

import os
import signal
import subprocess
import sys
import time

import pytest

from config.quickstart import children as module
from config.quickstart.children import Child, ChildFailed, Children, free_port
from config.quickstart.instance import AlreadyRunning, only_instance

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


@pytest.fixture
def sleepers(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "COMMANDS", {"worker": lambda port: SLEEP, "broken": lambda port: ["false"]})
    with Children(0, tmp_path) as children:
        yield children


def test_a_killed_child_is_started_again(sleepers):
    child = sleepers.start("worker")
    first = child.process.pid
    os.kill(first, signal.SIGKILL)
    child.process.wait()
    sleepers.check()
    assert child.process.pid != first
    assert not child.ended()


def test_a_child_that_ends_again_and_again_is_a_failure_that_names_its_log(sleepers):
    child = sleepers.start("broken")
    with pytest.raises(ChildFailed, match=r"broken keeps stopping .*broken\.log"):
        for _ in range(module.RESTARTS + 1):
            child.process.wait()
            sleepers.check()


def test_children_stop_with_the_block(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "COMMANDS", {"worker": lambda port: SLEEP})
    with Children(0, tmp_path) as children:
        child = children.start("worker")
    assert child.ended()


def test_children_die_with_a_killed_parent(tmp_path):
    program = (
        "from pathlib import Path; from config.quickstart.children import Child; import time\n"
        f"child = Child('x', {SLEEP!r}, Path({str(tmp_path / 'x.log')!r})); child.start()\n"
        "print(child.process.pid, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    pid = int(parent.stdout.readline())
    time.sleep(0.5)  # setpriv becomes the child's own program
    parent.kill()
    parent.wait()
    for _ in range(100):
        if not _alive(pid):
            return
        time.sleep(0.1)
    raise AssertionError(f"{pid} outlived its parent")


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().split()[2] not in "ZX"
    except FileNotFoundError:
        return False


def test_a_wanted_port_that_is_taken_is_refused_and_another_one_found():
    first = free_port(None)
    assert free_port(first) == first
    with module.socket.socket() as taken:
        taken.bind(("127.0.0.1", first))
        taken.listen()
        with pytest.raises(OSError, match=f"Port {first}"):
            free_port(first)
        assert free_port(None) != first


def test_two_quickstarts_on_one_var_are_refused(tmp_path):
    with only_instance(tmp_path), pytest.raises(AlreadyRunning, match=str(os.getpid())), only_instance(tmp_path):
        pass


def test_child_without_a_log_line_says_so(tmp_path):
    child = Child("x", SLEEP, tmp_path / "x.log")
    (tmp_path / "x.log").touch()
    assert child.last_line() == "nothing in its log"
