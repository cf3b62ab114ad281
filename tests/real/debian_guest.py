"""A guest that Debian's own dpkg can put Debian's own kernels into: the tiny one with a single kernel, and with the
programs that it leaves out."""

import shutil
import subprocess
from pathlib import Path

from config.quickstart.guests.apt import Apt, control, run
from config.quickstart.guests.disk import (
    ROOT_START,
    Layout,
    as_root,
    fetch_grub,
    sbin_path,
    write_disk,
    write_menu,
)
from config.quickstart.guests.guest import Guest

SIZE_MIB = 448  # a kernel of the cloud flavour unpacks to 105
ADDED = ["dpkg", "tar", "libc-bin", "perl-base", "debianutils", "linux-base"]
# initramfs-tools and grub-mkconfig take a minute each where the processor is emulated; these do for a guest like this.
# kmod is left out too: its modprobe does not read what busybox's depmod has written for the kernel that is there
HOOKS = "etc/kernel/postinst.d"
INITRAMFS = r"""#!/bin/sh
set -e
for each in /boot/initrd.img-*; do known=$each; done
work=$(mktemp -d)
cd "$work"
zcat "$known" | cpio -id 2>/dev/null
for module in lib/*; do find "/lib/modules/$1/kernel" -name "${module##*/}" -exec cp {} "$module" \;; done
find . | cpio -o -H newc 2>/dev/null | gzip -1 > "/boot/initrd.img-$1"
rm -r "$work"
"""
UPDATE_GRUB = r"""#!/bin/sh
set -e
menu=/boot/grub/grub.cfg
sed -n '/^  menuentry /,/^  }/p' $menu | sed "s/@known@/$1/g" > /run/entry
sed -i '/^submenu /r /run/entry' $menu
"""
STATUS = "var/lib/dpkg/status"
INSTALLED = "Status: install ok installed"
PROVIDED = f"""\
Package: small-programs
{INSTALLED}
Version: 1
Architecture: all
Maintainer: Tests <tests@example.org>
Provides: linux-initramfs-tool, kmod
Description: the scripts in /etc/kernel/postinst.d, and busybox
"""


def write_debian_guest(tiny: Guest, image: Path, scratch: Path, cache: Path) -> None:
    """Writes a raw image that boots `tiny.default_kernel` and has no other."""
    tree = scratch / "tree"
    tree.mkdir()
    run(["debugfs", "-R", f"rdump / {tree}", f"{tiny.path}?offset={ROOT_START}"], env=sbin_path())
    _take_out(tree, tiny.other_kernel)
    apt = Apt.open(cache / "apt")
    packages = apt.download(
        [name for name in apt.closure(ADDED) if name not in tiny.packages], cache / "debs"
    )
    for package in packages:
        _unpack(package, tree)
    _write_down(tree, [control(package) for package in packages])
    _hook(tree, "initramfs", INITRAMFS)
    _hook(tree, "zz-update-grub", UPDATE_GRUB.replace("@known@", tiny.default_kernel))
    write_menu(tree, (tiny.default_kernel,), tiny.root_uuid)
    write_disk(image, tree, Layout(SIZE_MIB, tiny.root_uuid), fetch_grub(apt, cache), as_root())


def _take_out(tree: Path, kernel: str) -> None:
    shutil.rmtree(tree / "usr/lib/modules" / kernel)
    for path in (tree / "boot").glob(f"*-{kernel}"):
        path.unlink()
    paragraphs = (tree / STATUS).read_text().split("\n\n")
    kept = [each for each in paragraphs if not each.lstrip().startswith(f"Package: linux-image-{kernel}\n")]
    (tree / STATUS).write_text("\n\n".join(kept).rstrip() + "\n")


def _write_down(tree: Path, fields: list[str]) -> None:
    """In dpkg's database, which is as good as empty in a tiny guest."""
    installed = [each.replace("\n", f"\n{INSTALLED}\n", 1) for each in fields]
    with open(tree / STATUS, "a") as status:
        status.writelines(f"\n{each}" for each in [*installed, PROVIDED])
    for folder in ("info", "updates", "triggers", "alternatives"):
        (tree / STATUS).with_name(folder).mkdir(exist_ok=True)


def _unpack(package: Path, tree: Path) -> None:
    """Through the links of a merged /usr, which `dpkg-deb --extract` puts folders in place of."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE) as archive:
        run(["tar", "-x", "--keep-directory-symlink", "-C", str(tree)], stdin=archive.stdout)


def _hook(tree: Path, name: str, text: str) -> None:
    path = tree / HOOKS / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
