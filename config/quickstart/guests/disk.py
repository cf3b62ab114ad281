"""From a tree of files to a bootable disk image, without root: GPT, BIOS boot partition, ext4, GRUB."""

import os
import struct
from dataclasses import dataclass
from pathlib import Path

from config.quickstart.guests.apt import Apt, GuestBuildError, run, unpack

SECTOR = 512
MIB = 2**20
BOOT_START = 1 * MIB
ROOT_START = 2 * MIB
BACKUP_TABLE = 1 * MIB  # room for the second GPT header at the end
BIOS_BOOT = "21686148-6449-6E6F-744E-656564454649"
LINUX_ROOT = "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709"
GRUB_MODULES = (
    "biosdisk part_gpt part_msdos ext2 normal configfile search search_fs_uuid search_label linux test echo serial "
    "terminal loadenv gzio ls cat reboot sleep regexp minicmd all_video multiboot"
).split()
# an emulated processor gains nothing by mitigations and by ciphers that test themselves
COMMAND_LINE = "console=ttyS0 quiet mitigations=off cryptomgr.notests"
KERNEL_AT = 16 * MIB  # where Debian's kernels for amd64 are to lie (CONFIG_PHYSICAL_START)
PLACEHOLDER = "boot/grub/placeholder"


@dataclass(frozen=True)
class Layout:
    """`root_uuid` names the file system, so that kernel and boot loader find it on any bus."""

    size_mib: int
    root_uuid: str

    @property
    def root_bytes(self) -> int:
        return self.size_mib * MIB - ROOT_START - BACKUP_TABLE


def as_root() -> tuple[str, ...]:
    """What to put before a command so that this user's files look like root's: nothing for root."""
    return () if os.geteuid() == 0 else ("unshare", "--map-root-user", "--")


def write_disk(image: Path, tree: Path, layout: Layout, grub: Path, prefix: tuple[str, ...]) -> None:
    """Writes a raw, sparse image. `tree` becomes the root file system, its files owned as `prefix` lets them look."""
    with open(image, "wb") as file:
        file.truncate(layout.size_mib * MIB)
    _partition(image, layout)
    run(
        [*prefix, "mke2fs", "-q", "-t", "ext4", "-L", "root", "-U", layout.root_uuid, "-d", str(tree), "-F",
         "-b", "4096", "-E", f"offset={ROOT_START},root_owner=0:0", str(image), f"{layout.root_bytes // 1024}k"],
        env=sbin_path(),
    )  # fmt: skip
    embed_grub(image, grub, layout)


def sbin_path() -> dict[str, str]:
    """The environment with the system directories that an ordinary user's PATH leaves out."""
    return {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8"}


def _partition(image: Path, layout: Layout) -> None:
    table = (
        "label: gpt\n"
        f"start={BOOT_START // SECTOR}, size={(ROOT_START - BOOT_START) // SECTOR}, type={BIOS_BOOT}, name=bios\n"
        f"start={ROOT_START // SECTOR}, size={layout.root_bytes // SECTOR}, type={LINUX_ROOT}, name=root\n"
    )
    run(["sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", str(image)], input=table, env=sbin_path())


def fetch_grub(apt: Apt, cache: Path) -> Path:
    """A folder holding GRUB for PC BIOS and its tools, unpacked, not installed."""
    folder = cache / "grub"
    if not (folder / "complete").exists():
        # libdevmapper and its few libraries are grub-mkimage's; a small machine may not have them
        packages = [
            "grub-pc-bin",
            "grub-common",
            "libdevmapper1.02.1",
            "libselinux1",
            "libudev1",
            "libpcre2-8-0",
        ]
        for package in apt.download(packages, cache / "debs"):
            unpack(package, folder)
        (folder / "complete").touch()
    return folder


def embed_grub(image: Path, grub: Path, layout: Layout) -> None:
    """Puts GRUB's boot sector into the MBR and its core into the BIOS boot partition.

    What `grub-bios-setup` does on a real device (GRUB 2.06, util/setup.c), written into the image file: the boot
    sector learns where the core starts, the core's first sector learns where the rest of it lies.
    """
    boot = bytearray((grub / "usr/lib/grub/i386-pc/boot.img").read_bytes())
    core = bytearray(_core_image(grub, layout))
    if len(core) > ROOT_START - BOOT_START:
        raise GuestBuildError(f"GRUB's core has {len(core)} bytes and does not fit its partition")
    first = BOOT_START // SECTOR
    sectors = -(-len(core) // SECTOR)
    struct.pack_into("<Q", boot, 0x5C, first)  # GRUB_BOOT_MACHINE_KERNEL_SECTOR
    boot[0x66:0x68] = b"\x90\x90"  # GRUB_BOOT_MACHINE_DRIVE_CHECK: nop, take the drive that the BIOS gives
    struct.pack_into(
        "<QHH", core, SECTOR - 12, first + 1, sectors - 1, 0x820
    )  # block list: start, length, segment
    with open(image, "r+b") as disk:
        table = disk.read(SECTOR)
        boot[0x1B8:SECTOR] = table[0x1B8:]  # disk id, partition table, signature stay
        disk.seek(0)
        disk.write(boot)
        disk.seek(BOOT_START)
        disk.write(core)


def _core_image(grub: Path, layout: Layout) -> bytes:
    config, core = grub / f"{layout.root_uuid}.cfg", grub / f"{layout.root_uuid}.img"
    config.write_text(f"search.fs_uuid {layout.root_uuid} root\nset prefix=($root)/boot/grub\n")
    libraries = f"{grub}/lib/x86_64-linux-gnu:{grub}/usr/lib/x86_64-linux-gnu"
    run(
        [str(grub / "usr/bin/grub-mkimage"), "-O", "i386-pc", "-d", str(grub / "usr/lib/grub/i386-pc"),
         "-p", "(hd0,gpt2)/boot/grub", "-c", str(config), "-o", str(core), *GRUB_MODULES],
        env={**os.environ, "LD_LIBRARY_PATH": libraries},
    )  # fmt: skip
    return core.read_bytes()


def write_menu(tree: Path, kernels: tuple[str, ...], root_uuid: str) -> None:
    (tree / "boot/grub/grub.cfg").write_text(grub_menu(kernels, root_uuid, COMMAND_LINE))
    (tree / PLACEHOLDER).write_bytes(_placeholder())


def _placeholder() -> bytes:
    """A multiboot program of one page that ends where the kernel is to begin. GRUB loads it and never starts it.

    GRUB 2.06 reads a kernel to the lowest address where it has room, 1 MiB, and at the end moves it up byte by byte:
    54 MiB with the room to unpack itself, a quarter of what a small guest's boot costs under emulation. With this page
    in the way, the lowest room is where the kernel belongs, and nothing is moved.
    """
    magic, has_addresses, begin = 0x1BADB002, 0x10000, KERNEL_AT - 4096
    checksum = -(magic + has_addresses) % 2**32
    header, load, load_end, bss_end, entry = begin, begin, begin + 32, KERNEL_AT, begin
    return struct.pack("<8I", magic, has_addresses, checksum, header, load, load_end, bss_end, entry)


def grub_menu(kernels: tuple[str, ...], root_uuid: str, command_line: str, timeout_s: int = 0) -> str:
    """A grub.cfg with the menu ids that Debian's grub-mkconfig gives, the first kernel being the default."""
    submenu = "\n".join(
        f"  menuentry 'Debian GNU/Linux, with Linux {version}' $menuentry_id_option "
        f"'gnulinux-{version}-advanced-{root_uuid}' {{\n{_boot_lines(version, root_uuid, command_line)}  }}"
        for version in kernels
    )
    return f"""\
serial --unit=0 --speed=115200
terminal_input serial console
terminal_output serial console
if [ -s $prefix/grubenv ]; then
  set have_grubenv=true
  load_env
fi
if [ "${{next_entry}}" ] ; then
   set default="${{next_entry}}"
   set next_entry=
   save_env next_entry
   set boot_once=true
else
   set default="0"
fi
menuentry_id_option="--id"
export menuentry_id_option
set timeout={timeout_s}
menuentry 'Debian GNU/Linux' $menuentry_id_option 'gnulinux-simple-{root_uuid}' {{
{_boot_lines(kernels[0], root_uuid, command_line)}}}
submenu 'Advanced options for Debian GNU/Linux' $menuentry_id_option 'gnulinux-advanced-{root_uuid}' {{
{submenu}
}}
"""


def _boot_lines(version: str, root_uuid: str, command_line: str) -> str:
    return (
        f"    search --no-floppy --fs-uuid --set=root {root_uuid}\n"
        f"    multiboot /{PLACEHOLDER}\n"
        f"    linux /boot/vmlinuz-{version} root=UUID={root_uuid} ro {command_line}\n"
        f"    initrd /boot/initrd.img-{version}\n"
    )
