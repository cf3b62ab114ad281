"""A NoCloud seed: what cloud-init does at the first boot, where the disk itself cannot be changed.

The format: https://cloudinit.readthedocs.io/en/latest/reference/datasources/nocloud.html
"""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pycdlib

from migrations_engine.domain.machine import FirstBoot, Preparation
from migrations_engine.targets.qemu.bundle import Bundle

ONCE = "/var/lib/migration-personas/first-boot"
PREPARE = "/var/lib/migration-personas/prepare"
# To cloud-init this machine is a new one: without these it would make new host keys, users and package sources for it.
AS_IT_WAS = {
    "ssh_deletekeys": False,
    "ssh_genkeytypes": ["ed25519"],
    "disable_root": False,
    "users": [],
    "locale": False,
    "apt": {"preserve_sources_list": True},
}
# The card is called as the guest's configuration knows it, whatever slot it sits in now. cloud-init comes after udev
# and the network, so the name that the .link file gives at every later boot is given by hand this once.
RENAME = """\
for card in /sys/class/net/*; do
    [ "$(cat "$card/address")" = @mac@ ] || continue
    old=${card##*/}
    [ "$old" = @name@ ] && continue
    ip link set "$old" down
    ip link set "$old" name @name@
    for service in networking systemd-networkd NetworkManager; do
        systemctl --quiet is-enabled "$service" 2>/dev/null && systemctl restart "$service"
    done
done
"""
CDROM = "/run/migration-personas"


def write_seed(path: Path, wanted: FirstBoot, key: str, mac: str, bundles: Sequence[Bundle]) -> Preparation:
    """An ISO with label `cidata`, with a folder for each bundle's packages. Raises nothing but OSError."""
    left = (f"kernel {wanted.kernel}",) if wanted.kernel else ()
    done = [f"hostname {wanted.hostname}"] if wanted.hostname else []
    done += [f"network card {mac} is called {wanted.nic_name}"] if wanted.nic_name else []
    done += ["addresses by DHCP"] if wanted.addressing == "dhcp" else []
    done += ["script at the first boot"] if wanted.once_script else []
    done += [f"modules at every boot: {', '.join(wanted.kernel_modules)}"] if wanted.kernel_modules else []
    done += [bundle.told for bundle in bundles]
    texts = {
        "meta-data": _yaml(_meta_data(wanted, key)),
        "user-data": "#cloud-config\n" + _yaml(_user_data(wanted, mac, bundles)),
        "network-config": _yaml(_network(wanted, mac)),
    }
    files = {name: text.encode() for name, text in texts.items()}
    for bundle in bundles:
        files |= {f"{bundle.name}/{name}": package.read_bytes() for name, package in bundle.files.items()}
    _write_iso(path, files)
    return Preparation("seed", tuple(done), left)


def _meta_data(wanted: FirstBoot, key: str) -> dict:
    return {"instance-id": key} | ({"local-hostname": wanted.hostname} if wanted.hostname else {})


def _network(wanted: FirstBoot, mac: str) -> dict:
    """Without this file cloud-init would write a configuration of its own over the guest's."""
    if wanted.addressing != "dhcp":
        return {"config": "disabled"}
    card = {"match": {"macaddress": mac}, "dhcp4": True}
    if wanted.nic_name:
        card["set-name"] = wanted.nic_name
    return {"version": 2, "ethernets": {"migrated": card}}


def _user_data(wanted: FirstBoot, mac: str, bundles: Sequence[Bundle]) -> dict:
    files = _files(wanted, mac, bundles)
    data: dict = AS_IT_WAS | {
        "growpart": {"mode": "auto", "devices": ["/"]},
        "resize_rootfs": True,
        "preserve_hostname": not wanted.hostname,
        "write_files": [
            {"path": name, "permissions": mode, "content": text} for name, (mode, text) in files.items()
        ],
        "runcmd": [PREPARE],
    }
    if wanted.hostname:
        data["hostname"] = wanted.hostname
    if wanted.once_script:
        data["runcmd"] += [f"{ONCE}/script >{ONCE}/stdout 2>{ONCE}/stderr; echo $? >{ONCE}/exit_code"]
    return data


def _files(wanted: FirstBoot, mac: str, bundles: Sequence[Bundle]) -> dict[str, tuple[str, str]]:
    """Path → (mode, text)."""
    files = {PREPARE: ("0700", _prepare(wanted, mac, bundles))}
    if wanted.nic_name:
        link = f"[Match]\nMACAddress={mac}\n\n[Link]\nName={wanted.nic_name}\n"
        files["/etc/systemd/network/10-migration-personas.link"] = ("0644", link)
    if wanted.kernel_modules:
        text = "".join(f"{module}\n" for module in wanted.kernel_modules)
        files["/etc/modules-load.d/migration-personas.conf"] = ("0644", text)
    for bundle in bundles:
        files[f"{bundle.folder}/install"] = ("0700", bundle.script)
    if wanted.once_script:
        script = wanted.once_script
        files[f"{ONCE}/script"] = ("0700", script if script.startswith("#!") else f"#!/bin/sh\n{script}")
    return files


def _prepare(wanted: FirstBoot, mac: str, bundles: Sequence[Bundle]) -> str:
    """What is done once, when the guest has started: the modules for this boot, the card's name, the packages."""
    lines = "#!/bin/sh\n" + "".join(f"modprobe {module}\n" for module in wanted.kernel_modules)
    if wanted.nic_name:
        lines += RENAME.replace("@mac@", mac).replace("@name@", wanted.nic_name)
    return lines + (_take(bundles) if bundles else "")


def _take(bundles: Sequence[Bundle]) -> str:
    copies = (f"mkdir -p {each.folder}\ncp {CDROM}/{each.name}/*.deb {each.folder}/\n" for each in bundles)
    mounted = f"mkdir -p {CDROM}\nmount -o ro LABEL=cidata {CDROM}\n{''.join(copies)}umount {CDROM}\n"
    return mounted + "".join(f"{each.folder}/install\n" for each in bundles)


def _yaml(data: dict) -> str:
    return json.dumps(data, indent=1) + "\n"  # JSON is YAML, and quotes everything


def _write_iso(path: Path, files: Mapping[str, bytes]) -> None:
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident="cidata")
    folders = sorted({name.partition("/")[0] for name in files if "/" in name})
    for number, folder in enumerate(folders):
        iso.add_directory(f"/D{number}", rr_name=folder, joliet_path=f"/{folder}")
    for number, (name, data) in enumerate(files.items()):
        folder, _, own = name.rpartition("/")
        place = f"/D{folders.index(folder)}/F{number}.;1" if folder else f"/F{number}.;1"
        iso.add_fp(io.BytesIO(data), len(data), place, rr_name=own, joliet_path=f"/{name}")
    draft = path.with_suffix(".iso.part")
    draft.unlink(missing_ok=True)
    iso.write(str(draft))
    iso.close()
    draft.rename(path)
