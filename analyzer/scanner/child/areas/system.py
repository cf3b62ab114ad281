"""What the machine is: distribution, name, architecture, init system, and the tools a move can lean on."""

from analyzer.domain.architecture import elf_machine
from analyzer.domain.os_release import parse_os_release
from analyzer.scanner.child.notes import Notes
from analyzer.scanner.child.tree import Tree

_PROGRAMS = {
    "has_cloud_init": ("/usr/bin/cloud-init", "/usr/local/bin/cloud-init"),
    "has_guest_agent": ("/usr/sbin/qemu-ga", "/usr/bin/qemu-ga", "/sbin/qemu-ga", "/bin/qemu-ga"),
    "has_nft": ("/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft", "/bin/nft"),
    "has_tc": ("/usr/sbin/tc", "/sbin/tc", "/usr/bin/tc", "/bin/tc"),
}


def read(tree: Tree, facts: dict, notes: Notes) -> None:
    if _is_windows(tree):
        facts["os"] = {"id": "windows", "name": "Microsoft Windows", "family": "windows"}
        notes.partial("os", "Windows: its version is in the registry, which is not read")
        return
    release = tree.text("/etc/os-release") or tree.text("/usr/lib/os-release")
    facts["os"] = parse_os_release(release) if release else _older(tree)
    if not facts["os"].get("id"):
        notes.partial("os", "there is no /etc/os-release")
    facts["hostname"] = _hostname(tree)
    facts["machine_id"] = (tree.text("/etc/machine-id") or "").strip()[:64]
    facts["timezone"] = _timezone(tree)
    facts["architecture"] = _architecture(tree)
    facts["init_system"] = _init_system(tree)
    for key, paths in _PROGRAMS.items():
        facts[key] = any(tree.is_file(path) for path in paths)
    if tree.exists("/etc/cloud/cloud-init.disabled"):
        facts["has_cloud_init"] = False
    notes.full("os")


def _is_windows(tree: Tree) -> bool:
    return any(tree.is_dir(f"/{name}/System32") for name in ("Windows", "WINDOWS", "WINNT"))


def _older(tree: Tree) -> dict:
    """Before os-release (RHEL 6 and older): one line that a person can read."""
    for path, identity, family in (
        ("/etc/centos-release", "centos", "rhel"),
        ("/etc/redhat-release", "rhel", "rhel"),
        ("/etc/SuSE-release", "suse", "suse"),
        ("/etc/debian_version", "debian", "debian"),
        ("/etc/alpine-release", "alpine", "alpine"),
    ):
        line = (tree.text(path) or "").strip().split("\n")[0]
        if line:
            digits = "".join(word for word in line.split() if word[:1].isdigit())
            return {"id": identity, "version": digits, "pretty_name": line, "family": family, "like": []}
    return {"family": "unknown"}


def _hostname(tree: Tree) -> str:
    for line in (tree.text("/etc/hostname") or "").splitlines():
        if line.strip() and not line.startswith("#"):
            return line.strip()
    for line in (tree.text("/etc/sysconfig/network") or "").splitlines():
        if line.startswith("HOSTNAME="):
            return line.partition("=")[2].strip().strip("\"'")
    return ""


def _timezone(tree: Tree) -> str:
    target = tree.link("/etc/localtime") or ""
    if "zoneinfo/" in target:
        return target.partition("zoneinfo/")[2]
    return (tree.text("/etc/timezone") or "").strip()


def _architecture(tree: Tree) -> str:
    for path in ("/bin/sh", "/sbin/init", "/bin/busybox", "/usr/bin/env"):
        machine = elf_machine(tree.read(path, 64) or b"")
        if machine:
            return machine
    return ""


def _init_system(tree: Tree) -> str:
    init = tree.find("/sbin/init") or tree.find("/init") or tree.find("/bin/init")
    path = init.path if init else ""
    if path.endswith("/systemd"):
        return "systemd"
    if tree.is_dir("/etc/runlevels") and tree.is_file("/sbin/openrc"):
        return "openrc"
    if "runit" in path:
        return "runit"
    if "busybox" in path or (init and _is_script(tree, path) and tree.is_file("/bin/busybox")):
        return "busybox"
    if tree.is_file("/etc/inittab") or (init and tree.is_dir("/etc/init.d")):
        return "sysvinit"
    return "unknown"


def _is_script(tree: Tree, path: str) -> bool:
    return (tree.read(path, 2) or b"") == b"#!"
