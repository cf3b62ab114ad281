"""A NoCloud seed: what cloud-init does at the first boot, where the disk itself cannot be changed.

The format: https://cloudinit.readthedocs.io/en/latest/reference/datasources/nocloud.html
"""

import io
import json
from pathlib import Path

import pycdlib

from migrations_engine.domain.machine import FirstBoot, Preparation


def write_seed(path: Path, wanted: FirstBoot, key: str, mac: str) -> Preparation:
    """An ISO with label `cidata`. Raises nothing but OSError."""
    left = (f"kernel {wanted.kernel}",) if wanted.kernel else ()
    done = [f"hostname {wanted.hostname}"] if wanted.hostname else []
    done += ["script at the first boot"] if wanted.once_script else []
    done += [f"modules at every boot: {', '.join(wanted.kernel_modules)}"] if wanted.kernel_modules else []
    files = {
        "meta-data": _yaml({"instance-id": key, "local-hostname": wanted.hostname or key}),
        "user-data": "#cloud-config\n" + _yaml(_user_data(wanted)),
    }
    if wanted.addressing == "dhcp":
        card = {"match": {"macaddress": mac}, "dhcp4": True}
        if wanted.nic_name:
            card["set-name"] = wanted.nic_name
        files["network-config"] = _yaml({"version": 2, "ethernets": {"migrated": card}})
        done.append("addresses by DHCP")
    _write_iso(path, files)
    return Preparation("seed", tuple(done), left)


def _user_data(wanted: FirstBoot) -> dict:
    data: dict = {"growpart": {"mode": "auto", "devices": ["/"]}, "resize_rootfs": True}
    if wanted.hostname:
        data |= {"hostname": wanted.hostname, "preserve_hostname": False}
    data["write_files"] = []
    if wanted.kernel_modules:
        text = "".join(f"{module}\n" for module in wanted.kernel_modules)
        data["write_files"].append({"path": "/etc/modules-load.d/migration-personas.conf", "content": text})
    if wanted.once_script:
        folder = "/var/lib/migration-personas/first-boot"
        script = (
            wanted.once_script if wanted.once_script.startswith("#!") else f"#!/bin/sh\n{wanted.once_script}"
        )
        data["write_files"].append({"path": f"{folder}/script", "permissions": "0700", "content": script})
        data["runcmd"] = [f"{folder}/script >{folder}/stdout 2>{folder}/stderr; echo $? >{folder}/exit_code"]
    return data


def _yaml(data: dict) -> str:
    return json.dumps(data, indent=1) + "\n"  # JSON is YAML, and quotes everything


def _write_iso(path: Path, files: dict[str, str]) -> None:
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident="cidata")
    for number, (name, text) in enumerate(files.items()):
        data = text.encode()
        iso.add_fp(io.BytesIO(data), len(data), f"/F{number}.;1", rr_name=name, joliet_path=f"/{name}")
    draft = path.with_suffix(".iso.part")
    draft.unlink(missing_ok=True)
    iso.write(str(draft))
    iso.close()
    draft.rename(path)
