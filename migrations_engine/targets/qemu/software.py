"""Packages that the settings ask for and a guest lacks: chosen from this machine's apt, installed by the guest.

Only for a guest of the same release as this machine: another one's packages would fit by luck.
"""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from analyzer.domain.facts import Facts
from migrations_engine.domain.access import Access, dpkg_versions, way_to_install
from migrations_engine.domain.software import NOTHING, Inventory, Software, choose, without_way
from migrations_engine.targets.base import KeepAlive
from migrations_engine.targets.qemu import host_apt, jobs
from migrations_engine.targets.qemu.agent import Agent
from migrations_engine.targets.qemu.bundle import Bundle

INSTALL_TIMEOUT_S = 3600  # minutes under emulation; its end is dpkg's, this only bounds a hang
# what was brought is waited for; then one line for each package: name, version, state
ASK = """\
#!/bin/sh
if [ -n "@folder@" ]; then
    until [ -e "@folder@/exit_code" ]; do sleep 1; done
    [ "$(cat "@folder@/exit_code")" = 0 ] || grep -m 3 error "@folder@/log" >&2
fi
if command -v dpkg-query >/dev/null; then
    dpkg-query --show --showformat='${Package} ${Version} ${Status}\\n' @names@ 2>/dev/null
elif command -v rpm >/dev/null; then
    rpm --query --queryformat '%{NAME} %{VERSION}-%{RELEASE} installed\\n' @names@ 2>/dev/null
else
    echo unknown
fi
exit 0
"""


def bundle(key: str, files: Mapping[str, Path]) -> Bundle:
    """`key` is the run's: a machine that was moved before has the folder of that run on its disk."""
    return Bundle(f"packages-{key}", files, "migration-personas: packages were not installed", after="agent")


def software(facts: Facts, names: Sequence[str], access: Access) -> Software:
    """What the plan says of the packages asked for. Nothing is fetched."""
    if not names:
        return NOTHING
    installed = {package.name: package.version for package in facts.packages}
    missing = tuple(name for name in names if name not in installed)
    if not missing:
        return choose(names, {}, installed)
    if reason := _obstacle(facts, access):
        return without_way(names, installed, reason)
    try:
        offered = host_apt.offered(*missing)
    except host_apt.NotOffered as error:
        return without_way(names, installed, str(error))
    installed, architecture = dpkg_versions(facts)
    foreign = {each.architecture for each in offered.values()} - {architecture, "all"}
    if foreign:
        reason = f"this machine offers {foreign.pop()}, the guest is {architecture}"
        return without_way(names, installed, reason)
    brought = dict(package.split("=", 1) for package in access.packages)
    return choose(names, offered, installed | brought)


def _obstacle(facts: Facts, access: Access) -> str:
    """Why no package can be brought to this guest."""
    if facts.covered("packages").state == "none":
        return "the scan could not read which packages the machine has"
    if access.way == "none":
        return "there is no guest agent"
    way, reason = way_to_install(facts)
    if way == "none":
        return reason
    if host_apt.foreign_to(facts):
        ours = host_apt.system()
        return f"this machine's apt is that of {ours}, the guest runs {facts.os.pretty_name or facts.os.id}"
    return ""


def inventory(agent: Agent, names: Sequence[str], folder: str, keep_alive: KeepAlive) -> Inventory:
    """Waits first for the installation of what was brought to `folder`. Raises AgentUnavailable."""
    script = ASK.replace("@folder@", folder).replace("@names@", shlex.join(names))
    answered = jobs.run_script(agent, script, INSTALL_TIMEOUT_S, keep_alive=keep_alive)
    if answered.timed_out:
        return Inventory({}, "the guest did not end installing")
    rows = [line.split() for line in answered.stdout.splitlines()]
    if rows == [["unknown"]]:
        return Inventory(None)
    return Inventory({row[0]: row[1] for row in rows if row[-1] == "installed"}, answered.stderr.strip())
