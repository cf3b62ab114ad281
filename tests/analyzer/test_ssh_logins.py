"""Who logs in, and as whom it looks: by password, with a sudo that asks nothing, asks, or refuses; and the history
that sysstat keeps on a host. Real sshd, accounts, sudo and sadf, in files of their own (tests/sshd.py `seeing`)."""

import os
import subprocess
from pathlib import Path

import pytest

from analyzer.sources.ssh import Denied, Door, Login, logins, looks
from tests.sshd import sshd

PASSWORD = "it's $HOME \\n `id`"
ACCOUNTS = {"plain": 2001, "free": 2002, "asked": 2003}
SUDOERS = "root ALL=(ALL:ALL) ALL\nfree ALL=(ALL) NOPASSWD: ALL\nasked ALL=(ALL) ALL\n"
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="an account of its own takes root")


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    folder = tmp_path_factory.mktemp("accounts")
    instead = {f"/etc/{name}": folder / name for name in ("passwd", "shadow", "sudoers")}
    hashed = subprocess.run(
        ["openssl", "passwd", "-6", "-stdin"], input=PASSWORD, capture_output=True, text=True, check=True
    ).stdout.strip()
    people = "".join(f"{name}:x:{uid}:65534::/tmp:/bin/sh\n" for name, uid in ACCOUNTS.items())
    secrets = "".join(f"{name}:{hashed}:19000:0:99999:7:::\n" for name in ACCOUNTS)
    written = {
        "passwd": (Path("/etc/passwd").read_text() + people, 0o644),
        "shadow": (Path("/etc/shadow").read_text() + secrets, 0o640),
        "sudoers": (SUDOERS, 0o440),
    }
    for name, (text, mode) in written.items():
        (folder / name).write_text(text)
        (folder / name).chmod(mode)
    history = folder / "sysstat"
    history.mkdir(mode=0o755)
    folder.chmod(0o755)
    subprocess.run(["/usr/lib/sysstat/sadc", "1", "3", history / "sa01"], check=True)
    instead["/var/log/sysstat"] = history
    with sshd("PasswordAuthentication yes", instead=instead) as server:
        yield Door("127.0.0.1", server.port, server.host_key)


def login(name: str, password: str = PASSWORD, *, use_sudo: bool = True) -> Login:
    return Login(name, password=password, use_sudo=use_sudo)


@pytest.mark.parametrize(
    ("name", "use_sudo", "whom"),
    [("plain", False, "plain"), ("plain", True, "plain"), ("free", True, "root"), ("asked", True, "root")],
)
def test_a_password_lets_in_and_sudo_makes_root_where_it_may(host, name, use_sudo, whom):
    assert logins([host], None, login(name, use_sudo=use_sudo)) == {host: whom}


def test_a_wrong_password_is_told_without_it(host):
    denied = logins([host], None, login("asked", "another"))[host]
    assert denied == Denied("it does not let asked in with this password")


def test_a_look_by_a_sudo_that_asks_sees_what_root_sees_and_its_history(host):
    facts = looks([host], None, login("asked"))[host].facts
    assert facts.running.as_root
    assert len(facts.packages) > 50
    assert facts.covered("usage").state == "full", facts.covered("usage").reason
    assert any(day.metric == "cpu_percent" for day in facts.usage)
    assert PASSWORD not in facts.model_dump_json()


def test_a_look_without_sudo_ends_all_the_same(host):
    facts = looks([host], None, login("plain", use_sudo=False))[host].facts
    assert len(facts.packages) > 50
