"""Packages that a guest lacks, from this machine's own apt, with what they need; and why there are none."""

import pytest

from analyzer.domain.facts import Filesystem, OperatingSystem, Package
from migrations_engine.domain.access import BY_AGENT, Access
from migrations_engine.domain.software import Software
from migrations_engine.targets.qemu import host_apt
from migrations_engine.targets.qemu.software import software
from tests.migrations_engine.estate import facts

ROOT = Filesystem(device="p2", kind="ext4", mount_point="/")


def states(found: Software) -> dict[str, str]:
    return {each.name: each.state for each in found.asked}


@pytest.fixture(scope="module")
def offered():
    return host_apt.offered("jq")


@pytest.fixture
def guest(offered):
    """Facts of a guest of this machine's release with all that jq needs but jq and libjq1."""

    def make(changed=(), **areas):
        versions = (
            {name: package.version for name, package in offered.items()} | {"dpkg": "1"} | dict(changed)
        )
        rows = (
            Package(name=name, version=version, architecture="amd64", manager="dpkg")
            for name, version in versions.items()
            if name not in ("jq", "libjq1")
        )
        system, version = host_apt.platform.freedesktop_os_release(), "VERSION_ID"
        standard = {
            "init_system": "systemd", "filesystems": (ROOT,), "packages": tuple(rows),
            "os": OperatingSystem(id=system["ID"], version=system[version]),
        }  # fmt: skip
        return facts(**(standard | areas))

    return make


def test_package_and_its_library_come_from_this_machines_apt(guest, offered):
    found = software(guest(), ["libc6", "jq"], BY_AGENT)
    assert states(found) == {"libc6": "present", "jq": "added"}
    assert found.adds == tuple(f"{name}={offered[name].version}" for name in ("jq", "libjq1"))
    assert found.installed_bytes > found.fetch_bytes > 100_000


def test_package_that_comes_with_the_agent_is_there(guest, offered):
    brought = Access("offline", (f"libjq1={offered['libjq1'].version}",))
    assert software(guest(), ["jq"], brought).adds == (f"jq={offered['jq'].version}",)


@pytest.mark.parametrize(
    ("areas", "access", "reason"),
    [
        (
            {"os": OperatingSystem(id="debian", version="9", pretty_name="Debian 9")},
            BY_AGENT,
            "the guest runs Debian 9",
        ),
        ({"packages": ()}, BY_AGENT, "it has no dpkg"),
        ({"init_system": "busybox"}, BY_AGENT, "not systemd, and it has no cloud-init"),
        ({}, Access("none", reason="x"), "there is no guest agent"),
        ({"coverage": ()}, BY_AGENT, "the scan could not read"),
    ],
)
def test_guest_that_nothing_can_be_brought_to_is_told_why(guest, areas, access, reason):
    (row,) = software(guest(**areas), ["jq"], access).asked
    assert row.state == "lacking"
    assert reason in row.reason


def test_guest_of_another_architecture_is_told(guest):
    arm = [package.model_copy(update={"architecture": "arm64"}) for package in guest().packages]
    (row,) = software(guest(packages=tuple(arm)), ["jq"], BY_AGENT).asked
    assert row.reason == "this machine offers amd64, the guest is arm64"
