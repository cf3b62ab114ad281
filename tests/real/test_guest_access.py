"""How a guest without an agent gets one, and when it cannot: against this machine's own apt."""

import pytest

from analyzer.domain.facts import Filesystem, OperatingSystem, Package
from migrations_engine.domain.access import BY_AGENT
from migrations_engine.targets.base import AgentUnavailable, no_keep_alive
from migrations_engine.targets.qemu import host_apt
from migrations_engine.targets.qemu.agent_packages import AGENT, FAILED, access
from migrations_engine.targets.qemu.boot import Boot
from migrations_engine.targets.qemu.folder import Folder
from tests.migrations_engine.estate import facts

ROOT = Filesystem(device="p2", kind="ext4", mount_point="/")
VOLUME = Filesystem(device="vg0/root", kind="ext4", mount_point="/")


@pytest.fixture(scope="module")
def offered():
    return host_apt.offered(AGENT)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    return tmp_path_factory.mktemp("shelf")


@pytest.fixture
def guest(offered):
    """Facts of a guest with everything that the agent may need but the agent and liburing2."""

    def make(changed=(), **areas):
        versions = {name: package.version for name, package in offered.items()} | dict(changed)
        lacking = (AGENT, "liburing2")
        packages = [
            Package(name=name, version=version, architecture="amd64", manager="dpkg")
            for name, version in versions.items()
            if name not in lacking
        ]
        standard = {"has_guest_agent": False, "init_system": "systemd", "filesystems": (ROOT,)}
        return facts(**(standard | {"packages": tuple(packages)} | areas))

    return make


def test_guest_with_an_agent_needs_nothing(shelf):
    assert access(facts(), shelf) == BY_AGENT


def test_agent_and_what_it_needs_are_put_on_the_disk_and_wait_on_the_shelf(guest, offered, shelf):
    found = access(guest(), shelf)
    assert found.way == "offline"
    assert [package.split("=")[0] for package in found.packages] == [AGENT, "liburing2"]
    at_hand = host_apt.files(found.packages, shelf, no_keep_alive)
    assert list(at_hand) == [f"{AGENT}.deb", "liburing2.deb"]
    assert all(path.read_bytes().startswith(b"!<arch>\ndebian-binary") for path in at_hand.values())


def test_package_of_another_system_is_told_to_be_one(guest, shelf):
    assert access(guest(os=OperatingSystem(id="ubuntu", version="24.04")), shelf).origin


@pytest.mark.parametrize("areas", [{"filesystems": (VOLUME,)}, {"init_system": "unknown"}])
def test_cloud_init_brings_it_where_the_disk_cannot_be_changed(guest, shelf, areas):
    assert access(guest(has_cloud_init=True, **areas), shelf).way == "seed"
    assert access(guest(**areas), shelf).way == "none"


def test_older_guest_is_refused_with_the_library_that_is_too_old(guest, shelf):
    found = access(guest({"libc6": "2.28-10"}), shelf)
    assert (found.way, found.packages) == ("none", ())
    assert "libc6 2.28-10" in found.reason


def test_guest_without_dpkg_is_refused(guest, shelf):
    assert "dpkg" in access(guest(packages=()), shelf).reason


def test_guest_of_another_architecture_is_refused(guest, shelf):
    other = [package.model_copy(update={"architecture": "arm64"}) for package in guest().packages]
    assert "the guest is arm64" in access(guest(packages=tuple(other)), shelf).reason


def test_archive_out_of_reach_is_said_before_the_run(guest, tmp_path, monkeypatch):
    apt = tmp_path / "apt.conf"
    apt.write_text(
        'Acquire::http::Proxy "http://127.0.0.1:9";\nAcquire::https::Proxy "http://127.0.0.1:9";\n'
    )
    monkeypatch.setenv("APT_CONFIG", str(apt))
    found = access(guest(), tmp_path / "empty")
    assert found.way == "none"
    assert "cannot reach its archive" in found.reason


def test_installation_that_failed_in_the_guest_ends_the_waiting_with_its_words(tmp_path):
    folder = Folder(tmp_path / "failed")
    folder.path.mkdir()
    folder.console.write_text(f"booting\n[  9.1] {FAILED}: dpkg: error: disk full\r\nlogin: ")
    with pytest.raises(AgentUnavailable, match=r"was not installed: dpkg: error: disk full$"):
        Boot(tmp_path, folder, lambda name: []).wait_ready(600, no_keep_alive)
