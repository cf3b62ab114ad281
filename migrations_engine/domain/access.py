"""How the engine talks to a guest, and what must be done to its copy so that it can."""

from dataclasses import dataclass
from typing import Literal

from analyzer.domain.facts import Facts

OFFLINE_FILESYSTEMS = frozenset({"ext2", "ext3", "ext4"})  # those that can be changed before the first boot

Way = Literal["agent", "offline", "seed", "none"]


@dataclass(frozen=True)
class Access:
    """`way`: the agent is there; it is put on the disk (offline) or brought by cloud-init (seed); or there is none.

    `packages` ("name=version") are installed in the copy, by the guest itself. `origin`: the system that they are made
    for, where it is not the guest's own. `reason` says why there is no way.
    """

    way: Way
    packages: tuple[str, ...] = ()
    origin: str = ""
    reason: str = ""

    @property
    def is_brought(self) -> bool:
        return self.way in ("offline", "seed")


BY_AGENT = Access("agent")


def changes_offline(facts: Facts) -> bool:
    """Whether the root file system is one that can be written to from outside: ext4, not below LVM or LUKS."""
    root = facts.root_filesystem
    return root is not None and root.kind in OFFLINE_FILESYSTEMS and root.device.startswith(("p", "disk"))


def way_to_install(facts: Facts) -> tuple[Way, str]:
    """(the way by which packages can get into a guest without an agent, why there is none)."""
    if not any(package.name == "dpkg" for package in facts.packages):
        return "none", "it has no dpkg, and only Debian's packages can be brought"
    if changes_offline(facts) and facts.init_system == "systemd":
        return "offline", ""
    if facts.has_cloud_init:
        return "seed", ""
    root = facts.root_filesystem
    if changes_offline(facts):
        return "none", f"its service manager is {facts.init_system}, not systemd, and it has no cloud-init"
    kind = f"{root.kind} on {root.device}" if root else "not found"
    return "none", f"its root file system ({kind}) cannot be changed from outside, and it has no cloud-init"


def dpkg_versions(facts: Facts) -> tuple[dict[str, str], str]:
    """(name → version of what dpkg has installed, its architecture)."""
    rows = [package for package in facts.packages if package.manager == "dpkg"]
    native = next((row.architecture for row in rows if row.name == "dpkg"), "")
    return {row.name: row.version for row in rows if row.architecture in (native, "all")}, native
