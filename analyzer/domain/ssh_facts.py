"""Facts of a running machine, from the parts that the scan script sends (see ssh_report).

One function a subject: parts in, values in the shape of `facts.Facts` out. A line that is not of the expected form is
left out and counted; nothing here trusts a number, a name or a length.
"""

import ipaddress
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from analyzer.domain import apk, dpkg, grub, rpm
from analyzer.domain.accounts import parse_passwd
from analyzer.domain.network_config import nic
from analyzer.domain.os_release import parse_os_release
from analyzer.domain.ssh_listening import listening
from analyzer.domain.ssh_report import Report, values_of
from analyzer.domain.ssh_usage import usage
from analyzer.domain.sysstat import INNER_CARDS
from analyzer.domain.systemd_units import KINDS, UnitFile, unit_states

NO_ROOM = ("tmpfs", "devtmpfs", "squashfs", "proc", "sysfs", "efivarfs", "ramfs", "fuse.snapfuse", "iso9660")
INSTALLABLE = "[Install]\nWantedBy=multi-user.target\n"
INITS = (("systemd", "systemd"), ("busybox", "busybox"), ("runit", "runit"), ("openrc", "openrc"))
NUMBER = re.compile(r"\d{1,15}")


@dataclass
class Notes:
    """Coverage as it is found out."""

    missed: dict[str, str] = field(default_factory=dict)  # area → why not all of it

    def partial(self, area: str, reason: str) -> None:
        self.missed.setdefault(area, reason)


def facts_document(report: Report, *, areas: tuple[str, ...]) -> dict:
    """In the shape of `facts.Facts` but for `scan`; texts and lists are not yet cut to its bounds."""
    notes = Notes()
    told = values_of(report.lines("system"))
    root = told.get("uid") == "0"
    document = {
        "os": parse_os_release("\n".join(report.lines("os"))),
        **_system(told),
        "packages": _packages(report, notes),
        "services": _services(report, notes),
        "users": parse_passwd("\n".join(report.lines("users"))),
        "listening": _listening(report, notes, root),
        "kernels": _kernels(report, notes),
        "filesystems": _filesystems(report, notes),
        "nics": _nics(report, notes),
        "extras": _extras(report),
        "running": _running(report, told, root),
        "usage": usage(report, _number(told.get("now"))),
    }
    if not document["usage"]:
        notes.partial("usage", "the machine keeps no history (sysstat), and its counters could not be read")
    elif not report.has("sadf"):
        notes.partial("usage", "one sample: the machine keeps no history (sysstat)")
    if not report.whole:
        notes.partial("extras", "the answer broke off")
    return document | {"coverage": [_coverage(area, notes) for area in areas]}


def _coverage(area: str, notes: Notes) -> dict:
    reason = notes.missed.get(area, "")
    return {"area": area, "state": "partial" if reason else "full", "reason": reason}


def _system(told: dict[str, str]) -> dict:
    init = told.get("init", "")
    names = (name for word, name in INITS if word in init)
    return {
        "architecture": told.get("machine", ""),
        "hostname": told.get("hostname", ""),
        "machine_id": told.get("machine_id", "")[:64],
        "timezone": told.get("timezone", "").rpartition("zoneinfo/")[2],
        "init_system": "openrc" if "openrc" in told else next(names, "unknown"),
        "boot_mode": told["boot"] if told.get("boot") in ("bios", "uefi") else "unknown",
        **{f"has_{name}": told.get(name) == "1" for name in ("cloud_init", "guest_agent", "nft", "tc")},
    }


def _packages(report: Report, notes: Notes) -> list[dict]:
    found = [*_dpkg(report), *_rpm(report)]
    installed = apk.parse_installed("\n".join(report.lines("apk")), "\n".join(report.lines("world")))
    found += [{**package, "manager": "apk"} for package in installed]
    if not found:
        notes.partial("packages", "no package manager answered")
    return found


def _dpkg(report: Report) -> Iterator[dict]:
    packages = dpkg.parse_status("\n".join(report.lines("dpkg")))
    automatic = dpkg.parse_auto_installed("\n".join(report.lines("automatic")))
    native = next((each["architecture"] for each in packages if each["name"] in ("dpkg", "base-files")), "")
    return ({**package, "manager": "dpkg"} for package in dpkg.mark_manual(packages, automatic, native))


def _rpm(report: Report) -> Iterator[dict]:
    asked_for = rpm.parse_reasons("\n".join(report.lines("reasons")))
    for name, epoch, version, architecture, group in _cells(report.lines("rpm"), 5):
        if name and name != "gpg-pubkey":
            full = f"{epoch}:{version}" if epoch.isdigit() and epoch != "0" else version
            yield {
                "name": name,
                "version": full,
                "architecture": architecture,
                "section": group,
                "manager": "rpm",
                "manual": asked_for.get(name),
            }


def _cells(lines: list[str], count: int) -> Iterator[list[str]]:
    return (cells for cells in (line.split("\t") for line in lines) if len(cells) == count)


def _services(report: Report, notes: Notes) -> list[dict]:
    found = _units(report)
    for line in report.lines("scripts"):
        state, _, name = line.partition(" ")
        if state in ("enabled", "disabled") and name != "README":
            kind = "openrc" if "openrc=1" in report.lines("system") else "sysv"
            found.append({"name": name, "enabled": state == "enabled", "kind": kind, "state": state})
    if not found:
        notes.partial("services", "no service manager answered")
    return found


def _units(report: Report) -> list[dict]:
    """By the rules of `systemctl is-enabled`, from who could be switched on and from the links that do it."""
    paths = [line.rpartition("/") for line in report.lines("units")]
    files = {name: UnitFile(folder, INSTALLABLE) for folder, _, name in reversed(paths) if _is_unit(name)}
    linked = set()
    for place, _, target in (line.partition(" ") for line in report.lines("unit_links")):
        folder, _, name = place.rpartition("/")
        named = target.rpartition("/")[2]
        if not _is_unit(name):
            continue
        if target == "/dev/null" and not folder:
            files[name] = UnitFile("/etc/systemd/system", masked=True)
        elif folder.endswith((".wants", ".requires", ".upholds")):
            linked.add(name)
        elif not folder and named != name:
            linked.add(named)  # an alias switches on what it names
    return unit_states(files, linked)


def _is_unit(name: str) -> bool:
    return name.rpartition(".")[2] in KINDS


def _listening(report: Report, notes: Notes, root: bool) -> list[dict]:
    if not report.has("ports") or not any(report.lines("ports")):
        notes.partial("listening", "the machine has no `ss` to tell (package iproute2), or listens nowhere")
    elif not root:
        notes.partial("listening", "only root is told which process listens: allow sudo")
    return listening(report.lines("ports"))


def _kernels(report: Report, notes: Notes) -> list[dict]:
    versions = {grub.kernel_version(name) for name in report.lines("images") if name}
    versions = {
        each for each in versions if each and "rescue" not in each and not each.endswith((".old", ".bak"))
    }
    entries = grub.parse_menu("\n".join(report.lines("grub")))
    environment = grub.parse_environment("\n".join(report.lines("grubenv")))
    default = grub.default_entry(
        entries, grub.configured_default("\n".join(report.lines("grub")), environment)
    )
    chosen = default.version if default else next(iter(versions)) if len(versions) == 1 else None
    if not versions:
        notes.partial(
            "kernels", "no kernel in /boot: the machine is started from outside, or it is a container"
        )
    elif not entries:
        notes.partial("kernels", "no GRUB menu could be read: how to choose a kernel is unknown")
    return [
        _kernel(report, version, entries, version == chosen) for version in sorted(versions, reverse=True)
    ]


def _kernel(report: Report, version: str, entries: list[grub.Entry], default: bool) -> dict:
    entry = grub.menu_id_for(entries, version)
    rows = [words for words in (line.split() for line in report.lines("drivers")) if len(words) == 3]
    builtin = {name for release, kind, name in rows if release == version and kind == "builtin"}
    loadable = {name for release, kind, name in rows if release == version and kind == "dep"}
    return {
        "version": version,
        "default": default,
        "menu_id": entry.menu_id if entry else None,
        "title": entry.title if entry else "",
        "initramfs": any(version in name for name in report.lines("initramfs")),
        "drivers_builtin": sorted(builtin)[:64],
        "drivers_module": sorted(loadable - builtin)[:64],
    }


def _filesystems(report: Report, notes: Notes) -> list[dict]:
    uuids = _blkid(report.lines("blkid"))
    found = [row for row in (_mounted(line, uuids) for line in report.lines("filesystems")) if row]
    for line in report.lines("swap")[1:]:
        words = line.split()
        if len(words) >= 4 and NUMBER.fullmatch(words[2]) and NUMBER.fullmatch(words[3]):
            size, used = int(words[2]) * 1024, int(words[3]) * 1024
            found.append({"device": words[0], "kind": "swap", "size_bytes": size, "used_bytes": used})
    if not any(row.get("mount_point") == "/" for row in found):
        notes.partial("filesystems", "df did not tell of the root file system")
    return found


def _mounted(line: str, uuids: dict[str, dict[str, str]]) -> dict | None:
    """Of `df -P -T -k`: device, type, 1K blocks, used, available, capacity, mount point (which may hold spaces)."""
    words = line.split(None, 6)
    if (
        len(words) != 7
        or not all(NUMBER.fullmatch(word) for word in words[2:4])
        or not words[6].startswith("/")
    ):
        return None
    if words[1] in NO_ROOM or int(words[2]) == 0:
        return None
    device = words[0].removeprefix("/dev/").removeprefix("mapper/")
    told = uuids.get(words[0], {})
    return {
        "device": device,
        "kind": words[1],
        "mount_point": words[6],
        "size_bytes": int(words[2]) * 1024,
        "used_bytes": int(words[3]) * 1024,
        "uuid": told.get("UUID", ""),
        "label": told.get("LABEL", ""),
    }


def _blkid(lines: list[str]) -> dict[str, dict[str, str]]:
    blocks = "\n".join(lines).split("\n\n")
    found = [values_of(block.splitlines()) for block in blocks]
    return {each["DEVNAME"]: each for each in found if "DEVNAME" in each}


def _nics(report: Report, notes: Notes) -> list[dict]:
    cards: dict[str, dict] = {}
    for line in report.lines("links"):
        found = re.match(r"\d+: ([^:@\s]+).* link/ether ([0-9a-f:]{17})\b", line)
        if found and not found[1].startswith(INNER_CARDS):
            cards[found[1]] = nic(found[1], mac=found[2], source="ip")
    for line in report.lines("addresses"):
        found = re.match(r"\d+: (\S+)\s+inet6? (\S+) .*scope global(.*)", line)
        if found and found[1] in cards and _is_address(found[2]):
            cards[found[1]]["addresses"].append(found[2])
            cards[found[1]]["addressing"] = "dhcp" if " dynamic" in found[3] else "static"
    for line in report.lines("routes"):
        found = re.match(r"default via (\S+) dev (\S+)", line)
        if found and found[2] in cards and _is_address(found[1]):
            cards[found[2]]["gateway"] = found[1]
    servers = [line.split()[1] for line in report.lines("resolv") if len(line.split()) > 1]
    if cards:
        next(iter(cards.values()))["nameservers"] = [each for each in servers if _is_address(each)]
    else:
        notes.partial("network", "no network card with an address of its own was told (package iproute2)")
    return list(cards.values())


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_interface(text)
    except ValueError:
        return False
    return True


def _extras(report: Report) -> dict:
    entries = Counter(path.rpartition("/")[0] for path in report.lines("entries"))
    paths = [path for path in report.lines("directories") if path.startswith("/")]
    directories = [{"path": path, "entries": entries[path]} for path in paths]
    containers = [
        {"name": words[1], "image": words[2], "engine": words[0]}
        for words in (line.split() for line in report.lines("containers"))
        if len(words) == 3 and words[0] in ("docker", "podman")
    ]
    files = [line for line in report.lines("compose") if line.startswith("/")]
    return {"directories": directories, "containers": containers, "compose_files": files}


def _running(report: Report, told: dict[str, str], root: bool) -> dict:
    memory = (line.split() for line in report.lines("counters") if line.startswith("MemTotal:"))
    memory_kib = next((_number(words[1]) for words in memory if len(words) > 1), None)
    return {
        "kernel": told.get("kernel", ""),
        "uptime_s": _number(told.get("uptime", "").partition(".")[0]) or 0,
        "vcpus": _number(told.get("vcpus")) or None,
        "memory_mib": memory_kib // 1024 if memory_kib else None,
        "as_root": root,
        "modules": _words(report.lines("modules")),
        "pci": _pci(report.lines("pci")),
        "processes": _words(report.lines("processes")),
        "cron": _cron(report.lines("cron")),
    }


def _cron(lines: list[str]) -> list[str]:
    """ "table: line", of schedules only: a variable may be a password."""
    rows = (line.partition(":") for line in lines)
    return [f"{table}: {line.strip()}" for table, _, line in rows if re.match(r"\s*[\d*@]", line)]


def _pci(lines: list[str]) -> list[dict]:
    """Of the devices' uevent files: DRIVER stands before the device's id and place, where it has one."""
    found, driver, identity = [], "", ""
    for name, _, value in (line.partition("=") for line in lines):
        if name == "DRIVER":
            driver = value
        elif name == "PCI_ID":
            identity = value.lower()
        elif name == "PCI_SLOT_NAME":
            found.append({"address": value, "id": identity, "driver": driver})
            driver = identity = ""
    return found


def _words(lines: list[str]) -> list[str]:
    return [line.strip() for line in lines if line.strip()]


def _number(text: str | None) -> int | None:
    return int(text) if text and NUMBER.fullmatch(text) else None
