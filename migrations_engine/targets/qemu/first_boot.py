"""What is written to a copied disk before it boots: by hand on ext4, else for cloud-init to do."""

import re
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path

from analyzer.domain import grub
from migrations_engine.domain.boot_menu import with_default, with_default_setting
from migrations_engine.domain.device_names import with_root, with_uuids
from migrations_engine.domain.machine import FirstBoot, Preparation
from migrations_engine.targets.base import FilesystemDamaged, KernelUnavailable, PrepareRefused
from migrations_engine.targets.qemu.bundle import Bundle
from migrations_engine.targets.qemu.rootfs import Change, Ext4, find_boot, find_root

ONCE = "/var/lib/migration-personas/first-boot"
ONCE_UNIT = f"""\
[Unit]
Description=First boot after migration
After=network.target
ConditionPathExists=!{ONCE}/started

[Service]
Type=oneshot
TimeoutStartSec=infinity
ExecStart=/bin/sh -c 'touch {ONCE}/started; {ONCE}/script >{ONCE}/stdout 2>{ONCE}/stderr; echo $$? >{ONCE}/exit_code'

[Install]
WantedBy=multi-user.target
"""
CLOUD_CFG = (
    "preserve_hostname: true\nnetwork: {config: disabled}\n"  # what we wrote stays ours at later boots
)


def prepare_offline(image: Path, wanted: FirstBoot, mac: str, bundles: Iterable[Bundle]) -> Preparation:
    """Changes the ext4 root file system; the packages of `bundles` are put on it for the guest's dpkg.

    Raises PrepareRefused, FilesystemDamaged, KernelUnavailable.
    """
    root = find_root(image)
    root.mend(thoroughly=True)
    if wanted.kernel:
        _set_kernel(image, wanted.kernel)
    _root_by_uuid(image, wanted.device_names)
    change = Change(root)
    done, left = [], []
    if wanted.hostname:
        done.append(_hostname(change, wanted.hostname))
    done += _network(change, wanted, mac)
    if renamed := _mounted_by_uuid(change, wanted.device_names):
        done.append(renamed)
    if wanted.kernel_modules:
        change.write(
            "/etc/modules-load.d/migration-personas.conf", "".join(f"{m}\n" for m in wanted.kernel_modules)
        )
        done.append(f"modules at every boot: {', '.join(wanted.kernel_modules)}")
    done += [_bundle(change, each) for each in bundles]
    if wanted.once_script:
        (done if _once(change, wanted.once_script) else left).append("script at the first boot")
    if root.kind("/etc/cloud/cloud.cfg.d") == "directory":
        change.write("/etc/cloud/cloud.cfg.d/99-migration-personas.cfg", CLOUD_CFG)
    if change.files or change.links:
        change.commit()
    if wanted.kernel:
        done.append(f"kernel {wanted.kernel} is the default")
    return Preparation("offline", tuple(done), tuple(left))


def prepare_to_install(image: Path, names: Mapping[str, str], bundle: Bundle) -> None:
    """Only what a boot before the first real one needs. Raises PrepareRefused, FilesystemDamaged.

    `bundle` may be empty: then a root file system that cannot be changed stays as it is.
    """
    try:
        root = find_root(image)
    except FilesystemDamaged:
        raise
    except PrepareRefused:
        if bundle.files:
            raise
        return
    _root_by_uuid(image, names)
    change = Change(root)
    _mounted_by_uuid(change, names)
    if bundle.files:
        _bundle(change, bundle)
    if change.files or change.links:
        change.commit()


def _set_kernel(image: Path, version: str) -> None:
    """By menu id, in grub.cfg for this boot and in /etc/default/grub for the next `update-grub`."""
    found = find_boot(image)
    if found is None:
        raise KernelUnavailable("the disk has no GRUB menu that can be read, so its kernel cannot be chosen")
    boot, path = found
    menu = boot.read(path)
    entry = grub.menu_id_for(grub.parse_menu(menu), version)
    if entry is None:
        raise KernelUnavailable(f"kernel {version} is not in the disk's boot menu")
    change = Change(boot)
    change.write(path, with_default(menu, entry.menu_id), mode=0o600)
    root = find_root(image)
    settings = root.read("/etc/default/grub")
    if settings is not None and root.partition == boot.partition:
        change.write("/etc/default/grub", with_default_setting(settings, entry.menu_id))
    elif settings is not None:
        other = Change(root)
        other.write("/etc/default/grub", with_default_setting(settings, entry.menu_id))
        other.commit()
    change.commit()


def _root_by_uuid(image: Path, names: Mapping[str, str]) -> None:
    """In the boot menu, for this boot and for the next `update-grub`."""
    if found := find_boot(image):
        _rewrite(found[0], found[1], names)
        _rewrite(find_root(image), "/etc/default/grub", names)


def _rewrite(disk: Ext4, path: str, names: Mapping[str, str]) -> None:
    text = disk.read(path)
    if text is not None and (mended := with_root(text, names)) != text:
        change = Change(disk)
        change.write(path, mended)
        change.commit()


def _mounted_by_uuid(change: Change, names: Mapping[str, str]) -> str:
    rows = change.disk.read("/etc/fstab") or ""
    mended = with_uuids(rows, names)
    if mended == rows:
        return ""
    change.write("/etc/fstab", mended)
    return "file systems are mounted by UUID"


def _hostname(change: Change, hostname: str) -> str:
    disk = change.disk
    short = hostname.split(".")[0]
    names = hostname if short == hostname else f"{hostname} {short}"
    hosts = disk.read("/etc/hosts") or "127.0.0.1 localhost\n"
    kept = [line for line in hosts.splitlines() if not re.match(r"\s*127\.0\.1\.1\s", line)]
    change.write("/etc/hostname", f"{hostname}\n")
    change.write("/etc/hosts", "\n".join([*kept, f"127.0.1.1 {names}"]) + "\n")
    return f"hostname {hostname}"


def _network(change: Change, wanted: FirstBoot, mac: str) -> list[str]:
    """The card keeps the name that the guest's configuration knows it by, whatever slot it sits in now."""
    disk, name, done = change.disk, wanted.nic_name, []
    if name and _has_udev(disk):
        link = f"[Match]\nMACAddress={mac}\n\n[Link]\nName={name}\n"
        change.write("/etc/systemd/network/10-migration-personas.link", link)
        done.append(f"network card {mac} is called {name}")
    if wanted.addressing == "dhcp":
        done.append(_dhcp(change, name, mac))
    return done


def _has_udev(disk: Ext4) -> bool:
    return any(disk.kind(path) == "directory" for path in ("/usr/lib/udev", "/lib/udev"))


def _dhcp(change: Change, name: str | None, mac: str) -> str:
    disk = change.disk
    if disk.kind("/etc/netplan") == "directory" and disk.listing("/etc/netplan"):
        card = f"{{match: {{macaddress: '{mac}'}}, dhcp4: true}}"
        change.write(
            "/etc/netplan/99-migration-personas.yaml",
            f"network: {{ethernets: {{migrated: {card}}}}}\n",
            0o600,
        )
        return "addresses by DHCP (netplan)"
    if name and disk.kind("/etc/network/interfaces") == "regular":
        text = f"auto lo\niface lo inet loopback\n\nauto {name}\niface {name} inet dhcp\n"
        change.write("/etc/network/interfaces", text)
        return f"addresses of {name} by DHCP (ifupdown)"
    text = f"[Match]\nMACAddress={mac}\n\n[Network]\nDHCP=yes\n"
    change.write("/etc/systemd/network/05-migration-personas.network", text)
    return "addresses by DHCP (systemd-networkd)"


def _bundle(change: Change, bundle: Bundle) -> str:
    if not _has_systemd(change.disk):
        raise PrepareRefused(f"no service manager in the guest would install {', '.join(bundle.files)}")
    if bundle.proof and change.disk.kind(bundle.proof) is not None:
        return f"{', '.join(bundle.files)}: installed already"
    for name, path in bundle.files.items():
        change.write(f"{bundle.folder}/{name}", path.read_bytes())
    change.write(f"{bundle.folder}/install", bundle.script, 0o700)
    _enable(change, bundle.service, bundle.unit)
    return bundle.told


def _has_systemd(disk: Ext4) -> bool:
    return disk.kind("/etc/systemd/system") == "directory"


def _enable(change: Change, name: str, unit: str) -> None:
    path = f"/etc/systemd/system/{name}"
    change.write(path, unit)
    change.link(f"/etc/systemd/system/multi-user.target.wants/{name}", path)


def _once(change: Change, script: str) -> bool:
    """Whether the guest has a service manager that will start it."""
    if not _has_systemd(change.disk):
        return False
    text = script if script.startswith("#!") else f"#!/bin/sh\n{textwrap.dedent(script)}"
    change.write(f"{ONCE}/script", text, 0o700)
    _enable(change, "migration-personas-first-boot.service", ONCE_UNIT)
    return True
