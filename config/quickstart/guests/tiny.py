"""The tiny guest: Debian's cloud kernels, busybox and the guest agent. Built in seconds, boots in seconds.

It is a real Debian system as far as it goes: every file outside `_own_files` comes from a Debian package, and
/var/lib/dpkg/status names exactly those packages.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from config.quickstart.guests.apt import Apt, control, run, unpack
from config.quickstart.guests.disk import Layout, as_root, fetch_grub, write_disk, write_menu
from config.quickstart.guests.initramfs import write_initramfs
from config.quickstart.guests.kernels import newest_two
from config.quickstart.guests.roles import Role

SIZE_MIB = 192
# dash, because busybox as sh would run its own applets in place of other packages' programs (its tc for iproute2's)
PROGRAMS = ["base-files", "base-passwd", "dash", "busybox-static", "qemu-guest-agent", "nftables", "iproute2"]
# what their dependencies bring for installing and configuring, which nothing here runs
LEFT_OUT = (
    "dpkg", "tar", "perl", "libperl", "libfile-", "libtext-", "libnumber-", "libgdbm", "libdb5", "usrmerge", "debconf",
    "init-system-helpers", "libcap2-bin", "gcc-", "mawk", "libdebconfclient", "libbz2", "debianutils",
)  # fmt: skip
INITRAMFS_MODULES = ("virtio_pci", "virtio_blk", "virtio_scsi", "sd_mod")
GUEST_MODULES = (
    *INITRAMFS_MODULES, "virtio_net", "virtio_console", "virtio_balloon", "virtio-rng",
    "nf_tables", "nft_ct", "nft_reject_inet", "nft_limit", "nft_log", "sch_tbf", "sch_fq_codel", "ena",
)  # fmt: skip

FOLDERS = "dev proc sys run root etc/init.d etc/rc2.d etc/modules-load.d var/lib/dpkg var/www/html boot/grub".split()

INITTAB = """\
::sysinit:/etc/init.d/rcS
::respawn:/etc/init.d/guest-agent
::ctrlaltdel:/sbin/reboot
::shutdown:/bin/umount -a -r
"""
RC_S = """\
#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sys /sys
mkdir -p /dev/pts /dev/shm
mount -t devpts pts /dev/pts
mount -t tmpfs tmpfs /run
mount -o remount,rw /
# no udev waits here for a disk that is found a moment after the one of the root file system
tries=0
until mount -a || [ $tries -ge 30 ]; do tries=$((tries + 1)); usleep 100000; done
hostname -F /etc/hostname
for module in virtio_net virtio_console $(cat /etc/modules /etc/modules-load.d/*.conf 2>/dev/null | grep -v '^#'); do
    modprobe "$module"
done
ip link set lo up
. /etc/default/network
if [ "$ADDRESSING" = dhcp ] && ip link set "$INTERFACE" up; then
    udhcpc -q -n -t 5 -i "$INTERFACE" -s /etc/udhcpc.script
fi
for service in /etc/rc2.d/S*; do "$service" start; done
[ -x /etc/rc.local ] && /etc/rc.local
true
"""
GUEST_AGENT = """\
#!/bin/sh
# udev would name the port; without it the kernel's own name for it is found, once the driver has heard it.
port=$(grep -ls '^org.qemu.guest_agent.0$' /sys/class/virtio-ports/*/name) || { usleep 200000; exit 1; }
exec /usr/sbin/qemu-ga -m virtio-serial -p "/dev/$(basename "$(dirname "$port")")"
"""
UDHCPC = """\
#!/bin/sh
[ "$1" = bound ] || exit 0
ip address replace "$ip/${mask:-24}" dev "$interface"
[ -n "$router" ] && ip route replace default via "$router" dev "$interface"
: > /etc/resolv.conf
for server in $dns; do echo "nameserver $server" >> /etc/resolv.conf; done
"""
SHUTDOWN = """\
#!/bin/sh
# qemu-ga calls shutdown -P, -H or -r; busybox init has its own words.
case " $* " in
    *" -r "*) exec reboot ;;
    *" -H "*) exec halt ;;
    *) exec poweroff ;;
esac
"""


@dataclass(frozen=True)
class Built:
    kernels: tuple[str, ...]
    packages: dict[str, str]
    root_uuid: str


def build_tiny(
    role: Role,
    image: Path,
    scratch: Path,
    cache: Path,
    root_uuid: str,
    progress: Callable[[float, str], None],
) -> Built:
    """Writes a raw image. `scratch` is emptied by the caller, `cache` keeps packages between builds."""
    progress(0.05, "asking apt which packages exist")
    apt = Apt.open(cache / "apt")
    kernels = newest_two(apt)
    asked = [*PROGRAMS, *role.packages]
    names = [name for name in apt.closure(asked) if not name.startswith(LEFT_OUT)]
    progress(0.15, f"fetching {len(names)} packages and kernels {' and '.join(kernels)}")
    programs = apt.download(names, cache / "debs")
    images = apt.download([f"linux-image-{version}" for version in kernels], cache / "debs")
    grub = fetch_grub(apt, cache)

    progress(0.4, "unpacking")
    tree = scratch / "tree"
    for package in programs:
        unpack(package, tree)
    _merge_usr(tree)
    for name in FOLDERS:
        (tree / name).mkdir(parents=True, exist_ok=True)
    shutil.rmtree(tree / "usr/share/doc")
    shutil.rmtree(tree / "usr/share/man", ignore_errors=True)
    _busybox_links(tree)
    for number, (version, package) in enumerate(zip(kernels, images, strict=True)):
        progress(0.55 + 0.15 * number, f"kernel {version}")
        unpack(package, scratch / version)
        _kernel(tree, scratch / version, version)
    fields = [control(package) for package in (*programs, *images)]
    _own_files(tree, fields, kernels, root_uuid)
    _write(tree, "var/lib/apt/extended_states", _dependencies_only(fields, asked))
    _role_files(tree, role)

    progress(0.85, "writing the disk")
    write_disk(image, tree, Layout(SIZE_MIB, root_uuid), grub, as_root())
    return Built(kernels, _versions(fields), root_uuid)


def _merge_usr(tree: Path) -> None:
    """Merged /usr, as every Debian 12 has; after unpacking, since dpkg-deb puts folders in place of such links."""
    for name in ("bin", "sbin", "lib", "lib64"):
        (tree / name).mkdir(exist_ok=True)
        shutil.copytree(tree / name, tree / "usr" / name, symlinks=True, dirs_exist_ok=True)
        shutil.rmtree(tree / name)
        (tree / name).symlink_to(f"usr/{name}")


def _busybox_links(tree: Path) -> None:
    """A link for each command of busybox that no package has brought."""
    busybox = tree / "usr/bin/busybox"
    for path in run([str(busybox), "--list-full"]).split():
        link = tree / "usr" / path.removeprefix("usr/")
        if not link.exists() and not link.is_symlink() and link.name != "busybox":
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to("/usr/bin/busybox")


def _kernel(tree: Path, unpacked: Path, version: str) -> None:
    """Kernel, the modules a virtual machine needs with what they depend on, and an initramfs."""
    busybox = tree / "usr/bin/busybox"
    run([str(busybox), "depmod", "-b", str(unpacked), version])
    dependencies = _dependencies(unpacked / "lib/modules" / version / "modules.dep")
    wanted = _load_order(GUEST_MODULES, dependencies)
    for name in wanted:
        target = tree / "usr/lib/modules" / version / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(unpacked / "lib/modules" / version / name, target)
    for name in ("modules.builtin", "modules.order"):
        shutil.copy(unpacked / "lib/modules" / version / name, tree / "usr/lib/modules" / version)
    run([str(busybox), "depmod", "-b", str(tree), version])
    for name in (f"vmlinuz-{version}", f"config-{version}"):
        shutil.copy(unpacked / "boot" / name, tree / "boot" / name)
    early = [
        unpacked / "lib/modules" / version / name for name in _load_order(INITRAMFS_MODULES, dependencies)
    ]
    write_initramfs(tree / f"boot/initrd.img-{version}", busybox, early)


def _dependencies(modules_dep: Path) -> dict[str, list[str]]:
    """Path of each module → the paths it needs, both below the modules folder."""
    rows = (line.split(":") for line in modules_dep.read_text().splitlines())
    return {path: needed.split() for path, needed in rows}


def _load_order(names: tuple[str, ...], dependencies: dict[str, list[str]]) -> list[str]:
    """Each module after everything it needs. A name that the kernel has not as a module is left out (built in)."""
    by_name = {Path(path).stem.replace("-", "_"): path for path in dependencies}
    order: list[str] = []

    def take(path: str) -> None:
        for needed in dependencies[path]:
            take(needed)
        if path not in order:
            order.append(path)

    for name in names:
        if (path := by_name.get(name.replace("-", "_"))) is not None:
            take(path)
    return order


def _write(tree: Path, path: str, text: str, mode: int = 0o644) -> None:
    file = tree / path
    file.unlink(missing_ok=True)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(mode)


def _role_files(tree: Path, role: Role) -> None:
    _write(tree, "etc/hostname", f"{role.hostname}\n")
    _write(tree, "etc/hosts", f"127.0.0.1 localhost\n127.0.1.1 {role.hostname}\n")
    for path, text in role.files.items():
        _write(tree, path, text)
    for name, script in role.services.items():
        _write(tree, f"etc/init.d/{name}", script, 0o755)
        (tree / "etc/rc2.d" / f"S01{name}").symlink_to(f"../init.d/{name}")
    for link, target in role.links.items():
        (tree / link).symlink_to(target)


def _own_files(tree: Path, fields: list[str], kernels: tuple[str, ...], root_uuid: str) -> None:
    def write(path: str, text: str, mode: int = 0o644) -> None:
        _write(tree, path, text, mode)

    write("etc/inittab", INITTAB)
    write("etc/init.d/rcS", RC_S, 0o755)
    write("etc/init.d/guest-agent", GUEST_AGENT, 0o755)
    write("etc/udhcpc.script", UDHCPC, 0o755)
    write("usr/sbin/shutdown", SHUTDOWN, 0o755)
    write("etc/default/network", "INTERFACE=eth0\nADDRESSING=dhcp\n")
    write("etc/default/grub", 'GRUB_DEFAULT=0\nGRUB_TIMEOUT=0\nGRUB_CMDLINE_LINUX="console=ttyS0"\n')
    write("etc/fstab", f"UUID={root_uuid} / ext4 errors=remount-ro 0 1\n")
    write(
        "etc/passwd",
        (tree / "usr/share/base-passwd/passwd.master").read_text().replace(":*:", ":x:") + DEPLOY_USER,
    )
    write(
        "etc/group",
        (tree / "usr/share/base-passwd/group.master").read_text().replace(":*:", ":x:") + "deploy:x:1000:\n",
    )
    write("etc/shadow", "root:*:19700:0:99999:7:::\ndeploy:*:19700:0:99999:7:::\n", 0o640)
    write("var/lib/dpkg/status", "\n".join(_status(each) for each in fields))
    write_menu(tree, kernels, root_uuid)


DEPLOY_USER = "deploy:x:1000:1000:Deployment:/home/deploy:/bin/sh\n"


def _status(fields: str) -> str:
    name, rest = fields.split("\n", 1)
    return f"{name}\nStatus: install ok installed\n{rest}"


def _dependencies_only(fields: list[str], asked: list[str]) -> str:
    """apt's own record of what came along; what is not in it was installed on purpose."""
    came_along = [
        name for name in _versions(fields) if name not in asked and not name.startswith("linux-image-")
    ]
    return "\n".join(f"Package: {name}\nArchitecture: amd64\nAuto-Installed: 1\n" for name in came_along)


def _versions(fields: list[str]) -> dict[str, str]:
    paragraphs = (dict(line.split(": ", 1) for line in each.splitlines() if ": " in line) for each in fields)
    return {paragraph["Package"]: paragraph["Version"] for paragraph in paragraphs}
