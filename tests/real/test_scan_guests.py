"""Scans of real systems, each fact against another reader of the same disk: debugfs, dpkg, apt, systemctl, rpm, sar."""

import csv
import io
import json
from pathlib import Path

import pytest

from analyzer.domain.facts import Facts
from analyzer.scanner.scan import scan_image
from tests.disks import DEBIAN, lay_out, make_disk, run


@pytest.fixture(scope="module", params=["tiny", "full"])
def guest(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def facts(guest) -> Facts:
    return scan_image(guest.path, guest.format)


@pytest.fixture(scope="module")
def files(guest, tmp_path_factory) -> Path:
    """What the facts were read from, taken out of the disk by debugfs."""
    folder = tmp_path_factory.mktemp(guest.name)
    partitions = json.loads(run("sfdisk", "-J", guest.path))["partitiontable"]["partitions"]
    disk = f"{guest.path}?offset={partitions[-1]['start'] * 512}"
    for path in (
        "/etc",
        "/usr/lib/systemd",
        "/usr/lib/os-release",
        "/var/lib/dpkg",
        "/var/lib/apt",
        "/boot/grub",
    ):
        (folder / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        run("debugfs", "-R", f"rdump {path} {(folder / path[1:]).parent}", disk)
    (folder / "lib").symlink_to("usr/lib")
    return folder


def test_packages_are_those_of_dpkg(facts, files):
    shown = "${Package}\t${Version}\t${Architecture}\t${Section}\t${db:Status-Status}\n"
    told = run("dpkg-query", f"--admindir={files}/var/lib/dpkg", "-W", "-f", shown)
    rows = {tuple(line.split("\t")[:4]) for line in told.splitlines() if line.endswith("\tinstalled")}
    assert {
        (each.name, each.version, each.architecture, each.section or "") for each in facts.packages
    } == rows
    assert len(rows) > 20


def test_packages_asked_for_are_those_of_apt(facts, files):
    state = files / "var/lib"
    options = [f"Dir::State={state}/apt", f"Dir::State::status={state}/dpkg/status"]
    options += [f"Dir::State::extended_states={state}/apt/extended_states"]
    told = run("apt-mark", *(f"-o{each}" for each in options), "showmanual")
    native = {each.name for each in facts.packages if each.manual}
    assert native == {line.split(":")[0] for line in told.splitlines()}


def test_units_are_those_of_systemctl(facts, files):
    told = run("systemctl", f"--root={files}", "list-unit-files", "--no-legend", "--no-pager", "--full")
    rows = {tuple(line.split()[:2]) for line in told.splitlines()}
    kinds = ("service", "socket", "timer", "path", "mount", "target")
    units = {
        (each.name, each.state)
        for each in facts.services
        if each.kind in kinds and not is_instance(each.name)
    }
    assert units == {row for row in rows if row[1] in ("enabled", "disabled", "masked")}


def is_instance(name: str) -> bool:
    """ "getty@tty1.service": systemctl shows the template's row only."""
    return "@" in name and "@." not in name


def test_users_are_those_of_passwd(facts, files):
    rows = [line.split(":") for line in (files / "etc/passwd").read_text().splitlines()]
    assert [(each.name, each.uid, each.shell) for each in facts.users] == [
        (row[0], int(row[2]), row[6]) for row in rows
    ]


def test_identity_is_that_of_the_files(facts, files):
    release = dict(
        line.split("=", 1) for line in (files / "usr/lib/os-release").read_text().splitlines() if "=" in line
    )
    assert (facts.os.id, facts.os.version) == (release["ID"], release["VERSION_ID"].strip('"'))
    assert facts.hostname == (files / "etc/hostname").read_text().strip()
    assert facts.architecture == "x86_64"


def test_kernels_are_those_that_were_built_in(facts, guest, files):
    assert {each.version for each in facts.kernels} == set(guest.kernels)
    assert facts.default_kernel.version == guest.default_kernel
    menu = (files / "boot/grub/grub.cfg").read_text()
    for kernel in facts.kernels:
        assert {"virtio_blk", "virtio_net", "virtio_pci"} <= kernel.drivers
        assert kernel.initramfs
        assert all(f"'{part}'" in menu for part in kernel.menu_id.split(">"))
        assert kernel.version in kernel.menu_id


def test_the_root_file_system_is_as_full_as_dumpe2fs_says(facts, guest):
    start = facts.root_filesystem.start_bytes
    told = dict(
        line.split(":", 1)
        for line in run("debugfs", "-R", "stats -h", f"{guest.path}?offset={start}").splitlines()
        if ":" in line
    )
    block = int(told["Block size"])
    assert facts.root_filesystem.size_bytes == int(told["Block count"]) * block
    assert facts.root_filesystem.used_bytes == (int(told["Block count"]) - int(told["Free blocks"])) * block
    assert facts.root_filesystem.uuid == told["Filesystem UUID"].strip()


def test_the_full_guest_is_known_for_what_it_is(full):
    facts = scan_image(full.path, full.format)
    assert (facts.init_system, facts.boot_mode) == ("systemd", "bios")
    assert facts.has_cloud_init
    assert facts.has_guest_agent
    ports = {(each.service, each.port) for each in facts.listening}
    assert {("nginx", 80), ("postgresql", 5432)} <= ports
    assert {each.name for each in facts.services if each.enabled} >= {"nginx.service", "postgresql.service"}


@pytest.fixture(scope="module")
def sysstat_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("sysstat") / "sa23"
    run("/usr/lib/sysstat/sadc", "-S", "DISK", "1", "3", path)
    return path


def test_usage_history_is_what_sar_says(sysstat_file, tmp_path):
    tree = lay_out(tmp_path / "tree", DEBIAN | {"var/log/sysstat/sa23": sysstat_file.read_bytes()})
    facts = scan_image(make_disk(tmp_path / "d", tree), "raw")
    assert facts.covered("usage").state == "full"
    series = {each.metric: dict(each.samples) for each in facts.usage}
    told = run("sadf", "-d", "-U", sysstat_file, "--", "-u")
    rows = list(csv.DictReader(io.StringIO(told.lstrip("# ")), delimiter=";"))
    assert series["cpu_percent"] == {
        int(row["timestamp"]): round(100 - float(row["%idle"]), 3) for row in rows
    }
    memory = run("sadf", "-d", "-U", sysstat_file, "--", "-r")
    rows = list(csv.DictReader(io.StringIO(memory.lstrip("# ")), delimiter=";"))
    assert series["memory_percent"] == {int(row["timestamp"]): float(row["%memused"]) for row in rows}
    assert set(series) == {
        "cpu_percent",
        "memory_percent",
        "disk_operations_per_s",
        "disk_read_bytes_per_s",
        "disk_write_bytes_per_s",
        "network_receive_bytes_per_s",
        "network_transmit_bytes_per_s",
    }
    assert all(each.step_s == 1 and each.source == "sysstat" for each in facts.usage)


def test_a_damaged_day_lowers_the_coverage_of_usage_only(sysstat_file, tmp_path):
    days = {"var/log/sysstat/sa22": b"garbage", "var/log/sysstat/sa23": sysstat_file.read_bytes()}
    facts = scan_image(make_disk(tmp_path / "d", lay_out(tmp_path / "tree", DEBIAN | days)), "raw")
    assert facts.covered("usage").state == "partial"
    assert "/var/log/sysstat/sa22" in facts.covered("usage").reason
    assert len(facts.usage) == 7


SPEC = """\
Name: hello-persona
Version: 1.2.3
Release: 4
Epoch: 2
Summary: a package
License: Apache-2.0
Group: Applications/System
BuildArch: noarch
%description
A package.
%files
"""


def test_packages_of_an_rpm_system_are_those_of_rpm(tmp_path):
    (tmp_path / "hello.spec").write_text(SPEC)
    run("rpmbuild", "--quiet", "--define", f"_topdir {tmp_path}", "-bb", tmp_path / "hello.spec")
    database = tmp_path / "tree/var/lib/rpm"
    database.mkdir(parents=True)
    package = next(tmp_path.glob("RPMS/noarch/*.rpm"))
    run("rpm", "--force-debian", "--dbpath", database, "--justdb", "--nodeps", "-i", package)
    release = 'ID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.3"\n'
    lay_out(tmp_path / "tree", {"etc/os-release": release, "etc/passwd": "root:x:0:0::/root:/bin/bash\n"})
    facts = scan_image(make_disk(tmp_path / "d", tmp_path / "tree"), "raw")
    query = "%{NAME} %{EPOCH}:%{VERSION}-%{RELEASE} %{ARCH} %{GROUP}"
    told = run("rpm", "--dbpath", database, "-qa", "--qf", query)
    found = [f"{each.name} {each.version} {each.architecture} {each.section}" for each in facts.packages]
    assert found == [told] == ["hello-persona 2:1.2.3-4 noarch Applications/System"]
    assert (facts.os.family, facts.packages[0].manager) == ("rhel", "rpm")


def test_an_rpm_database_of_before_sqlite_is_named(tmp_path):
    tree = lay_out(
        tmp_path / "tree", DEBIAN | {"var/lib/rpm/Packages": b"\0" * 4096, "var/lib/dpkg/status": ""}
    )
    facts = scan_image(make_disk(tmp_path / "d", tree), "raw")
    assert facts.covered("packages").state == "partial"
    assert "older rpm database" in facts.covered("packages").reason
