"""The Debian packages that the product drives as programs: a table by purpose, and a verb that installs them."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from typing import NamedTuple

from config.bootstrap.progress import VAR, Percent, run_logged, say


class Package(NamedTuple):
    # run: the product · full_guest: a whole Debian as sample guest · test: for the test command · bench_*: a benchmark
    purpose: str
    name: str
    why: str


PACKAGES = (
    Package("run", "bubblewrap", "the sandbox around everything that parses a disk"),
    Package("run", "e2fsprogs", "checks and prepares ext4 file systems without mounting them"),
    Package("run", "fdisk", "sfdisk: reads and writes partition tables"),
    Package("run", "qemu-system-x86", "runs the migrated machines"),
    Package("run", "qemu-utils", "qemu-img: reads, converts and compares disks"),
    Package("run", "shellcheck", "checks a script before it is published on the marketplace"),
    Package("run", "sysstat", "sadf: reads the usage history that a scanned disk holds"),
    Package("run", "uidmap", "user namespaces with many ids, for work on a guest's files without root"),
    Package("full_guest", "mmdebstrap", "builds a complete Debian as a sample guest"),
    Package("bench_scan", "kmod", "depmod: makes a kernel's modules fit for virt-inspector"),
    Package("bench_scan", "libguestfs-tools", "virt-inspector: the peer of the scan"),
    Package("bench_v2v", "libnbd-bin", "nbdcopy: what virt-v2v copies with"),
    Package("bench_v2v", "virt-v2v", "the peer of a whole move"),
    Package("test", "chromium", "the browser of the journeys"),
    Package("test", "iproute2", "the cards and limits of a network that tests make"),
    Package("test", "iptables", "the filters of that hypervisor's network"),
    Package("test", "libvirt-clients", "virsh: asks hypervisors; an installation with libvirt needs it as well"),
    Package("test", "libvirt-daemon", "the private hypervisor that machines are taken from and brought to"),
    Package("test", "libvirt-daemon-driver-qemu", "that hypervisor's way to QEMU"),
    Package("test", "openssh-server", "the running machines that the tests look into"),
    Package("test", "sudo", "what an account there becomes root with"),
    Package("test", "postgresql", "the second database that everything is tested on"),
    Package("test", "prometheus", "the monitoring that usage is asked of"),
    Package("test", "prometheus-libvirt-exporter", "what that monitoring asks of a hypervisor"),
    Package("test", "prometheus-node-exporter", "what that monitoring asks"),
    Package("test", "redis-server", "the second broker that everything is tested on"),
    Package("test", "rpm", "makes the rpm databases that the scanner must read"),
    Package("test", "systemd", "systemd-analyze: checks the units of deploy/"),
    Package("test", "systemd-journal-remote", "makes the journals that the scanner must read"),
    Package("test", "xfsprogs", "makes the XFS disks that the scanner must read"),
)

POLICY = "/usr/sbin/policy-rc.d"  # where Debian's service scripts look for it

# Runs as root, with POLICY and the names of packages. While it installs, a policy forbids starting services: a
# database server on the user's machine is not ours to start. A policy that a killed install left behind is
# recognised by its second line and removed. `update` may fail for a source that has nothing of what we need:
# whether that mattered, the install that follows says.
INSTALL = r"""
policy=$1 && shift
ours='# Migration Personas: no service is started by this install'
grep -qsF "$ours" "$policy" && rm -f "$policy"
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    printf '#!/bin/sh\n%s\nexit 101\n' "$ours" > "$policy"
    chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
apt="apt-get -q -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -o APT::Status-Fd=1"
install() { $apt -o Dpkg::Options::=--force-confold --no-install-recommends install "$@"; }
known() { for name; do apt-cache show --no-all-versions "$name" > /dev/null 2>&1 || return 1; done; }
if known "$@" && install "$@"; then exit 0; fi
$apt update
install "$@"
"""


def ensure(purposes: Iterable[str]) -> None:
    """Make every package of `purposes` present, saying first what is missing and what for.

    As root or where sudo asks nothing it just installs; at a terminal sudo may ask for its password; otherwise,
    or when the install fails, exits with status 1 and the one line to run.
    """
    absent = missing(purposes)
    if not absent:
        return
    say("These Debian packages are needed and not installed:")
    for package in absent:
        say(f"  {package.name:<16} {package.why}")
    names = [package.name for package in absent]
    privilege = privilege_command()
    if privilege is None:
        sys.exit(f"Installing them takes root. Run: {by_hand(names)}")
    started = time.monotonic()
    install(privilege, names)
    say(f"  installed ({time.monotonic() - started:.0f} s)")


def missing(purposes: Iterable[str]) -> list[Package]:
    """The rows of the table whose package dpkg does not report as installed."""
    wanted = [package for package in PACKAGES if package.purpose in set(purposes)]
    if not shutil.which("dpkg-query"):
        say("This is not a Debian system. Make sure of: " + ", ".join(package.name for package in wanted))
        return []
    answer = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package}\n", *(package.name for package in wanted)],
        capture_output=True,
        text=True,
        check=False,  # it fails when one is unknown, and still prints the others
    )
    installed = {line.split()[1] for line in answer.stdout.splitlines() if line.startswith("installed ")}
    return [package for package in wanted if package.name not in installed]


def privilege_command() -> list[str] | None:
    """What stands before a command to run it as root: nothing, sudo, or None where there is no way."""
    if os.geteuid() == 0:
        return []
    if not shutil.which("sudo"):
        return None
    if subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0:
        return ["sudo", "-n"]
    if sys.stdin.isatty() and subprocess.run(["sudo", "-v"], check=False).returncode == 0:
        return ["sudo", "-n"]  # asked now, while the screen is free; the install uses that answer
    return None


def install(privilege: list[str], names: list[str]) -> None:
    percents = {"dlstatus": Percent("downloading"), "pmstatus": Percent("installing")}

    def show(line: str) -> None:  # apt's status lines: "dlstatus:3:41.5:Retrieving file 3 of 7"
        kind, _, rest = line.partition(":")
        if kind in percents:
            percents[kind].reached(float(rest.split(":")[1]) / 100)

    code, last = run_logged(
        [*privilege, "sh", "-c", INSTALL, "sh", POLICY, *names], log="debian", on_line=show
    )
    if code:
        errors = [line for line in last if line.startswith("E: ")] or [f"apt-get ended with {code}"]
        sys.exit(f"{errors[-1]} (see {VAR}/log/debian.log). Run: {by_hand(names)}")


def by_hand(names: list[str]) -> str:
    return f"sudo sh -c 'apt-get update && apt-get install -y --no-install-recommends {' '.join(names)}'"
