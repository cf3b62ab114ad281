"""The guest agent for a guest that has none: which packages, from where, and how the guest installs them.

The guest's own dpkg does it at the first boot, without a network: the package database stays true, and nothing of a
foreign disk runs on this machine.
"""

import platform
from pathlib import Path

from analyzer.domain.facts import Facts
from migrations_engine.domain.access import BY_AGENT, Access, dpkg_versions, way_to_install
from migrations_engine.domain.debian import Package, Unsuitable, to_add
from migrations_engine.targets.base import KeepAlive, no_keep_alive
from migrations_engine.targets.qemu import host_apt
from migrations_engine.targets.qemu.host_apt import NotOffered

AGENT = "qemu-guest-agent"
FOLDER = "/var/lib/migration-personas/agent"
PLAN_FETCH_S = 60  # somebody waits for the plan
# on the console, for whoever waits for the agent
FAILED = "migration-personas: the guest agent was not installed"

# dpkg waits for nobody: whoever else installs at this boot (cloud-init, unattended-upgrades) is let finish
INSTALL = f"""\
#!/bin/sh
cd {FOLDER} || exit 1
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
set -- ./*.deb
if [ -e "$1" ]; then
    tries=0
    until dpkg --force-confdef --force-confold --install "$@" </dev/null >log 2>&1; do
        tries=$((tries + 1))
        if ! grep -q 'locked by another process' log || [ "$tries" -gt 60 ]; then
            for console in /dev/console /dev/ttyS0; do
                echo "{FAILED}: $(grep -m 2 error log | tr '\\n' ' ')" >"$console"
            done 2>/dev/null
            exit 1
        fi
        sleep 5
    done
    rm "$@"
fi
modprobe virtio_console
systemctl daemon-reload
systemctl --no-block start qemu-guest-agent.service
"""


def access(facts: Facts, shelf: Path) -> Access:
    """What the plan says, with the packages fetched to `shelf`: a run then needs no network for them."""
    if facts.has_guest_agent:
        return BY_AGENT
    way, reason = way_to_install(facts)
    if way == "none":
        return Access("none", reason=reason)
    try:
        chosen = _chosen(facts)
        for package in chosen:
            host_apt.fetch(package.name, package.version, shelf, no_keep_alive, PLAN_FETCH_S)
    except (Unsuitable, NotOffered) as error:
        return Access("none", reason=f"{AGENT} cannot be brought: {error}")
    return Access(way, tuple(f"{each.name}={each.version}" for each in chosen), _origin(facts))


def _chosen(facts: Facts) -> tuple[Package, ...]:
    """Raises Unsuitable, NotOffered."""
    installed, architecture = dpkg_versions(facts)
    chosen = to_add(AGENT, host_apt.offered(AGENT), installed)
    for package in chosen:
        if package.architecture not in (architecture, "all"):
            raise Unsuitable(f"this machine offers {package.architecture}, the guest is {architecture}")
    return chosen


def _origin(facts: Facts) -> str:
    """The name of this machine's system where the guest has another one."""
    ours = platform.freedesktop_os_release()
    same = (facts.os.id, facts.os.version.split(".")[0]) == (
        ours["ID"],
        ours.get("VERSION_ID", "").split(".")[0],
    )
    return "" if same else ours["PRETTY_NAME"]


def files(packages: tuple[str, ...], shelf: Path, keep_alive: KeepAlive = no_keep_alive) -> dict[str, Path]:
    """Name in the guest → file here, of packages as `Access` names them. Raises NotOffered."""
    pairs = (package.split("=", 1) for package in packages)
    return {f"{name}.deb": host_apt.fetch(name, version, shelf, keep_alive) for name, version in pairs}
