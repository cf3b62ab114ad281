"""The guest agent for a guest that has none: which packages, from where, and how the guest installs them.

What is brought is installed as every bundle is.
"""

from collections.abc import Mapping
from pathlib import Path

from analyzer.domain.facts import Facts
from migrations_engine.domain.access import BY_AGENT, Access, dpkg_versions, way_to_install
from migrations_engine.domain.debian import Package, Unsuitable, to_add
from migrations_engine.targets.base import no_keep_alive
from migrations_engine.targets.qemu import host_apt
from migrations_engine.targets.qemu.bundle import Bundle
from migrations_engine.targets.qemu.host_apt import NotOffered

AGENT = "qemu-guest-agent"
PLAN_FETCH_S = 60  # somebody waits for the plan
# on the console, for whoever waits for the agent
FAILED = "migration-personas: the guest agent was not installed"
START = """\
modprobe virtio_console
systemctl --no-block start qemu-guest-agent.service
"""


def bundle(files: Mapping[str, Path]) -> Bundle:
    """`proof`: a kernel was installed before, which needed it."""
    return Bundle("agent", files, FAILED, START, proof="/usr/sbin/qemu-ga", holds_boot=True)


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
    origin = host_apt.system() if host_apt.foreign_to(facts) else ""
    return Access(way, tuple(f"{each.name}={each.version}" for each in chosen), origin)


def _chosen(facts: Facts) -> tuple[Package, ...]:
    """Raises Unsuitable, NotOffered."""
    installed, architecture = dpkg_versions(facts)
    chosen = to_add(AGENT, host_apt.offered(AGENT), installed)
    for package in chosen:
        if package.architecture not in (architecture, "all"):
            raise Unsuitable(f"this machine offers {package.architecture}, the guest is {architecture}")
    return chosen
