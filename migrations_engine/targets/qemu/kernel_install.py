"""A kernel package put into a guest by the guest itself, in a boot of its own before the real first one.

The guest's own dpkg does it, in the guest's own machine and without a network: nothing of a foreign disk runs on this
machine, the package database stays true, and every initramfs generator works. The price is a boot and, under
emulation, some minutes. (Measured and not taken: dpkg in a chroot over fuse2fs is quicker, and runs the guest's
programs on the host.)
"""

import os
import re
import shutil
import tempfile
from pathlib import Path

from analyzer.domain import grub
from migrations_engine.domain.machine import FirstBoot, MachineSpec
from migrations_engine.targets.base import KeepAlive, KernelUnavailable, TargetError
from migrations_engine.targets.qemu import host_apt, images, process
from migrations_engine.targets.qemu.boot import Boot, agent_of, stop
from migrations_engine.targets.qemu.bundle import Bundle
from migrations_engine.targets.qemu.command import qemu_command
from migrations_engine.targets.qemu.firmware import firmware_of
from migrations_engine.targets.qemu.first_boot import prepare_to_install
from migrations_engine.targets.qemu.folder import Folder
from migrations_engine.targets.qemu.jobs import run_script
from migrations_engine.targets.qemu.rootfs import find_boot

PACKAGE = "kernel.deb"
SERIAL = "mp-kernel"
READY_S, OFF_S = 900, 120
INSTALL_TIMEOUT_S = 3600  # minutes under emulation; its end is the script's, this only bounds a hang
MACHINE = {"vcpus": 2, "memory_mib": 1024}

INSTALL = r"""#!/bin/sh
set -e
version=@version@ size=@size@
command -v dpkg > /dev/null || { echo "the guest has no dpkg" >&2; exit 1; }
device=
for each in /sys/block/*; do
    if [ "$(cat "$each/serial" 2>/dev/null)" = @serial@ ]; then device=/dev/${each##*/}; fi
done
[ -n "$device" ] || { echo "the guest does not see the disk with the package" >&2; exit 1; }
mkdir -p /var/cache/migration-personas
package=/var/cache/migration-personas/kernel.deb
head -c "$size" "$device" > "$package"
DEBIAN_FRONTEND=noninteractive dpkg --install "$package"
rm "$package"
for part in vmlinuz initrd.img; do
    [ -s "/boot/$part-$version" ] || { echo "/boot/$part-$version was not made" >&2; exit 1; }
done
sync
"""


def ensure_kernel(
    root: Path, folder: Folder, spec: MachineSpec, wanted: FirstBoot, agent: Bundle, keep_alive: KeepAlive
) -> None:
    """Goes on where a killed worker left the guest installing. The caller holds the folder's lock.

    `agent`: empty for a guest that has one.

    Raises KernelUnavailable; the disk may then be half changed, so the next copy begins anew.
    """
    version = wanted.kernel
    if process.pid_of(folder) is None:
        if _in_menu(folder.raw, version):
            return
        if firmware := firmware_of(spec):
            shutil.copyfile(firmware.variables, folder.path / "vars.fd")
        folder.write(installing={"version": version, "size": _fetch_package(folder, version, keep_alive)})
        prepare_to_install(folder.raw, wanted.device_names, agent)
    try:
        _install(root, folder, spec, version, keep_alive)
    except TargetError as error:
        process.kill(folder)
        folder.write(copied=None, grown=None, prepared=None)
        raise KernelUnavailable(f"kernel {version} could not be installed: {error}") from error
    (folder.path / PACKAGE).unlink()


def _install(root: Path, folder: Folder, spec: MachineSpec, version: str, keep_alive: KeepAlive) -> None:
    boot = Boot(root, folder, lambda name: _command(folder, spec, name))
    boot.start()
    boot.wait_ready(READY_S, keep_alive)
    script = _script(version, folder.read()["installing"]["size"])
    done = run_script(agent_of(folder), script, INSTALL_TIMEOUT_S, f"kernel-{version}", keep_alive)
    stop(folder, OFF_S)
    if done.exit_code:
        words = (done.stderr or done.stdout).strip().splitlines()
        raise TargetError("; ".join(words[-3:]) or f"exit code {done.exit_code}")
    if not _in_menu(folder.raw, version):
        raise TargetError("the guest installed it, and its boot menu does not offer it")


def _in_menu(image: Path, version: str) -> bool:
    """Whether the disk's boot loader offers this kernel."""
    found = find_boot(image)
    if found is None:
        return False
    boot, path = found
    return grub.menu_id_for(grub.parse_menu(boot.read(path)), version) is not None


def _fetch_package(folder: Folder, version: str, keep_alive: KeepAlive) -> int:
    """The kernel's package from this machine's apt, beside the disk; its size in bytes. Raises KernelUnavailable.

    A disk has whole sectors, so the file is padded; the size says where the package ends.
    """
    if not re.fullmatch(r"[0-9][A-Za-z0-9.+~-]{1,100}", version):
        raise KernelUnavailable(f"{version!r} is no kernel release")
    with tempfile.TemporaryDirectory(prefix="mp-kernel-", dir=folder.path) as scratch:
        try:
            package = host_apt.download(f"linux-image-{version}", Path(scratch), keep_alive)
        except host_apt.NotOffered as error:
            raise KernelUnavailable(f"kernel {version} is not on the disk: {error}") from error
        size = package.stat().st_size
        os.truncate(package, -(-size // 512) * 512)
        images.rename_durably(package, folder.path / PACKAGE)
    return size


def _command(folder: Folder, spec: MachineSpec, accelerator: str) -> list[str]:
    """A machine of our size that boots as the one of `spec` will.

    With the data disks, which a guest may not start without; nothing that it writes to them is kept.
    """
    firmware = firmware_of(spec)
    small = MachineSpec(
        key=folder.key, name=folder.key, firmware=spec.firmware, disk_bus=spec.disk_bus, **MACHINE
    )
    data = [path.name for path in folder.data_disks()]
    drive = f"file={PACKAGE},format=raw,if=none,id=package,readonly=on"
    model = f"virtio-blk-pci,drive=package,serial={SERIAL}"
    code = firmware.code if firmware else None
    command = qemu_command(small, "raw", {}, accelerator, firmware_code=code, data=data, keep_data=True)
    return [*command, "-drive", drive, "-device", model]


def _script(version: str, size: int) -> str:
    return INSTALL.replace("@version@", version).replace("@size@", str(size)).replace("@serial@", SERIAL)
